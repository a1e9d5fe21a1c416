#include "base/lock.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/try.h"

namespace sluice {

Result<std::optional<UniqueFd>> lock_own_file(const std::string& path, LockMode mode,
                                              LockWait wait) {
  const int operation =
      (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | (wait == LockWait::kTry ? LOCK_NB : 0);
  for (;;) {
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    UniqueFd fd(::open(path.c_str(), kFlags));
    if (!fd && errno == ENOENT) fd.reset(::open(path.c_str(), kFlags | O_CREAT, 0600));
    if (!fd) return fail_errno(errno, path);
    struct stat ours {};
    if (::fstat(fd.get(), &ours) != 0) return fail_errno(errno, path);
    if (!S_ISREG(ours.st_mode)) return fail("util", "not-a-file", path + ": is not a regular file");
    if ((ours.st_mode & 0077) != 0 && ::fchmod(fd.get(), 0600) != 0) return fail_errno(errno, path);
    if (::flock(fd.get(), operation) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return std::nullopt;
      return fail_errno(errno, path);
    }
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && there.st_ino == ours.st_ino &&
        there.st_dev == ours.st_dev) {
      return std::optional<UniqueFd>(std::move(fd));
    }
  }
}

namespace {

Result<std::optional<UniqueFd>> lock_directory(std::string_view what, const std::string& directory,
                                               LockWait wait) {
  const std::string place = state_home() + "/locks";
  CHECK(make_directories(place, 0700));
  char* resolved = ::realpath(directory.c_str(), nullptr);
  const std::string real = resolved != nullptr ? resolved : directory;
  std::free(resolved);
  const std::string name = fmt::format("{}-{}", what, sha256_hex(real).substr(0, 32));
  return lock_own_file(place + "/" + name, LockMode::kExclusive, wait);
}

}  // namespace

Result<UniqueFd> lock_for(std::string_view what, const std::string& directory) {
  auto lock = TRY(lock_directory(what, directory, LockWait::kWait));
  return std::move(*lock);
}

Result<std::optional<UniqueFd>> try_lock_for(std::string_view what, const std::string& directory) {
  return lock_directory(what, directory, LockWait::kTry);
}

}  // namespace sluice
