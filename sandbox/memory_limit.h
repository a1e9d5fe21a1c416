// How much memory a job may use, with all that it starts: by the control group that its runner made
// for it (cgroup.h), of version 2, or of version 1 where that has the memory.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace sluice::sandbox {

// From now on; what is in tmpfs counts, and nothing of it is swapped. 0: none. `group`: the
// directory; -1: there is none, an error when there is to be a limit. Errors:
// "sandbox"/"unavailable-local-sandbox".
Status limit_memory(int group, std::uint64_t bytes);

// How many processes of it the kernel has killed because memory ran out.
std::uint64_t killed_for_memory(int group);

}  // namespace sluice::sandbox
