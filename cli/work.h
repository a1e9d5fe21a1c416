// A command that works on elements: a session, one load, one run and what shows it. What `build`,
// `source fetch`, `source track` and the fetch before a checkout have in common.
#pragma once

#include "cli/commands.h"

namespace sluice::cli {

// The exit status; errors have been reported.
int run_work(Invocation& invocation, Work work);

}  // namespace sluice::cli
