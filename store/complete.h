// Completeness: which trees are known to be whole, so that nobody walks over one twice to know that
// it is cached. A tree that unfolds too far (measure.h) isn't, since nothing could be done with it.
//
// A process has a table of root digests. What was seen whole counts as whole until invalidate() is
// called, by expiry and when a blob turned out missing.
//
// Between processes: CACHEDIR/sluice/complete holds them with a stamp of each of the 256
// directories of cas/objects (inode, mtime, ctime). Adding or removing any object changes its
// directory's, whoever does it. So where a stamp is the same nothing happened since, and of a tree
// among them only the blobs in the other directories need be looked at: after a small change few. A
// directory that had just changed when they were written (base/file_stamp.h) has no stamp there.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

// Whether every blob below `root` is there; renews the access times of what it looks at. For a
// process that asks once or twice: it reads what is remembered only for a tree that is large, and
// never writes it.
bool tree_is_whole(const Cas& cas, const Digest& root);

// Thread-safe. Two threads that ask for one tree at the same time may both walk it.
class Completeness {
 public:
  // Loads what an earlier process saved: some 260 system calls.
  explicit Completeness(const Cas& cas);

  // Whether every blob below `root` is there. Renews the access times when it walks.
  bool tree(const Digest& root);
  bool blob(const Digest& digest);
  // Takes a tree for whole without looking, as one is that was just stored, from what was on a disk
  // or was checked when it was pulled.
  void note_tree(const Digest& root) { learn(root, 0); }
  // Gives a function that says whether a blob which the tree `earlier` had below it is there. Of a
  // tree that was whole when this was saved, most blobs need no look. It may be called by several
  // threads, as long as this lives.
  std::function<bool(const Digest& blob)> presence(const Digest& earlier);
  // Forgets everything; nothing is saved any more.
  void invalidate();

  // Saves what was learned.
  Status save();

 private:
  // A number for each directory of cas/objects, which changes with it; 0 where it isn't known.
  using Stamps = std::array<std::uint64_t, 256>;
  static Stamps stamps(const Cas& cas, std::int64_t settled_before_ns);

  struct Walk;
  struct Known {
    std::uint64_t names = 0;
    // Of the root's message: a digest with another one names nothing. -1: it was read from the
    // file, which doesn't say.
    std::int64_t size = -1;
  };
  std::optional<std::uint64_t> names_of(const Digest& root);
  void learn(const Digest& root, std::uint64_t names);

  const Cas& cas_;
  Stamps made_;                    // when this was made
  std::array<bool, 256> moved_{};  // what changed since `before_` was true
  std::unordered_set<std::string> before_;
  std::mutex mutex_;  // of all below
  // Root digests, with the number of names below each, every occurrence counted.
  std::unordered_map<std::string, Known> known_;
  bool changed_ = false;
  bool lost_ = false;  // nothing may be saved any more
};

}  // namespace sluice::store
