#include "jobs/scratch.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/file.h"

namespace sluice::jobs {

namespace {

constexpr std::string_view kPrefix = "sluice-";
constexpr std::string_view kNewPrefix = ".sluice-new-";
constexpr Duration kPatience = std::chrono::seconds(5);

// Locked by nobody: its owner is dead. The lock is held for the time of the removal,
// so that two sweepers don't meet.
bool sweep_one(const std::string& path) {
  UniqueFd owner(::open((path + "/owner").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!owner) return errno == ENOENT;
  return ::flock(owner.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

Result<ScratchRoot> make_scratch_root(const std::string& builddir, const std::string& name) {
  if (auto made = make_directories(builddir); !made) return forward(made);
  const std::string fresh = fmt::format("{}/{}{}-{}", builddir, kNewPrefix, name, ::getpid());
  ScratchRoot root;
  root.path = fmt::format("{}/{}{}", builddir, kPrefix, name);
  if (::mkdir(fresh.c_str(), 0700) != 0) return fail_errno(errno, fresh);
  root.owner.reset(::open((fresh + "/owner").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!root.owner || ::flock(root.owner.get(), LOCK_EX | LOCK_NB) != 0) return fail_errno(errno, fresh);
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
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) continue;
    // One that is being made has no lock yet for an instant.
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

Status remove_stubborn(const std::string& path) {
  const Duration end = system_clock().monotonic() + kPatience;
  for (;;) {
    auto removed = remove_tree(path);
    if (removed || system_clock().monotonic() > end) return removed;
    ::poll(nullptr, 0, 20);
  }
}

}  // namespace sluice::jobs
