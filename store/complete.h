// Which trees are known to be whole, so that "cached" costs no walk twice. A tree that unfolds too far
// (measure.h) isn't: nothing could be done with it.
//
// In a process: a table of root digests; what was seen whole stays so until told
// otherwise (invalidate(), called by expiry and when a blob turned out missing).
//
// Between processes: CACHEDIR/sluice/complete holds them with a fingerprint of
// the 256 directories of cas/objects (inode, mtime, ctime). Adding or removing any
// object changes it, whoever does it, so the file is believed only when nothing at all
// happened since; and it is written only when no directory changed in the last
// two seconds before the fingerprint, because timestamps have ticks.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

// Every blob below `root` is there, asked anew; renews access times. For a process that asks
// once or twice: it neither reads nor writes what is remembered.
bool tree_is_whole(const Cas& cas, const Digest& root);

// Thread-safe: two that ask for one tree at the same time may both walk it.
class Completeness {
 public:
  // Loads what an earlier process saved, if it may be believed: some 260 system calls.
  explicit Completeness(const Cas& cas);

  // Every blob below `root` is there. Renews the access times when it walks.
  bool tree(const Digest& root);
  bool blob(const Digest& digest);
  // Known to be whole without looking: just stored by us, from what was on a disk or was checked when it was pulled.
  void note_tree(const Digest& root) { learn(root, 0); }
  void invalidate();

  // Saves what was learned; does nothing when it could not be believed later.
  Status save();

 private:
  std::optional<std::uint64_t> walk(const Digest& root, unsigned depth);
  void learn(const Digest& root, std::uint64_t names);

  const Cas& cas_;
  std::mutex mutex_;  // of all below
  // With the number of names below, each occurrence counted.
  std::unordered_map<std::string, std::uint64_t> known_;
  std::string fingerprint_;  // when this was made
  bool changed_ = false;
};

}  // namespace sluice::store
