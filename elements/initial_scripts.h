// The kind collect_initial_scripts, which projects have copies of: the scripts that dependencies
// have in their public data, as files.
#pragma once

#include <string>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

Result<std::string> assemble_initial_scripts(Build& build);

}  // namespace sluice::elements
