// Archives are unpacked as BuildStream's sources stage them: unpack_tar() as tar
// (plugins/sources/tar.py), unpack_zip() as zip of buildstream-plugins-community, unpack_layers()
// as docker of buildstream-plugins.
//
// Of tar: names without a leading "./" or '/', the base directory chosen by a pattern and cut off,
// modes reduced to 0644 and 0755, devices and FIFOs left out, hard links followed to their content
// wherever in the archive it is. Of zip: every file 0644, links as files with the link's target,
// names without what would lead out of the directory. Of layers: what a layer's whiteouts name is
// left out of the layers before it, as is all of /dev and every device; each is unpacked apart and
// laid over those before it.
//
// The archive is not to be trusted. Nothing is written outside of the directory: each
// name is resolved below it without following what leads out, and what would leave it is an
// error that names the archive and the member. So are an archive that is cut short or
// damaged, and one that holds more than the limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::jobs {

struct UnpackOptions {
  std::string shown;     // how errors name the archive
  std::string base_dir;  // a pattern; "" takes all as it is
  // Instead of a base directory the first one of each name is cut off, whichever it is; what lies
  // in none is left out.
  bool strip_first = false;
  std::uint64_t max_bytes = std::uint64_t{64} << 30;
  std::uint64_t max_members = 4'000'000;
};

// Unpacks into `directory`, which must be there and empty. Errors: domain "source"; reasons
// "bad-archive", "no-base-dir", "unsafe-member", "too-large". Not more than one thread at a time in
// a process may unpack (libarchive's character sets go by the locale, which is set to C.UTF-8).
Status unpack_tar(const std::string& archive, const std::string& directory,
                  const UnpackOptions& options);

Status unpack_zip(const std::string& archive, const std::string& directory,
                  const UnpackOptions& options);
// Unpacks layers of an image, the lowest first. `shown` of the options names the image; errors name
// the layer by its file. `scratch` is an empty directory of the same file system, in which things
// are left. Further reasons: "layers-clash".
Status unpack_layers(const std::vector<std::string>& archives, const std::string& directory,
                     const std::string& scratch, const UnpackOptions& options);

// What unpack_layers() is made of. list_layer() gives a layer's members in their order,
// unpack_layer() extracts the selected ones and gives the bytes that there are then, where there
// were `bytes` before.
struct TarMember {
  std::string name;     // without a slash at its end
  bool device = false;  // or a FIFO
};
Result<std::vector<TarMember>> list_layer(const std::string& archive, const UnpackOptions& options);
Result<std::uint64_t> unpack_layer(const std::string& archive, const std::string& directory,
                                   const UnpackOptions& options, const std::vector<bool>& selected,
                                   std::uint64_t bytes);

}  // namespace sluice::jobs
