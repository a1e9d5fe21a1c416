// Mounts in the root of a sandbox, made by the process that becomes bubblewrap, in namespaces of
// its own. It shares the memory of the job (sandbox.cc): nothing here allocates, frees, or changes
// what isn't its own. Each function returns false or -1, and errno, when it fails.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linux/mount.h>

namespace sluice::sandbox {

inline constexpr std::uint64_t kPlainMount = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// Makes a mount of `source` with these attributes, not yet anywhere; with all that is mounted below
// it when `whole`. attach() puts it in its place.
int clone_mount(int directory, const char* source, std::uint64_t set, bool whole = false);
bool attach(int mount, int target);

// Opens a directory below `root`, and through no link: what is in the root is somebody else's.
int open_below(int root, const char* path);
// Opens what a file or directory of the host is mounted on: links are followed as a program in the
// root would.
int open_in_root(int root, const char* path);

// Makes `path` (absolute, plain) in a filesystem of ours that is mounted in the root; a file when
// not `directory`.
bool make_place_below(int root, const char* path, bool directory);

// Mounts what bubblewrap's --dev makes, without its reading of the table of mounts for each device.
// `size`: a number of bytes as text.
bool mount_devices(int root, const char* size, const char* inodes);
// Mounts /proc of the namespace that we are the first process of. bubblewrap can't: its user
// namespace is below the one that owns the process ids.
bool mount_processes(int root, const std::vector<std::string>& covered);
bool mount_temporary(int root, const char* size, const char* inodes);

// Opens a terminal of the root's /dev/pts: gives its other side, and the terminal itself as
// `slave`.
int open_terminal(int root, int& slave);

// The entries of /proc that are mounted read-only: sys and, when the outer user is root, all that
// his processes could write without a capability. This is a fact of the machine, found out once.
const std::vector<std::string>& covered_proc();

}  // namespace sluice::sandbox
