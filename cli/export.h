// Where checkouts go: a directory or a tar archive.
#pragma once

#include <string>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::cli {

// A directory with something in it.
bool has_entries(const std::string& directory);

// Asked before anything is staged, which may take minutes: the directory, which is made, is writable and
// empty; the archive ("-": standard output) isn't there yet. Errors: domain "stream".
Status check_location(const std::string& location, bool tar, bool force);

// `top`: what names in the archive begin with: ".", or "" for nothing.
Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location, const std::string& compression,
                  const std::string& top);
Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location, bool force, bool hardlinks);

}  // namespace sluice::cli
