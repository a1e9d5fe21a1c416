// The kind collect_manifest of the community's collection: a list of all dependencies with their
// sources, as a file and as public data, in which it is found by those that depend on the element.
#pragma once

#include <string>

#include "base/result.h"
#include "elements/build.h"

namespace sluice::elements {

Result<std::string> assemble_collect_manifest(Build& build);
// As it was before BuildStream's source info.
Result<std::string> assemble_collect_manifest_2_0(Build& build);

}  // namespace sluice::elements
