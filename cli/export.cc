#include "cli/export.h"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/try.h"
#include "cli/project_files.h"
#include "cli/replacement.h"
#include "cli/tar.h"
#include "store/realise.h"
#include "store/tree.h"

namespace sluice::cli {

namespace {

tl::unexpected<Error> stream_error(std::string message) {
  return fail("stream", "", std::move(message));
}

}  // namespace

Status check_location(const std::string& location, bool tar, bool force) {
  if (!tar) {
    if (auto made = make_directories(location); !made) {
      return stream_error(
          fmt::format("Failed to create destination directory: '{}'", made.error().message));
    }
    if (::access(location.c_str(), W_OK) != 0)
      return stream_error(fmt::format("Destination directory '{}' not writable", location));
    if (!force && has_entries(location))
      return stream_error(fmt::format("Destination directory '{}' not empty", location));
  } else if (location != "-" && path_exists(location)) {
    if (::access(location.c_str(), W_OK) != 0)
      return stream_error(fmt::format("Output file '{}' not writable", location));
    if (!force) return stream_error(fmt::format("Output file '{}' already exists", location));
  }
  return {};
}

Status check_overwritten(Invocation& invocation, const store::Cas& cas, const store::Digest& root,
                         const std::string& given, bool tar, const std::string& project) {
  if (project.empty() || (tar && given == "-")) return {};
  const std::string location = normalize(join(current_directory(), given));
  if (tar ? !path_exists(location) : !has_entries(location)) return {};
  const ProjectFiles files = ProjectFiles::of(invocation, project);
  if (tar) return files.may_overwrite(location);
  if (!files.near(location)) return {};
  auto tree = TRY(store::Tree::open(cas, root));
  return tree.walk([&](const std::string& path, const store::Entry& entry) -> Status {
    const std::string place = location + "/" + path;
    struct stat info {};
    if (::lstat(place.c_str(), &info) != 0 ||
        (S_ISDIR(info.st_mode) && entry.type == store::EntryType::kDirectory))
      return {};
    return files.may_overwrite(place);
  });
}

Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location,
                  const std::string& compression, const std::string& top) {
  if (location == "-") return write_tar(cas, root, 1, compression, top);
  struct stat info {};
  const bool present = ::stat(location.c_str(), &info) == 0;
  // A pipe or a device is written to as it is.
  if (present && !S_ISREG(info.st_mode)) {
    UniqueFd file(::open(location.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return fail_errno(errno, location);
    return write_tar(cas, root, file.get(), compression, top);
  }
  std::error_code ignored;
  // The archive is made where links lead, so that a link stays one.
  std::string place = std::filesystem::weakly_canonical(location, ignored).string();
  if (ignored || place.empty()) place = location;
  const std::string beside = fmt::format("{}.sluice-{}", place, ::getpid());
  UniqueFd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) return fail_errno(errno, beside);
  if (present) (void)!::fchmod(file.get(), info.st_mode & 0777);
  auto written = write_tar(cas, root, file.get(), compression, top);
  if (written && ::rename(beside.c_str(), place.c_str()) != 0) written = fail_errno(errno, place);
  if (!written) ::unlink(beside.c_str());
  return written;
}

Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location,
                        bool force, bool hardlinks) {
  store::CheckoutOptions options;
  options.force = force;
  options.hardlinks = hardlinks;
  return store::checkout(cas, root, location, options);
}

}  // namespace sluice::cli
