// Scratch directories: BUILDDIR/sluice-NAME/, one for each runner, with a directory for
// each attempt. A runner holds a lock on the file `owner` in its own while it lives;
// whose lock is free is dead, and what it left is removed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::sandbox {

struct ScratchRoot {
  std::string path;
  UniqueFd owner;
};

// Makes BUILDDIR/sluice-NAME, of mode 0700, and locks it. It appears locked, so that nobody
// who sweeps at this moment takes it for dead.
Result<ScratchRoot> make_scratch_root(const std::string& builddir, const std::string& name);

// Removes the directories of dead runners. Those of living ones, and what else is in
// BUILDDIR, is left alone.
Status sweep_scratch(const std::string& builddir);

// The scratch of one slot, used by one attempt after the other. Directories are kept and
// used again where that can be: making and removing a dozen of them for each of hundreds of
// small builds a second is what ext4 is slow at (it passes over inodes that were removed in
// the last minute). What is there is never trusted: a directory is given out only when it is empty.
class Scratch {
 public:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // PATH/NAME, an empty directory of mode 0755.
  Result<std::string> directory(const std::string& name);
  // PATH/NAME with exactly the directories `below` in it ("a/b/c"), and nothing else; each of mode
  // 0755.
  Result<std::string> skeleton(const std::string& name, const std::vector<std::string>& below);
  // Empties the scratch; empty directories are left.
  Status finish();

 private:
  std::string path_;
};

// Removes `path`, again for some seconds while processes that are dying still write there.
Status remove_stubborn(const std::string& path);

}  // namespace sluice::sandbox
