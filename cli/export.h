// Where checkouts go: a directory or a tar archive.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "store/cas.h"

namespace sluice::cli {

// Checks, before anything is staged, which may take minutes, that the directory, which is made, is
// writable and empty, or that the archive ("-": standard output) isn't there yet. Errors: domain
// "stream".
Status check_location(const std::string& location, bool tar, bool force);
// Checks, with `force`, as soon as it is known what will be written, that no file is overwritten
// which the project at `project` ("": there is none) needs. The error says what for.
Status check_overwritten(Invocation& invocation, const store::Cas& cas, const store::Digest& root,
                         const std::string& location, bool tar, const std::string& project);

// Writes an archive; one that is there is replaced when the new one is whole. `top` is what names
// in the archive begin with: ".", or "" for nothing.
Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location,
                  const std::string& compression, const std::string& top);
Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location,
                        bool force, bool hardlinks);

}  // namespace sluice::cli
