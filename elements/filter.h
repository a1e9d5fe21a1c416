// The filter kind: the files of its one build dependency that its domains choose, without a
// sandbox.
#pragma once

#include <string>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

Status stage_filter(Build& build);
Result<std::string> assemble_filter(Build& build);

}  // namespace sluice::elements
