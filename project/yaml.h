// Trees of YAML (yaml/) by their own names.
#pragma once

#include "yaml/compose.h"
#include "yaml/parse.h"
#include "yaml/tree.h"

namespace sluice::project {

using namespace yaml;  // NOLINT(google-build-using-namespace)

}  // namespace sluice::project
