// unpack_tar() unpacks a tar archive as BuildStream's tar source stages it
// (plugins/sources/tar.py): names without a leading "./" or '/', the base directory chosen by a
// pattern and cut off, modes reduced to 0644 and 0755, devices and FIFOs left out, hard links
// followed to their content wherever in the archive it is.
//
// The archive is not to be trusted. Nothing is written outside of the directory: each
// name is resolved below it without following what leads out, and what would leave it is an
// error that names the archive and the member. So are an archive that is cut short or
// damaged, and one that holds more than the limits.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sluice::jobs {

struct UnpackOptions {
  std::string shown;     // how errors name the archive
  std::string base_dir;  // a pattern; "" takes all as it is
  std::uint64_t max_bytes = std::uint64_t{64} << 30;
  std::uint64_t max_members = 4'000'000;
};

// Unpacks into `directory`, which must be there and empty. Errors: domain "source"; reasons
// "bad-archive", "no-base-dir", "unsafe-member", "too-large". Not more than one thread at a time in
// a process may unpack (libarchive's character sets go by the locale, which is set to C.UTF-8).
Status unpack_tar(const std::string& archive, const std::string& directory,
                  const UnpackOptions& options);

}  // namespace sluice::jobs
