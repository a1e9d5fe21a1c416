// Trees of YAML (yaml/) by their own names: nearly all of the loader works on them.
#pragma once

#include "yaml/compose.h"
#include "yaml/dump.h"
#include "yaml/parse.h"
#include "yaml/tree.h"

namespace sluice::loader {

using namespace yaml;  // NOLINT(google-build-using-namespace)

}  // namespace sluice::loader
