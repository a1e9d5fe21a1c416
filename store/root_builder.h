// RootBuilder fills directories with a tree, or with what differs between two. Internal to store/.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "store/directory.h"
#include "store/twins.h"
#include "store/workers.h"

namespace sluice::store {

// A directory that several threads fill: it gets its time, and is closed, when the last of them
// lets go of it.
class OpenFolder {
 public:
  OpenFolder(UniqueFd fd, Workers& workers, std::optional<Timestamp> mtime)
      : fd_(std::move(fd)), workers_(workers), mtime_(mtime) {}
  ~OpenFolder();
  OpenFolder(const OpenFolder&) = delete;

  int get() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  Workers& workers_;
  std::optional<Timestamp> mtime_;
};

// One serves one root: it counts how often each blob occurs, so that no two names share an inode.
class RootBuilder {
 public:
  RootBuilder(const Cas& cas, Twins& twins) : cas_(cas), twins_(twins) {}

  // Writes the whole of `root` into the empty `directory`.
  Status fill(UniqueFd directory, const Digest& root);
  // Writes what a layer over `from` must hold to show `to`; names that are gone become whiteouts.
  Status fill_delta(UniqueFd directory, const Digest& from, const Digest& to);
  // Whether the directories, lowest first, show the files of `root` as they were made. What isn't a
  // file isn't looked at.
  Result<bool> is_good(const std::vector<int>& layers, const Digest& root);

 private:
  using Folder = std::shared_ptr<OpenFolder>;

  Folder opened(UniqueFd fd) {
    return std::make_shared<OpenFolder>(std::move(fd), workers_, Timestamp{kFixedMtime, 0});
  }
  Status fill(const Folder& directory, const Digest& root, unsigned depth);
  Status delta(const Folder& directory, const Directory& from, const Digest& to, unsigned depth);
  Status count(const Digest& root, unsigned depth);
  Status look_at(const std::vector<std::shared_ptr<UniqueFd>>& layers, const Digest& root,
                 unsigned depth);
  // Numbers the files, and gives them to the threads.
  void add_files(const Folder& directory, std::vector<FileNode> files);
  Status add_link(int directory, const SymlinkNode& link);
  Result<UniqueFd> add_directory(int directory, const std::string& name);
  unsigned next(const FileNode& file);

  const Cas& cas_;
  Twins& twins_;
  std::unordered_map<std::string, unsigned> seen_;
  Workers workers_;
};

// The number of entries that a layer over `from` would hold to show `to`; stops counting above
// `limit`.
Result<std::size_t> tree_distance(const Cas& cas, const Digest& from, const Digest& to,
                                  std::size_t limit);

// Writes a file of its own (no link) with the blob's content, which is verified; with `exact`
// exactly the mode, whatever the umask says, and the file's own mtime or the fixed one.
Status write_private_file(const Cas& cas, int directory, const FileNode& file, mode_t mode,
                          bool exact);

}  // namespace sluice::store
