#include "sandbox/sandbox_mounts.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <initializer_list>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sluice::sandbox {

namespace {

// Whether there is a file that its owner may write and others may not.
bool holds_owners_file(const std::string& path, unsigned depth) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return false;
  if (S_ISREG(info.st_mode)) return (info.st_mode & S_IWUSR) != 0 && (info.st_mode & S_IWOTH) == 0;
  if (!S_ISDIR(info.st_mode) || depth == 0) return false;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  bool found = false;
  while (const dirent* entry = found ? nullptr : ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      found = holds_owners_file(path + "/" + entry->d_name, depth - 1);
  }
  ::closedir(directory);
  return found;
}

// Finds the entries of /proc that are read-only in a sandbox: sys, and what root's processes may
// write without a capability.
std::vector<std::string> find_covered_proc() {
  std::vector<std::string> out{"sys"};
  if (::geteuid() != 0) return out;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return out;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9')) continue;
    // The kernel's mtrr asks for CAP_SYS_ADMIN itself.
    if (name == "mtrr" || name == "sys" || name == "self" || name == "thread-self") continue;
    if (holds_owners_file("/proc/" + std::string(name), 4)) out.emplace_back(name);
  }
  ::closedir(directory);
  std::sort(out.begin(), out.end());
  return out;
}

// Makes a filesystem that isn't mounted anywhere yet. -1 and errno when it can't.
int new_mount(const char* type, std::initializer_list<std::pair<const char*, const char*>> options,
              unsigned attributes) {
  const int filesystem = static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
  if (filesystem < 0) return filesystem;
  for (const auto& [key, value] : options) {
    const bool good =
        value != nullptr
            ? ::syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_STRING, key, value, 0) == 0
            : ::syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_FLAG, key, nullptr, 0) == 0;
    if (!good) return -1;
  }
  if (::syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return static_cast<int>(::syscall(SYS_fsmount, filesystem, FSMOUNT_CLOEXEC, attributes));
}

int open_path(int root, const char* path, std::uint64_t flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | flags;
  how.resolve = resolve;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

}  // namespace

int clone_mount(int directory, const char* source, std::uint64_t set, bool whole) {
  const unsigned recursive = whole ? AT_RECURSIVE : 0;
  const int fd = static_cast<int>(
      ::syscall(SYS_open_tree, directory, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive));
  if (fd < 0) return fd;
  mount_attr attributes{};
  attributes.attr_set = set;
  if (::syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | recursive, &attributes,
                sizeof attributes) != 0)
    return -1;
  return fd;
}

bool attach(int mount, int target) {
  return ::syscall(SYS_move_mount, mount, "", target, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

int open_below(int root, const char* path) {
  return open_path(root, path, O_DIRECTORY,
                   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int open_in_root(int root, const char* path) {
  return open_path(root, path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

bool make_place_below(int root, const char* path, bool directory) {
  int at = ::fcntl(root, F_DUPFD_CLOEXEC, 0);
  while (at >= 0 && *path != '\0') {
    while (*path == '/') ++path;
    char name[NAME_MAX + 1];
    std::size_t length = 0;
    while (path[length] != '/' && path[length] != '\0' && length < NAME_MAX) {
      name[length] = path[length];
      ++length;
    }
    name[length] = '\0';
    path += length;
    if (length == 0) break;
    // A place that can't be made is in the root already, or the mount will say what is wrong.
    if (*path == '\0' && !directory) {
      ::close(::openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
      break;
    }
    ::mkdirat(at, name, 0755);
    const int next = open_below(at, name);
    ::close(at);
    at = next;
  }
  if (at >= 0) ::close(at);
  return at >= 0;
}

bool mount_devices(int root, const char* size, const char* inodes) {
  struct Device {
    const char* name;
    const char* source;
  };
  static constexpr Device kDevices[] = {{"null", "/dev/null"},       {"zero", "/dev/zero"},
                                        {"full", "/dev/full"},       {"random", "/dev/random"},
                                        {"urandom", "/dev/urandom"}, {"tty", "/dev/tty"}};
  struct Link {
    const char* name;
    const char* target;
  };
  static constexpr Link kLinks[] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
                                    {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
                                    {"core", "/proc/kcore"},       {"ptmx", "pts/ptmx"}};
  const int target = open_below(root, "dev");
  const int devices = new_mount("tmpfs", {{"mode", "0755"}, {"size", size}, {"nr_inodes", inodes}},
                                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (target < 0 || devices < 0 || !attach(devices, target)) return false;
  for (const auto& [name, source] : kDevices) {
    const int file = ::openat(devices, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    const int device = clone_mount(AT_FDCWD, source, MOUNT_ATTR_NOSUID);
    if (file < 0 || device < 0 || !attach(device, file)) return false;
  }
  for (const auto& [name, link] : kLinks) {
    if (::symlinkat(link, devices, name) != 0) return false;
  }
  if (::mkdirat(devices, "shm", 0755) != 0 || ::mkdirat(devices, "pts", 0755) != 0) return false;
  const int pts = ::openat(devices, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int terminals =
      new_mount("devpts", {{"newinstance", nullptr}, {"ptmxmode", "0666"}, {"mode", "0620"}},
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  return pts >= 0 && terminals >= 0 && attach(terminals, pts);
}

bool mount_processes(int root, const std::vector<std::string>& covered) {
  const int target = open_below(root, "proc");
  const int processes =
      new_mount("proc", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (target < 0 || processes < 0 || !attach(processes, target)) return false;
  // bubblewrap looks its child up in /proc, by the number that it has in this namespace.
  const int ours = clone_mount(root, "proc", 0);
  const int place = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (ours < 0 || place < 0 || !attach(ours, place)) return false;
  for (const std::string& name : covered) {
    const int entry = ::openat(processes, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (entry < 0 && errno == ENOENT) continue;  // its driver has gone since we looked
    constexpr std::uint64_t kCovered =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    const int cover = clone_mount(processes, name.c_str(), kCovered);
    if (entry < 0 || cover < 0 || !attach(cover, entry)) return false;
  }
  // These files have the names of the user's keys.
  const int keys = ::openat(processes, "keys", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (keys < 0) return errno == ENOENT;
  const int nothing = clone_mount(AT_FDCWD, "/dev/null", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
  return nothing >= 0 && attach(nothing, keys);
}

bool mount_temporary(int root, const char* size, const char* inodes) {
  const int target = open_below(root, "tmp");
  const int files = new_mount("tmpfs", {{"mode", "0755"}, {"size", size}, {"nr_inodes", inodes}},
                              MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  return target >= 0 && files >= 0 && attach(files, target);
}

int open_terminal(int root, int& slave) {
  const int terminals = open_below(root, "dev/pts");
  const int master =
      terminals < 0 ? -1 : ::openat(terminals, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  const int unlocked = 0;
  if (master < 0 || ::ioctl(master, TIOCSPTLCK, &unlocked) != 0) return -1;
  slave = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return slave < 0 ? -1 : master;
}

const std::vector<std::string>& covered_proc() {
  static const std::vector<std::string> found = find_covered_proc();
  return found;
}

}  // namespace sluice::sandbox
