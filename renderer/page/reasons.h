// Why elements were built: `sluice session explain` knows that, which opens the store, in a process
// of its own.
#pragma once

#include <string>

#include "base/result.h"
#include "base/tool.h"

namespace sluice::renderer {

// The map of its `elements` as JSON; of `element` alone when that isn't "". Error: what it said.
Result<std::string> reasons_json(const std::string& session, const std::string& element,
                                 const Stop& stop = {});

}  // namespace sluice::renderer
