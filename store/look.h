// LookedTree is how a tree on disk looks: names and stamps of everything in it, and nothing of what
// the files hold. What looked the same before needn't be read again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_stamp.h"
#include "base/result.h"

namespace sluice::store {

struct LookedFolder;

struct LookedEntry {
  std::string name;
  FileStamp stamp;
  std::unique_ptr<LookedFolder> folder;  // null for what is no directory
};

struct LookedFolder {
  std::vector<LookedEntry> entries;  // sorted by the bytes of their names
  std::string sha256;                // of their names and stamps, not of what is below them
};

struct LookedTree {
  FileStamp stamp;  // of the root
  LookedFolder top;
  std::size_t files = 0;        // regular ones
  std::int64_t settles_ns = 0;  // as FileStamp's, of all that is in it

  // A digest that differs when anything in the tree looks different.
  std::string sha256() const;
};

// Looks at the tree below `path`. Links are not followed, but `path` itself may be one that leads
// to a directory. `threads`: 0 for as many as there are processors, at most 8; small trees are
// looked at by the caller's thread alone. An error, of domain "util", when not all of it can be
// looked at or a time can't be told exactly.
Result<LookedTree> look_at(const std::string& path, unsigned threads = 0);

}  // namespace sluice::store
