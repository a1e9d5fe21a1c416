// Where checkouts go: a directory or a tar archive.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "store/cas.h"

namespace sluice::cli {

// Asked before anything is staged, which may take minutes: the directory, which is made, is
// writable and empty; the archive ("-": standard output) isn't there yet. Errors: domain "stream".
Status check_location(const std::string& location, bool tar, bool force);
// With `force`, as soon as it is known what will be written: no file that the project at `project`
// needs ("": there is none) is overwritten by it. The error says what it is needed for.
Status check_overwritten(Invocation& invocation, const store::Cas& cas, const store::Digest& root,
                         const std::string& location, bool tar, const std::string& project);

// An archive that is there is replaced when the new one is whole. `top`: what names in the archive
// begin with: ".", or "" for nothing.
Status export_tar(store::Cas& cas, const store::Digest& root, const std::string& location,
                  const std::string& compression, const std::string& top);
Status export_directory(store::Cas& cas, const store::Digest& root, const std::string& location,
                        bool force, bool hardlinks);

}  // namespace sluice::cli
