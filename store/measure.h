// Walks over and measures of trees by their digests, without unfolding them.
//
// A tree is a graph of messages that share subtrees: twenty messages of 100 bytes, each of
// which names the next one twice, are a million directories on disk. What walks over a tree here
// takes each message once, so its time is that of the messages, not of what they unfold to.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

struct BlobUse {
  Digest digest;
  bool directory = false;  // a Directory message, not a file
};
// Visits each blob that the tree is made of, once: Directory messages before what they name, and
// files. Stops at the first error of `visit`.
Status for_each_blob(const Cas& cas, const Digest& root,
                     const std::function<Status(const BlobUse&)>& visit);

// Counts as they are on disk, each occurrence of a shared subtree counted; they stop at 2^62.
struct TreeSize {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;             // of file content
  std::uint64_t directories = 0;       // the root among them
  std::uint64_t entries = 0;           // names: files, links and directories
  std::uint64_t distinct_entries = 0;  // names in distinct messages
};
Result<TreeSize> measure_tree(const Cas& cas, const Digest& root);

// A tree of more names than this whose messages hold less than a hundredth of them isn't unfolded.
// Real systems have some 500,000 names, of which more than a third are in messages of their own.
inline constexpr std::uint64_t kUnfoldedEntries = 1'000'000;
inline constexpr std::uint64_t kUnfoldedRatio = 100;

// Refuses such a tree, before one from an artifact is written, listed or kept: an error, domain
// "virtual-fs", reason "unfolds-too-far", that names the tree and its counts.
Status check_unfolded(const Cas& cas, const Digest& root);

}  // namespace sluice::store
