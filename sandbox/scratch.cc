#include "sandbox/scratch.h"

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/try.h"

namespace sluice::sandbox {

namespace {

constexpr std::string_view kPrefix = "sluice-";
constexpr std::string_view kNewPrefix = ".sluice-new-";
constexpr Duration kPatience = std::chrono::seconds(5);

// Removes a directory that a dead runner made: nobody holds the lock in it. One that only has such
// a name may be somebody's work. The lock is held for the time of the removal, so that two sweepers
// don't meet.
bool sweep_one(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  struct stat info {};
  bool ours = ::fstat(::dirfd(directory), &info) == 0 && (info.st_mode & 07777) == 0700;
  while (const dirent* entry = ours ? ::readdir(directory) : nullptr) {
    const std::string_view name = entry->d_name;
    ours = name == "." || name == ".." || name == "owner" || name.starts_with("slot-");
  }
  ::closedir(directory);
  if (!ours) return false;
  UniqueFd owner(::open((path + "/owner").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  // A directory whose removal was broken off is finished with.
  if (!owner) return errno == ENOENT;
  if (::fstat(owner.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != 0) return false;
  return ::flock(owner.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

Result<ScratchRoot> make_scratch_root(const std::string& builddir, const std::string& name) {
  CHECK(make_directories(builddir));
  const std::string fresh = fmt::format("{}/{}{}-{}", builddir, kNewPrefix, name, ::getpid());
  ScratchRoot root;
  root.path = fmt::format("{}/{}{}", builddir, kPrefix, name);
  if (::mkdir(fresh.c_str(), 0700) != 0) return fail_errno(errno, fresh);
  root.owner.reset(::open((fresh + "/owner").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!root.owner || ::flock(root.owner.get(), LOCK_EX | LOCK_NB) != 0)
    return fail_errno(errno, fresh);
  if (::rename(fresh.c_str(), root.path.c_str()) != 0) {
    const int cause = errno;
    [[maybe_unused]] auto removed = remove_tree(fresh);
    return fail_errno(cause, root.path);
  }
  return root;
}

Status sweep_scratch(const std::string& builddir) {
  DIR* directory = ::opendir(builddir.c_str());
  if (directory == nullptr) return errno == ENOENT ? Status{} : Status(fail_errno(errno, builddir));
  std::vector<std::string> dead;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix) && !name.starts_with(kNewPrefix)) continue;
    const std::string path = builddir + "/" + std::string(name);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
      continue;
    // A directory that is being made has no lock yet for an instant.
    if (name.starts_with(kNewPrefix) && info.st_mtime + 60 > std::time(nullptr)) continue;
    if (sweep_one(path)) dead.push_back(path);
  }
  ::closedir(directory);
  Status result;
  for (const std::string& path : dead) {
    if (auto removed = remove_stubborn(path); !removed) result = removed;
  }
  return result;
}

namespace {

// Opens a directory of ours, not a link to one.
bool is_directory(int parent, const std::string& name) {
  struct stat info {};
  return ::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 07777) == 0755;
}

// Makes a directory, whose mode is the same whatever umask the user has, since a build sees it. One
// that is there stays as it is.
Status make_plain(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0)
    return errno == EEXIST ? Status{} : Status(fail_errno(errno, path));
  if (::chmod(path.c_str(), 0755) != 0) return fail_errno(errno, path);
  return {};
}

// The names in a directory that was just opened, at most `limit` and some more.
std::vector<std::string> names_in(int directory, std::size_t limit) {
  std::vector<std::string> names;
  alignas(dirent64) char buffer[4096];
  for (ssize_t size;
       names.size() <= limit && (size = ::getdents64(directory, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      at += entry->d_reclen;
    }
  }
  return names;
}

}  // namespace

Result<std::string> Scratch::directory(const std::string& name) {
  const std::string path = path_ + "/" + name;
  if (is_directory(AT_FDCWD, path)) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd && names_in(fd.get(), 0).empty()) return path;
  }
  CHECK(remove_tree(path));
  CHECK(make_directories(path_, 0700));
  CHECK(make_plain(path));
  return path;
}

Result<std::string> Scratch::skeleton(const std::string& name,
                                      const std::vector<std::string>& below) {
  const std::string root = path_ + "/" + name;
  // Usually there is one chain of directories ("test/element.bst"): that of the last attempt gets
  // other names.
  if (below.size() == 1 && is_directory(AT_FDCWD, root)) {
    UniqueFd at(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    std::string_view rest = below.front();
    bool good = static_cast<bool>(at);
    while (good) {
      const auto names = names_in(at.get(), 1);
      if (rest.empty()) {
        good = names.empty();
        break;
      }
      const std::string part(rest.substr(0, rest.find('/')));
      rest = part.size() == rest.size() ? std::string_view{} : rest.substr(part.size() + 1);
      good = names.size() == 1 && is_directory(at.get(), names.front()) &&
             (names.front() == part ||
              ::renameat(at.get(), names.front().c_str(), at.get(), part.c_str()) == 0);
      if (good)
        at.reset(::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      good = good && at;
    }
    if (good) return root;
  }
  CHECK(remove_tree(root));
  CHECK(make_directories(path_, 0700));
  CHECK(make_plain(root));
  for (const std::string& path : below) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      CHECK(make_plain(root + "/" + path.substr(0, end)));
      if (end == std::string::npos) break;
    }
  }
  return root;
}

Status Scratch::finish() {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? Status{} : Status(fail_errno(errno, path_));
  for (const std::string& name : names_in(fd.get(), 1000)) {
    const std::string path = path_ + "/" + name;
    // Skeletons hold directories alone, and are looked at when they are used again.
    if (name[0] == 's' && is_directory(fd.get(), name)) continue;
    if (!is_directory(fd.get(), name)) {
      CHECK(remove_tree(path));
      continue;
    }
    const UniqueFd inner(
        ::openat(fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    for (const std::string& below : names_in(inner.get(), ~std::size_t{0} - 1)) {
      CHECK(remove_tree(path + "/" + below));
    }
  }
  return {};
}

Status remove_stubborn(const std::string& path) {
  const Duration end = system_clock().monotonic() + kPatience;
  for (;;) {
    auto removed = remove_tree(path);
    if (removed || system_clock().monotonic() > end) return removed;
    ::poll(nullptr, 0, 20);
  }
}

}  // namespace sluice::sandbox
