// What differs between two trees in the store. Subtrees with the same digest are the same, and are
// not looked into.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/cas.h"
#include "store/tree.h"

namespace sluice::store {

struct DiffedEntry : Entry {
  std::optional<bool> subtree_read_only;  // of a directory
};

struct TreeChange {
  std::string path;                          // "usr/bin/a"; "" for the root
  std::optional<DiffedEntry> before, after;  // one of them, or both; never neither

  // What of an entry that is in both trees differs: "type", or any of "mode", "target", "content",
  // "time" and "read-only", in this order. Empty for one that was added or removed.
  std::vector<std::string_view> aspects() const;
};

// Calls `visit` for each entry that is in one tree alone, or isn't the same in both, with each
// directory before what it holds, and names in the order of their bytes. A directory that was added
// or removed is told with all that is in it; one whose entries alone differ isn't. A digest that is
// empty() is an empty tree. Errors: those of `visit` and of the store; a tree that unfolds to more
// than check_unfolded() lets pass.
using VisitChange = std::function<Status(const TreeChange& change)>;
Status diff_trees(const Cas& cas, const Digest& before, const Digest& after,
                  const VisitChange& visit);

// Where two blobs begin to differ.
struct ContentDifference {
  std::int64_t offset = 0;  // of the first byte that isn't the same; the size of the shorter one
                            // when it is the beginning of the other
  std::int64_t line = 0;    // from 1, where both are text up to there; else 0
  // What is known to lie at that place of a file of this format: "the time in its gzip header"; ""
  // when nothing is.
  std::string place;
};
Result<ContentDifference> first_difference(const Cas& cas, const Digest& before,
                                           const Digest& after);

// "+ usr/bin/a: file, 12 bytes",
// "~ usr/bin/a: mode 0644 -> 0755; content from byte 4 (line 1) on, 12 -> 13 bytes". Paths and
// targets are as they are in the tree: whoever shows the text to people cleans it. Blobs are read
// to say where they differ; those that the store has no longer are named without.
std::string text_of(const Cas& cas, const TreeChange& change);

}  // namespace sluice::store
