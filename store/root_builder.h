// Internal to store/: fills directories with a tree, or with what differs between two.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "store/directory.h"
#include "store/twins.h"

namespace sluice::store {

// For one root: it counts how often each blob occurs, so that no two names share an inode.
class RootBuilder {
 public:
  RootBuilder(const Cas& cas, Twins& twins) : cas_(cas), twins_(twins) {}

  // The whole of `root` into the empty `directory`.
  Status fill(int directory, const Digest& root);
  // What a layer over `from` must hold to show `to`; names that are gone become whiteouts.
  Status fill_delta(int directory, const Digest& from, const Digest& to);

 private:
  Status fill(int directory, const Digest& root, unsigned depth);
  Status delta(int directory, const Directory& from, const Digest& to, unsigned depth);
  Status count(const Digest& root, unsigned depth);
  Status add_file(int directory, const FileNode& file);
  Status add_link(int directory, const SymlinkNode& link);
  Result<UniqueFd> add_directory(int directory, const std::string& name);
  unsigned next(const FileNode& file);

  const Cas& cas_;
  Twins& twins_;
  std::unordered_map<std::string, unsigned> seen_;
};

// How many entries such a layer would hold; stops counting above `limit`.
Result<std::size_t> tree_distance(const Cas& cas, const Digest& from, const Digest& to, std::size_t limit);

// Writes a file of its own (no link) with the blob's content; fixed mtime or the file's own.
Status write_private_file(const Cas& cas, int directory, const FileNode& file, mode_t mode, bool set_times);

}  // namespace sluice::store
