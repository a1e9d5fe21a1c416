// The limit on the memory that a job uses, with all that it starts: by the control group that its
// runner made for it (jobs/cgroup.h), of version 2, or of version 1 where that has the memory.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace sluice::sandbox {

// Limits memory to `bytes` from now on; 0: no limit. What is in tmpfs counts, and nothing of it is
// swapped. `group`: the group's directory; -1: there is none, an error when there is to be a limit.
// Errors: "sandbox"/"unavailable-local-sandbox".
Status limit_memory(int group, std::uint64_t bytes);

// The number of processes in the group that the kernel has killed because memory ran out.
std::uint64_t killed_for_memory(int group);

}  // namespace sluice::sandbox
