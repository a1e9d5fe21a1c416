// Trees of YAML (yaml/), and the files that they come from (project/), by their own names, since
// nearly all of the loader works on them.
#pragma once

#include "yaml/dump.h"
#include "yaml/parse.h"
#include "yaml/tree.h"
#include "yaml/yaml_compose.h"

namespace sluice::project {}

namespace sluice::loader {

using namespace project;  // NOLINT(google-build-using-namespace)
using namespace yaml;     // NOLINT(google-build-using-namespace)

}  // namespace sluice::loader
