#include "cli/export.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "cli/tar.h"
#include "store/realise.h"

namespace sluice::cli {

bool has_entries(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return false;
  bool any = false;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    any = any || (name != "." && name != "..");
  }
  ::closedir(stream);
  return any;
}

namespace {

tl::unexpected<Error> stream_error(std::string message) { return fail("stream", "", std::move(message)); }

}  // namespace

Status check_location(const std::string& location, bool tar, bool force) {
  if (!tar) {
    if (auto made = make_directories(location); !made) {
      return stream_error(fmt::format("Failed to create destination directory: '{}'", made.error().message));
    }
    if (::access(location.c_str(), W_OK) != 0) return stream_error(fmt::format("Destination directory '{}' not writable", location));
    if (!force && has_entries(location)) return stream_error(fmt::format("Destination directory '{}' not empty", location));
  } else if (location != "-" && path_exists(location)) {
    if (::access(location.c_str(), W_OK) != 0) return stream_error(fmt::format("Output file '{}' not writable", location));
    if (!force) return stream_error(fmt::format("Output file '{}' already exists", location));
  }
  return {};
}

Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location, const std::string& compression,
                  const std::string& top) {
  if (location == "-") return write_tar(cas, root, 1, compression, top);
  UniqueFd file(::open(location.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) return fail_errno(errno, location);
  auto written = write_tar(cas, root, file.get(), compression, top);
  if (!written) ::unlink(location.c_str());
  return written;
}

Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location, bool force, bool hardlinks) {
  store::CheckoutOptions options;
  options.force = force;
  options.hardlinks = hardlinks;
  return store::checkout(cas, root, location, options);
}

}  // namespace sluice::cli
