// Sends the records of sessions to a destination. Its place is a cursor for each session: while the
// destination takes nothing, no more than a megabyte is kept in memory, and the rest stays in the
// sessions' logs.
#pragma once

#include <string>
#include <vector>

namespace sluice::collect {

// Returns the exit status: 0 done, 1 it failed, 2 wrong usage, 3 a session died without its end.
// Blocks signals for the process; called once, in the main thread.
int run(const std::vector<std::string>& arguments);

}  // namespace sluice::collect
