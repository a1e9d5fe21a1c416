// The work of kind local: files of the project, or of a workspace.
#include <cerrno>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/try.h"
#include "sources/works.h"
#include "store/complete.h"
#include "store/directory.h"

namespace sluice::sources::local {

// Stages the tree, which entered the store when keys were made, all of it, and is not looked
// through once more unless something turned out to be missing (J45). If it is gone from there, the
// files must still be the same.
Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  store::Cas& cas = surroundings.cas();
  const bool there = !source.local_digest.empty() &&
                     (surroundings.in_doubt() ? store::tree_is_whole(cas, source.local_digest)
                                              : cas.touch(source.local_digest));
  if (there) return source.local_digest;
  struct stat info {};
  if (::lstat(source.path.c_str(), &info) != 0) return fail_errno(errno, source.path);
  const auto slash = source.path.rfind('/');
  auto root = TRY(S_ISDIR(info.st_mode) ? store::import_tree(cas, source.path)
                                        : store::import_file_as_tree(
                                              cas, source.path, source.path.substr(slash + 1)));
  if (!source.local_digest.empty() && root != source.local_digest) {
    return source_error(
        source, "source-changed",
        fmt::format("{}{} changed after it was loaded", where(source), source.path));
  }
  return root;
}

}  // namespace sluice::sources::local
