// A tree of the store as a tar archive, as `bst artifact checkout --tar` writes it.
#pragma once

#include <string>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::cli {

// The compression by a file's name: "" (none), "gz", "xz" or "bz2"; an unknown ending after ".tar"
// is an error (domain "util").
Result<std::string> compression_of(const std::string& name);

// Writes an archive: names start with `top` and a slash, where it isn't ""; owner 0:0; modes 0755
// and 0644; all times store::kFixedMtime. `fd` stays the caller's. A blob that is damaged is
// removed from the store: "cas", "missing-blob".
Status write_tar(store::Cas& cas, const store::Digest& root, int fd, const std::string& compression,
                 const std::string& top);

}  // namespace sluice::cli
