// Scratch directories: BUILDDIR/sluice-NAME/, one for each runner, with a directory for
// each attempt. A runner holds a lock on the file `owner` in its own while it lives;
// whose lock is free is dead, and what it left is removed.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::jobs {

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

// Removes `path`, again for some seconds while processes that are dying still write there.
Status remove_stubborn(const std::string& path);

}  // namespace sluice::jobs
