// Fingerprint of what shapes a build besides its inputs: of two machines with different ones the
// artifacts of one key may differ (spec/jobs.md, J76). And what tells one machine from another.
#pragma once

#include <string>

namespace sluice::sandbox {

// The rules by which builds are staged, run and captured. It is raised with every change after
// which the same inputs may give another artifact.
inline constexpr unsigned kBuildRules = 1;

// "rules 1, bubblewrap 0.8.0, overlayfs, seccomp": for people to compare, too. "no overlayfs" and
// "no seccomp" where the kernel refuses them to the user's namespaces, "no bubblewrap" where there
// is none. Looked up once in a process, which takes some milliseconds and a process of its own.
const std::string& build_fingerprint();

// The machine as it runs now: the kernel's number of its last start. Containers of one machine have
// different /etc/machine-id and host names and die together all the same; a machine that was
// started again has lost what it had, and is another one here. The host's name where the kernel has
// no number.
std::string machine_id();

}  // namespace sluice::sandbox
