// How the root of a sandbox is put together by the process that becomes bubblewrap, in namespaces
// of its own. It shares the memory of the job (sandbox.cc): nothing here allocates, frees, or
// changes what isn't its own. All return false or -1 and errno.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linux/mount.h>

namespace sluice::sandbox {

inline constexpr std::uint64_t kPlainMount = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// A mount of `source` with these attributes, not yet anywhere; with all that is mounted below it
// when `whole`.
int clone_mount(int directory, const char* source, std::uint64_t set, bool whole = false);
bool attach(int mount, int target);

// A directory below `root` and through no link: what is in the root is somebody else's.
int open_below(int root, const char* path);
// What a file or directory of the host is mounted on: links are followed as a program in the root
// would.
int open_in_root(int root, const char* path);

// `path` (absolute, plain) made in a filesystem of ours that is mounted in the root; a file when
// not `directory`.
bool make_place_below(int root, const char* path, bool directory);

// What bubblewrap's --dev makes, without its reading of the table of mounts for each device.
// `size`: a number of bytes as text.
bool mount_devices(int root, const char* size, const char* inodes);
// The processes of the namespace that we are the first of. bubblewrap can't mount it: its user
// namespace is below the one that owns the process ids.
bool mount_processes(int root, const std::vector<std::string>& covered);
bool mount_temporary(int root, const char* size, const char* inodes);

// Of the root's /dev/pts: the terminal's other side, `slave` being the terminal itself.
int open_terminal(int root, int& slave);

// The entries of /proc that are mounted read-only: sys and, when the outer user is root, all that
// his processes could write without a capability. A fact of the machine, found out once.
const std::vector<std::string>& covered_proc();

}  // namespace sluice::sandbox
