// Directory messages of the Remote Execution API as plain data, their one
// canonical encoding, and the import of a directory from disk.
//
// The encoding has its entries sorted by the bytes of their names, and leaves default values out.
// An empty directory is the empty message. The digests are those that BuildStream makes: `local`
// sources' unique keys and artifacts' files are digests of these.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/cas.h"
#include "store/look.h"

namespace sluice::store {

struct Timestamp {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  auto operator<=>(const Timestamp&) const = default;
};

struct FileNode {
  std::string name;
  Digest digest;
  bool executable = false;
  std::optional<Timestamp> mtime;  // only in workspaces' artifacts
  bool operator==(const FileNode&) const = default;
};

struct DirectoryNode {
  std::string name;
  Digest digest;
  bool operator==(const DirectoryNode&) const = default;
};

struct SymlinkNode {
  std::string name;
  std::string target;
  bool operator==(const SymlinkNode&) const = default;
};

struct Directory {
  std::vector<FileNode> files;
  std::vector<DirectoryNode> directories;
  std::vector<SymlinkNode> symlinks;
  std::optional<Timestamp> mtime;
  // The property "SubtreeReadOnly", which BuildStream's script elements use.
  std::optional<bool> subtree_read_only;
  bool operator==(const Directory&) const = default;
};

// Directories deeper than this are refused, whatever made them.
inline constexpr unsigned kMaxDepth = 512;

// Whether a name may stand in a Directory: it isn't empty, "." or "..", has no '/' and no NUL, and
// at most 255 bytes.
bool valid_entry_name(std::string_view name);

// Encodes the entries in their order. Names must be valid and unique, or our own code is wrong (an
// assert).
std::string encode_directory(const Directory& directory);
// Decodes a message; entries come back sorted. Invalid names, two entries of one name and invalid
// digests are refused: domain "virtual-fs", reason "bad-directory".
Result<Directory> decode_directory(std::string_view bytes);
// Reads a Directory message from the store.
Result<Directory> read_directory(const Cas& cas, const Digest& digest);

// A tree as it looked, with what somebody remembers of files that looked so before: an unchanged
// one needn't be read again. Which looks are worth remembering (times are coarse) is the
// implementer's to know. For one thread.
class KnownTree {
 public:
  virtual ~KnownTree() = default;
  virtual const LookedTree& looked() const = 0;
  // `files`: the regular ones of `in`, in its order. Those whose content is known are given their
  // digests, the others none. `folder` is relative to the tree, "" for its root.
  virtual void find(const std::string& folder, const LookedFolder& in,
                    std::vector<FileNode>& files) = 0;
  // Remembers the files of a folder, when all have their digests.
  virtual void keep(const std::string& folder, const LookedFolder& in,
                    const std::vector<FileNode>& files) = 0;
};

struct ImportOptions {
  // Record the mtimes of files and directories, in whole microseconds, as casd does
  // when it is asked to (BuildStream asks for workspaces only; an artifact's own root has none:
  // merge the result into an empty Tree).
  bool mtime = false;
  // The number of threads that read and hash; 0: as many as there are processors, at most 8. Small
  // trees are done in the calling thread.
  unsigned threads = 0;
  // Called with each relative path ("a/b", no leading '/'), in the calling thread; false leaves the
  // entry and all below it out.
  std::function<bool(std::string_view path)> filter;
  // Gets the paths of sockets, devices and FIFOs, which are left out as casd does, so that somebody
  // can be told.
  std::vector<std::string>* skipped = nullptr;
  // Files are moved into the store where that can be (Cas::take): what is left of the tree
  // is for removal. Nobody may have one of them open for writing any more.
  bool consume = false;
  // The path by which errors name the tree, as a build sees it instead of where it lies; unset: as
  // it is called.
  std::optional<std::string> shown;
  // With a known tree (it may be null), the tree is taken as it looked, and not looked at again. A
  // file's known content counts when the blob is in the store: `present` says so, from several
  // threads, or if it is unset Cas::touch().
  KnownTree* known = nullptr;
  std::function<bool(const Digest&)> present;
};

// Enters the tree below `path` into the store and returns its root's digest. As
// casd does: a file is executable when its owner may execute it (S_IXUSR), other
// mode bits, owners, xattrs and hard links are not kept, symbolic links are kept
// as written and never followed (but `path` itself may be one). Names and targets must be
// UTF-8, or BuildStream can't read the tree: "virtual-fs", "bad-name".
Result<Digest> import_tree(Cas& cas, const std::string& path, const ImportOptions& options = {});
// Gives the same digest without storing anything; needs no store.
Result<Digest> hash_tree(const std::string& path, const ImportOptions& options = {});
// Imports a tree with one regular file, called `name` in it, as a `local` source of a single file
// is. The file is executable when this process may execute it (access(2)), as BuildStream asks.
Result<Digest> import_file_as_tree(Cas& cas, const std::string& path, std::string_view name);
Result<Digest> hash_file_as_tree(const std::string& path, std::string_view name);

}  // namespace sluice::store
