// Trees of YAML (yaml/) by their own names.
#pragma once

#include "yaml/parse.h"
#include "yaml/tree.h"
#include "yaml/yaml_compose.h"

namespace sluice::project {

using namespace yaml;  // NOLINT(google-build-using-namespace)

}  // namespace sluice::project
