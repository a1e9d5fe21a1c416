// The filter of system calls: what programs in a sandbox may not ask of the kernel, by seccomp,
// which bubblewrap installs before it runs them. The list is that of Flatpak for developers' tools
// (spec/sandbox.md, section 9): what namespaces don't cover, or what would open more of the kernel
// than a build needs.
#pragma once

#include <string>

#include "base/result.h"

namespace sluice::sandbox {

// The filter's program in the form that bwrap --seccomp reads; made once in a process for each
// value of `narrow`. `narrow` (narrow_platform()): programs of the 32-bit architecture may use its
// old call for all of sockets (socketcall), whose arguments a filter can't see. Errors:
// "sandbox"/"unavailable-local-sandbox".
const Result<std::string>& call_filter(bool narrow);

}  // namespace sluice::sandbox
