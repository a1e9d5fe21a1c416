#include "store/twins.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
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
  if (auto made = make_directories(path); !made) return forward(made);
  auto files = fs::open_directory(path, true);
  if (!files) return forward(files);
  auto space = Space::open(cas.cachedir());
  if (!space) return forward(space);
  return Twins(cas, std::move(*files), std::move(*space));
}

Result<std::string> Twins::make(const Digest& blob, mode_t mode) {
  auto from = cas_->open_blob(blob);
  if (!from) return forward(from);
  if (auto room = space_.make_room(static_cast<std::uint64_t>(blob.size)); !room) return forward(room);
  std::string temporary = cas_->temporary_name();
  UniqueFd to(::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) return fail_errno(errno, temporary);
  auto done = fs::copy_content(from->get(), to.get());
  if (done) {
    // Here, once, a damaged object is noticed before builds see it.
    ::lseek(to.get(), 0, SEEK_SET);
    auto copied = digest_of_fd(to.get());
    if (!copied) {
      done = forward(copied);
    } else if (*copied != blob) {
      static_cast<void>(cas_->remove(blob));
      done = fail("cas", "missing-blob", fmt::format("Blob {} was damaged in the store and has been removed", blob.hash));
    }
  }
  const timespec times[2] = {{kFixedMtime, 0}, {kFixedMtime, 0}};
  if (done && (::fchmod(to.get(), mode) != 0 || ::futimens(to.get(), times) != 0)) done = fail_errno(errno, temporary);
  if (!done) {
    ::unlink(temporary.c_str());
    space_.remove(static_cast<std::uint64_t>(blob.size));
    return forward(done);
  }
  return temporary;
}

Status Twins::link(const Digest& blob, Mode mode, unsigned number, int directory, const std::string& name) {
  if (!valid_digest(blob)) return fail("cas", "bad-digest", fmt::format("'{}' is not a digest", blob.hash));
  const std::string folder = blob.hash.substr(0, 2);
  const std::string twin = fmt::format("{}/{}-{:o}.{}", folder, blob.hash.substr(2), bits(mode), number);
  for (int attempt = 0; attempt < 16; ++attempt) {
    if (::linkat(files_.get(), twin.c_str(), directory, name.c_str(), 0) == 0) {
      struct stat info {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, name);
      if (info.st_size == blob.size && (info.st_mode & 07777) == bits(mode)) return {};
      ::unlinkat(directory, name.c_str(), 0);
      ::unlinkat(files_.get(), twin.c_str(), 0);
    } else if (errno == EMLINK) {
      auto own = make(blob, bits(mode));
      if (!own) return forward(own);
      if (::renameat(AT_FDCWD, own->c_str(), directory, name.c_str()) == 0) return {};
      const int cause = errno;
      ::unlink(own->c_str());
      return fail_errno(cause, name);
    } else if (errno != ENOENT) {
      return fail_errno(errno, name);
    }
    auto made = make(blob, bits(mode));
    if (!made) return forward(made);
    if (::renameat(AT_FDCWD, made->c_str(), files_.get(), twin.c_str()) == 0) continue;
    if (errno == ENOENT && (::mkdirat(files_.get(), folder.c_str(), 0755) == 0 || errno == EEXIST) &&
        ::renameat(AT_FDCWD, made->c_str(), files_.get(), twin.c_str()) == 0) {
      continue;
    }
    const int cause = errno;
    ::unlink(made->c_str());
    return fail_errno(cause, "sluice/files/" + twin);
  }
  return fail("cas", "busy", fmt::format("The twin file of blob {} is removed again and again", blob.hash));
}

}  // namespace sluice::store
