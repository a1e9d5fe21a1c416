// Why elements were built: `sluice session explain` knows that, which opens the store, in a process
// of its own.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/tool.h"

namespace sluice::renderer {

// The map of its `elements` as JSON; of `element` alone when that isn't "". Error: what it said, or
// that it has taken longer than `patience`: it reads up to 20 earlier sessions, and the artifacts
// of what has changed.
Result<std::string> reasons_json(const std::string& session, const std::string& element,
                                 Duration patience, const Stop& stop = {});

}  // namespace sluice::renderer
