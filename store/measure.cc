#include "store/measure.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/try.h"
#include "store/directory.h"

namespace sluice::store {

namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 62;

void add(std::uint64_t& to, std::uint64_t more) { to = more > kMost - to ? kMost : to + more; }

tl::unexpected<Error> too_deep(const Digest& digest) {
  return fail("virtual-fs", "too-deep", digest.hash + ": too many directories in one another");
}

// Seen has directories and files apart, since an empty file's digest is an empty directory's.
struct Seen {
  std::unordered_set<std::string> directories;
  std::unordered_set<std::string> files;
};

Status visit_blobs(const Cas& cas, const Digest& root,
                   const std::function<Status(const BlobUse&)>& visit, Seen& seen, unsigned depth) {
  if (depth > kMaxDepth) return too_deep(root);
  if (!seen.directories.insert(root.hash).second) return {};
  CHECK(visit({root, true}));
  auto directory = TRY(read_directory(cas, root));
  for (const FileNode& file : directory.files) {
    if (!seen.files.insert(file.digest.hash).second) continue;
    CHECK(visit({file.digest, false}));
  }
  for (const DirectoryNode& sub : directory.directories) {
    CHECK(visit_blobs(cas, sub.digest, visit, seen, depth + 1));
  }
  return {};
}

// Below is what lies below one message, and how deep; it is counted when the message is met first.
struct Below {
  TreeSize size;
  unsigned levels = 0;
};

class Measure {
 public:
  explicit Measure(const Cas& cas) : cas_(cas) {}

  Result<Below> measure(const Digest& root, unsigned depth) {
    if (depth > kMaxDepth) return too_deep(root);
    if (const auto known = known_.find(root.hash); known != known_.end()) {
      if (depth + known->second.levels > kMaxDepth) return too_deep(root);
      return known->second;
    }
    auto directory = TRY(read_directory(cas_, root));
    Below below;
    below.size.directories = 1;
    const std::uint64_t names =
        directory.files.size() + directory.directories.size() + directory.symlinks.size();
    add(distinct_, names);
    add(below.size.entries, names);
    below.size.files = directory.files.size();
    for (const FileNode& file : directory.files)
      add(below.size.bytes, static_cast<std::uint64_t>(file.digest.size));
    for (const DirectoryNode& node : directory.directories) {
      auto sub = TRY(measure(node.digest, depth + 1));
      add(below.size.files, sub.size.files);
      add(below.size.bytes, sub.size.bytes);
      add(below.size.directories, sub.size.directories);
      add(below.size.entries, sub.size.entries);
      below.levels = std::max(below.levels, sub.levels + 1);
    }
    known_.emplace(root.hash, below);
    return below;
  }

  std::uint64_t distinct() const { return distinct_; }

 private:
  const Cas& cas_;
  std::uint64_t distinct_ = 0;
  std::unordered_map<std::string, Below> known_;
};

}  // namespace

Status for_each_blob(const Cas& cas, const Digest& root,
                     const std::function<Status(const BlobUse&)>& visit) {
  Seen seen;
  return visit_blobs(cas, root, visit, seen, 0);
}

Result<TreeSize> measure_tree(const Cas& cas, const Digest& root) {
  Measure measure(cas);
  auto below = TRY(measure.measure(root, 0));
  below.size.distinct_entries = measure.distinct();
  return below.size;
}

Status check_unfolded(const Cas& cas, const Digest& root) {
  auto size = TRY(measure_tree(cas, root));
  if (size.entries <= kUnfoldedEntries || size.entries / kUnfoldedRatio <= size.distinct_entries)
    return {};
  return fail("virtual-fs", "unfolds-too-far",
              fmt::format("The tree {} has {} names in its directories, but would have {} on disk",
                          root.hash, size.distinct_entries,
                          size.entries == kMost ? "more than can be counted"
                                                : std::to_string(size.entries)));
}

}  // namespace sluice::store
