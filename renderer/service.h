// Joins a session's records and live events to a style and an output.
#pragma once

#include "renderer/options.h"

namespace sluice::renderer {

// Renders until the end that the options name. Returns the exit status (options.cc, usage()).
// Blocks signals for the process; called once, in the main thread.
int run(const Options& options);

}  // namespace sluice::renderer
