// The storage service of a runner's own machine (cache.storage-service of its configuration): asked
// for blobs before the session's store is, and offered what went to that one, so that other runners
// find it there.
//
// Nothing that it does is an error (spec/jobs.md, J97, J98). What is wrong is a warning, once for
// each cause; then it rests, longer each time, and is done without meanwhile. One that takes
// nothing can be read all the same. A blob that isn't what its digest says counts as one that it
// doesn't have.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "remote/peer.h"
#include "remote/transfer.h"
#include "store/cas.h"

namespace sluice::remote {

// Thread-safe. Refers to the store, which must outlive it.
class NearStorage {
 public:
  using Connect =
      std::function<Result<std::unique_ptr<Peer>>(const RemoteSpec&, const std::string&)>;

  // `first_rest`: after the first failure; twice as long after each that follows.
  NearStorage(store::Cas& cas, RemoteSpec spec, Connect connect,
              std::chrono::milliseconds first_rest = std::chrono::seconds(5));
  // Gives up what is under way.
  ~NearStorage();
  NearStorage(const NearStorage&) = delete;

  // Fetches those of `wanted` that it has, and gives the others.
  std::vector<Digest> pull(const std::vector<Digest>& wanted, Moved& moved,
                           const std::atomic<bool>& cancelled);

  // What is to be kept, the trees below `roots` and `blobs`; and what has become of it.
  struct Keep {
    std::vector<Digest> roots, blobs;
    Moved moved;
    std::atomic<bool> done{false};
  };
  // Has it offered to the service, later, in another thread. What was made goes before what was
  // only fetched; of either the oldest is forgotten when too much waits.
  void keep_made(std::shared_ptr<Keep> made);
  void keep_fetched(std::vector<Digest> blobs);
  // Waits until that is done, for `time` at most, or until `cancelled`; not at all when it took
  // longer the last time, until the service has taken all that waits.
  void await(const Keep& made, std::chrono::milliseconds time, const std::atomic<bool>& cancelled);

  // Those that nobody has been given.
  std::vector<std::string> take_warnings();

 private:
  using Clock = std::chrono::steady_clock;
  // Reading and writing fail, and rest, each for itself.
  struct Way {
    std::string_view lost;  // what is said of it when it fails
    std::chrono::milliseconds rest{0};
    Clock::time_point until{};
  };
  // Null while that way rests.
  std::shared_ptr<Peer> peer(Way& way);
  void works(Way& way);
  void fails(Way& way, const Error& error);
  void warn(std::string_view what, const Error& error);
  void keep(std::shared_ptr<Keep> kept, bool made);
  void run();

  store::Cas& cas_;
  const RemoteSpec spec_;
  const Connect connect_;
  const std::chrono::milliseconds first_rest_;
  std::atomic<bool> ending_{false};
  std::mutex lock_;  // of all below
  std::condition_variable changed_;
  std::shared_ptr<Peer> peer_;
  Way reading_, writing_;
  std::set<std::string> said_;
  std::vector<std::string> warnings_;
  std::deque<std::shared_ptr<Keep>> made_, fetched_;
  bool behind_ = false;
  std::thread keeper_;
};

}  // namespace sluice::remote
