// What this machine's programs are of: platforms by BuildStream's names of systems and
// architectures (sandbox: build-os, build-arch), as "linux/x86-64". No libraries, so that whoever
// only asks loads none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sandbox {

// "OS/ARCHITECTURE"; "" when there is no architecture.
std::string platform_text(std::string_view os, std::string_view architecture);

// This machine's own. An architecture that BuildStream has no name for is called as uname does.
const std::string& host_platform();

// The 32-bit sister whose programs run on a machine of that platform all the same (linux/x86-32 on
// linux/x86-64, linux/aarch32 on linux/aarch64); "" when it has none.
std::string narrow_platform_of(std::string_view platform);

inline constexpr const char* kBinfmtMisc = "/proc/sys/fs/binfmt_misc";

// The platforms whose programs the kernel hands to an emulator, sorted: what is registered there
// for their ELF files, is enabled, and was opened when it was registered (flag F), since an
// emulator's path leads nowhere in a sandbox's root. Not those that run here by themselves.
std::vector<std::string> emulated_platforms(const std::string& directory = kBinfmtMisc);

}  // namespace sluice::sandbox
