#include "store/twins.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "store/fs.h"

namespace sluice::store {

namespace {

mode_t bits(Twins::Mode mode) {
  switch (mode) {
    case Twins::Mode::k644: return 0644;
    case Twins::Mode::k755: return 0755;
    case Twins::Mode::k444: return 0444;
    case Twins::Mode::k555: return 0555;
  }
  return 0644;
}

}  // namespace

Result<Twins> Twins::open(Cas& cas) {
  const std::string path = cas.cachedir() + "/sluice/files";
  CHECK(make_directories(path));
  auto files = TRY(fs::open_directory(path, true));
  auto space = TRY(Space::open(cas.cachedir()));
  return Twins(cas, std::move(files), std::move(space));
}

Result<std::string> Twins::make(const Digest& blob, mode_t mode) {
  CHECK(space_.make_room(static_cast<std::uint64_t>(blob.size)));
  std::string temporary = cas_->temporary_name();
  UniqueFd to(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!to) return fail_errno(errno, temporary);
  auto done = cas_->copy_to(blob, to.get());
  const timespec times[2] = {{kFixedMtime, 0}, {kFixedMtime, 0}};
  struct stat info {};
  if (done && (::fstat(to.get(), &info) != 0 ||
               ((info.st_mode & 07777) != mode && ::fchmod(to.get(), mode) != 0) ||
               ::futimens(to.get(), times) != 0)) {
    done = fail_errno(errno, temporary);
  }
  if (done)
    verified_->add(verified_key(info.st_dev, info.st_ino, static_cast<std::uint64_t>(blob.size)));
  if (!done) {
    ::unlink(temporary.c_str());
    space_.remove(static_cast<std::uint64_t>(blob.size));
    return forward(done);
  }
  return temporary;
}

bool Twins::is_good(const Digest& blob, Mode mode, int directory, const std::string& name) {
  struct stat info {};
  if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(info.st_mode) || info.st_size != blob.size || (info.st_mode & 07777) != bits(mode) ||
      info.st_mtim.tv_sec != kFixedMtime || info.st_mtim.tv_nsec != 0) {
    return false;
  }
  const std::uint64_t key =
      verified_key(info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size));
  if (verified_->has(key)) return true;
  UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return false;
  const auto found = digest_of_fd(fd.get());
  if (!found || *found != blob) return false;
  verified_->add(key);
  return true;
}

Status Twins::link(const Digest& blob, Mode mode, unsigned number, int directory,
                   const std::string& name) {
  if (!valid_digest(blob))
    return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", blob.hash));
  const std::string folder = blob.hash.substr(0, 2);
  const std::string twin =
      fmt::format("{}/{}-{:o}.{}", folder, blob.hash.substr(2), bits(mode), number);
  for (int attempt = 0; attempt < 16; ++attempt) {
    if (::linkat(files_.get(), twin.c_str(), directory, name.c_str(), 0) == 0) {
      if (is_good(blob, mode, directory, name)) return {};
      ::unlinkat(directory, name.c_str(), 0);
      if (::unlinkat(files_.get(), twin.c_str(), 0) == 0)
        space_.remove(static_cast<std::uint64_t>(blob.size));
    } else if (errno == EMLINK) {
      auto own = TRY(make(blob, bits(mode)));
      if (::renameat(AT_FDCWD, own.c_str(), directory, name.c_str()) == 0) return {};
      const int cause = errno;
      ::unlink(own.c_str());
      space_.remove(static_cast<std::uint64_t>(blob.size));
      return fail_errno(cause, name);
    } else if (errno != ENOENT) {
      return fail_errno(errno, name);
    }
    auto made = TRY(make(blob, bits(mode)));
    if (::renameat(AT_FDCWD, made.c_str(), files_.get(), twin.c_str()) == 0) continue;
    if (errno == ENOENT &&
        (::mkdirat(files_.get(), folder.c_str(), 0755) == 0 || errno == EEXIST) &&
        ::renameat(AT_FDCWD, made.c_str(), files_.get(), twin.c_str()) == 0) {
      continue;
    }
    const int cause = errno;
    ::unlink(made.c_str());
    space_.remove(static_cast<std::uint64_t>(blob.size));
    return fail_errno(cause, "sluice/files/" + twin);
  }
  return fail("cas", "busy",
              fmt::format("The twin file of blob {} is removed again and again", blob.hash));
}

}  // namespace sluice::store
