// Blobs and trees between the store and one server. What comes is checked before it enters the
// store: that it was asked for, its size, its SHA-256, and of directories that they are ones.
//
// Errors: those of peer.h ("misbehaved" for what is wrong in what came) and of the store.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "remote/peer.h"
#include "store/cas.h"

namespace sluice::remote {

// What several transfers into one store are about to fetch: each blob travels once. Thread-safe.
class Claims {
 public:
  // Takes those of `wanted` that nobody has taken; the others come back as `taken`.
  std::vector<Digest> take(const std::vector<Digest>& wanted, std::vector<Digest>& taken);
  void release(const std::vector<Digest>& mine);
  // Waits until nobody fetches any of them any more, or `over` says so; looks at that now and then.
  void wait(const std::vector<Digest>& taken, const std::function<bool()>& over);

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::unordered_set<std::string> claimed_;
};

// What a transfer shares with others, and what ends it: "cancelled", or "unreachable" when it takes
// longer than it may.
struct Together {
  Claims* claims = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  std::optional<std::chrono::steady_clock::time_point> until;
  // Fetches what it can of the blobs from somewhere else first, and gives those that are still to
  // come. The server isn't asked for anything while there are none.
  std::function<std::vector<Digest>(const std::vector<Digest>&)> nearer;
  // When set, a blob that the server doesn't give, or gives other bytes for, counts as one that it
  // doesn't have, and this hears why; from any of the transfer's threads.
  std::function<void(const Error&)> on_wrong;
};

struct Moved {
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> blobs{0};
};

// Moves blobs and trees. Refers to all that it is given; uses threads of its own while it works.
class Transfer {
 public:
  Transfer(store::Cas& cas, Peer& peer, Moved& moved, Together together = {})
      : cas_(cas), peer_(peer), moved_(moved), together_(together) {}

  // The server has answered once.
  bool answered() const { return limit_ > 0; }
  // Fetches, of the trees below `roots` and of `blobs`, what isn't here. Returns what the server
  // doesn't have (of a tree whose directories are missing, those). What came stays in any case.
  Result<std::vector<Digest>> pull(const std::vector<Digest>& roots,
                                   const std::vector<Digest>& blobs);
  // Fetches those of the blobs that the server has, and returns the others.
  Result<std::vector<Digest>> pull_found(const std::vector<Digest>& wanted);
  // Sends what the server doesn't have of them, and returns whether that was anything. Error:
  // "missing-blob" when something isn't here.
  Result<bool> push(const std::vector<Digest>& roots, const std::vector<Digest>& blobs);

 private:
  // The blobs in batches. One that is too large for a batch is alone in its own, and goes by
  // stream.
  using Work = std::vector<std::vector<Digest>>;

  bool cancelled() const { return together_.cancelled != nullptr && *together_.cancelled; }
  Status check_cancelled() const;
  Status learn_limit();
  Work divide(const std::vector<Digest>& digests) const;
  Status each(const Work& work, const std::function<Status(const std::vector<Digest>&)>& move);
  // Of the blobs those that the server says it doesn't have.
  Result<std::vector<Digest>> not_there(const std::vector<Digest>& blobs);
  // What comes of a blob that didn't come as it should: an error, or nothing.
  Status refuse(const Error& error) const;
  Result<std::vector<Digest>> pull_blobs(const std::vector<Digest>& digests);
  Result<std::vector<Digest>> pull_absent(const std::vector<Digest>& digests);
  Result<std::vector<Digest>> pull_batch(const std::vector<Digest>& digests);
  Result<bool> pull_one(const Digest& digest);
  Status push_batch(const std::vector<Digest>& digests);

  store::Cas& cas_;
  Peer& peer_;
  Moved& moved_;
  const Together together_;
  std::size_t limit_ = 0;
};

}  // namespace sluice::remote
