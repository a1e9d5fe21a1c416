// Trees on disk: input roots for sandboxes, private copies, checkouts.
//
//   CACHEDIR/sluice/files/ab/cdef...-644.N, -755.N   twin files: one per blob and mode,
//                                  linked into roots. Never an inode of cas/objects.
//   CACHEDIR/sluice/roots/HASH-SIZE/tree             an input root, realised once
//   CACHEDIR/sluice/roots/HASH-SIZE/layers           its lower layers' names, a line each,
//                                  the lowest first
//
// No two names in one root share an inode (the Nth occurrence of a blob links twin N), or tar and
// cp -a inside of a build would see hard links that BuildStream doesn't show. All times are
// kFixedMtime, directories 0755, the owner is the user who runs Sluice. The roots are only ever
// bound read-only or used as overlay lower layers. A root appears by rename: of two that realise
// the same, the second discards its own.
//
// What is linked or used was hashed when it was made, or is the first time that a Realiser, in this
// process or one forked from it, meets it; after that its size, mode and time are enough. What is
// damaged is made again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

// An input root in use. While it lives, expiry leaves it alone (a shared lock
// that ends with the process, however it ends).
struct RealisedRoot {
  // Absolute paths, lowest first. One is to be bound, more are to be layers of an overlay.
  std::vector<std::string> layers;
  bool reused = false;  // the root was there already
  std::vector<UniqueFd> locks;
};

struct RealiseOptions {
  // A new root may be an existing one plus a layer of what differs, up to this many layers in all.
  // 1: always a single directory.
  unsigned max_layers = 1;
};

// Thread-safe; processes may realise the same root at the same time.
class Realiser {
 public:
  static Result<Realiser> open(Cas& cas, RealiseOptions options = {});
  Realiser(Realiser&&) noexcept;
  Realiser& operator=(Realiser&&) noexcept;
  ~Realiser();

  // Takes the root that is there, or makes it.
  Result<RealisedRoot> realise(const Digest& root);
  bool is_realised(const Digest& root) const;
  // The names of the roots that don't show their tree's files as they were made, among those whose
  // Directory messages are there.
  Result<std::vector<std::string>> damaged();

 private:
  struct State;
  explicit Realiser(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Makes a private, writable copy of a tree in `directory`, which is made, or must be empty:
// files 0644 or 0755, directories 0755, all times kFixedMtime (or what the
// tree says), reflinked where the filesystem can. For sources to build in.
Status copy_out(const Cas& cas, const Digest& root, const std::string& directory);

struct CheckoutOptions {
  // Writes into a directory that has entries, replacing files (BuildStream's --force).
  bool force = false;
  bool hardlinks = false;  // links to read-only twin files instead of copies
  bool fixed_mtime = false;
};
// Writes a tree for `artifact checkout`. Never writes outside of `directory`: a symbolic link in
// the tree or in the directory is never followed below it. "virtual-fs": "directory-not-empty".
Status checkout(Cas& cas, const Digest& root, const std::string& directory,
                const CheckoutOptions& options = {});

}  // namespace sluice::store
