// Trees composed in the space of Directory messages: nothing here opens a file's
// content. A subtree that nobody looked into stays the digest that it is.
//
// The rules are those of BuildStream's import_files(): what comes later replaces
// a file or symbolic link, directories are merged, a file can't replace a
// directory that has entries (it is ignored and reported), and a directory can't
// replace a file (an error).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/directory.h"

namespace sluice::store {

// MergeReport is what a merge did. Paths are relative to the tree that was merged from
// ("usr/bin/a").
struct MergeReport {
  std::vector<std::string> written;      // files and links
  std::vector<std::string> overwritten;  // those of them that replaced something
  std::vector<std::string> ignored;      // not written: a directory with entries is there
  // False leaves `written` empty, and saves looking into subtrees that are taken whole.
  bool list_written = true;
};

enum class EntryType : std::uint8_t { kFile, kDirectory, kSymlink };

struct Entry {
  EntryType type = EntryType::kFile;
  Digest digest;  // of a file
  std::string target;
  bool executable = false;
  std::optional<Timestamp> mtime;
};

// Not thread-safe. Refers to the store it was made with, which must outlive it.
// Paths: relative, '/' between names, "" for the root; a leading '/' is allowed;
// ".", ".." and empty names are refused. Errors: domain "virtual-fs", reasons "not-found",
// "not-a-directory", "bad-path", and those of the store.
class Tree {
 public:
  // An empty tree.
  explicit Tree(const Cas& cas);
  // Reads the root only.
  static Result<Tree> open(const Cas& cas, const Digest& root);
  Tree(Tree&&) noexcept;
  Tree& operator=(Tree&&) noexcept;
  ~Tree();

  // Writes the Directory messages that changed; the root's digest. Subtrees
  // that nobody changed cost nothing.
  Result<Digest> store(Cas& cas);
  // The digest that store() would return.
  Result<Digest> digest() const;

  // Called with the path of each file, link and directory, directories after what
  // they hold; true takes it. A directory that has something in it stays in any case.
  using Filter = std::function<bool(std::string_view path)>;

  // Merges the tree `from` in at `path` (made when absent). `report` may be null, which
  // saves looking into subtrees that are taken whole. After an error the tree is half
  // merged: drop it.
  Status merge(const Digest& from, std::string_view path, const Filter& filter = {},
               MergeReport* report = nullptr);

  // Does to this tree what changed from the tree `from` to the tree `to`, which stands above what
  // it has there itself: a workspace's changes in what an earlier build of it left (BuildStream's
  // incremental builds).
  Status apply_changes(const Digest& from, const Digest& to);

  // Makes the directory and its parents. A symbolic link on the way is an error.
  Status make_directory(std::string_view path);
  // Sets the property "SubtreeReadOnly" of a directory that is there.
  Status set_subtree_read_only(std::string_view path, bool read_only);
  Status put_file(std::string_view path, const Digest& blob, bool executable);
  Status put_symlink(std::string_view path, std::string target);
  // Removes a file or a directory with all below it. What is absent is no error.
  Status remove(std::string_view path);

  // The entry at `path`, links not followed; std::nullopt: nothing is there.
  Result<std::optional<Entry>> find(std::string_view path) const;
  // The digest of the directory at `path` ("" for the root); "not-found" when there is none.
  Result<Digest> directory_digest(std::string_view path) const;
  // The same digest; writes what of the directory changed, as store() does for all.
  Result<Digest> store_directory(Cas& cas, std::string_view path);
  // The names in a directory, sorted.
  Result<std::vector<std::string>> names(std::string_view path) const;

  // Visits every path in BuildStream's order of list_relative_paths(): in a directory first
  // its files and links by name, then each subdirectory, itself before its content.
  using Visit = std::function<Status(const std::string& path, const Entry& entry)>;
  Status walk(const Visit& visit) const;
  Result<std::vector<std::string>> list() const;

 private:
  struct Node;
  struct Ops;
  Result<Node*> directory_node(std::string_view path) const;
  const Cas* cas_;
  std::unique_ptr<Node> root_;
};

// Where `path` leads from the directory `from`, as BuildStream opens directories: name after name,
// ".." is the parent, and the root's parent the root. "" is the root, any other directory "/a/b".
// `enter` is called with each directory on the way but parents; its error ends the walk.
Result<std::string> walk_path(
    std::string from, std::string_view path,
    const std::function<Status(const std::string& directory)>& enter = {});

}  // namespace sluice::store
