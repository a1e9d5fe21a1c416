// Quota: how much the cache holds, and making room in it.
//
// The sizes of cas/objects and sluice/files are counted (realised roots are links to those, plus
// their directories). Expiry goes by time of use, oldest first: realised roots and twin files that
// no root uses before blobs, for they can be made again. A blob's time is the later of its access
// time and the modification times of the refs that lead to it. What was used since the first of the
// living processes began (used_since()) stays, so that no session loses what it needs to another.
//
// An expiry that is killed in the middle leaves less in the store and nothing that is broken: refs
// go before what they need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

struct Usage {
  std::uint64_t objects = 0;
  std::uint64_t object_bytes = 0;
  std::uint64_t twin_bytes = 0;
  std::uint64_t total() const { return object_bytes + twin_bytes; }
};

// Looks at every object, of which 100,000 take some 0.2 s. Makes nothing in the directory (nor the
// directory), so that it may be cut off at any point, by the end of its process.
Result<Usage> used(const std::string& cachedir);

// Called by Cas when `bytes` are more than there is room for: removes down to the low watermark,
// and counts the bytes as used. "cas"/"cache-too-full" when that isn't enough; no blob goes where
// that would not be enough.
Status expire_for(const std::string& cachedir, std::uint64_t bytes);

// The time at which the first of the living processes that have opened the store did so, in ns
// since 1970 by fs::stamp_now_ns(); now when there is none. The process `except` doesn't count.
std::int64_t used_since(const std::string& cachedir, pid_t except = 0);

struct ExpireOptions {
  // Roots of trees, and blobs, that stay with all below them.
  std::vector<Digest> pinned;
  // Refs ("artifacts/refs/..." relative to the cachedir) whose artifacts stay.
  std::vector<std::string> pinned_refs;
  // The time since which whatever was used stays: a running build's blobs have no ref yet.
  // Nanoseconds since 1970 by fs::stamp_now_ns(); 0: nothing stays for its time.
  std::int64_t keep_since_ns = 0;
};

struct Expired {
  std::uint64_t objects = 0;
  std::uint64_t roots = 0;
  std::uint64_t refs = 0;  // that lost a blob and were removed
  std::uint64_t bytes = 0;
  // The total after it, in bytes; above the target when the rest was pinned or in use.
  std::uint64_t left = 0;
};

// Removes until at most `target` bytes are used. One process at a time does (the second waits).
// What it frees is gone for whoever looked at it before: a job whose blob is missing
// is made ready again.
Result<Expired> expire_to(const Cas& cas, std::uint64_t target, const ExpireOptions& options = {});

// Removes all that no ref leads to any more and nobody has used since `since_ns`, of what lies
// below `roots` and of `blobs`, with the input roots and twin files that were made of it.
Result<Expired> free_unused(const Cas& cas, const std::vector<Digest>& roots,
                            const std::vector<Digest>& blobs, std::int64_t since_ns);

}  // namespace sluice::store
