// The helper of a runner that has a store of its own (wire/blob_helper.h), without its socket:
// fetches what jobs need from the session's store, and sends it what they made.
//
// A fetch asks the own store first; what isn't there comes in batches over all inputs of the job,
// trees breadth first, from the storage service of this machine where there is one
// (near_storage.h), else from the session's store. Two requests that need one blob fetch it once.
// What is whole is remembered. Refs are written when all that they name is here, and only below the
// store's own directories.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "remote/near_storage.h"
#include "remote/peer.h"
#include "remote/transfer.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/space.h"
#include "wire/blob_helper.h"

namespace sluice::remote {

class BlobHelper {
 public:
  // Called from threads of the helper, one at a time. A reply with `waits` is not the end.
  using Answer = std::function<void(const wire::HelperReply&)>;
  using Connect = NearStorage::Connect;

  // `first_pause`: between the first two tries to reach the server; twice as long each time after.
  static Result<std::unique_ptr<BlobHelper>> open(
      const wire::HelperOpen& open, const Connect& connect, Answer answer,
      std::chrono::milliseconds first_pause = std::chrono::seconds(1));
  // Cancels what is under way, and waits for its end.
  ~BlobHelper();
  BlobHelper(const BlobHelper&) = delete;

  // Begins a request, in a thread of its own, and returns at once.
  void take(wire::HelperRequest request);

 private:
  struct Work;
  BlobHelper(wire::HelperOpen open, store::Cas cas, std::unique_ptr<Peer> peer,
             const Connect& connect, Answer answer, std::chrono::milliseconds first_pause);
  void run(const std::shared_ptr<Work>& work);
  // Does the request, again while the server can't be reached.
  Status do_patiently(Work& work, wire::HelperReply& reply);
  Status do_once(Work& work, wire::HelperReply& reply);
  Status fetch(Work& work);
  Status upload(Work& work, wire::HelperReply& reply);
  Status adopt(const wire::JobInput& input, const std::string& bytes);
  void answer(const wire::HelperReply& reply);
  void doubt();
  // Returns false when the work was cancelled meanwhile.
  bool pause(Work& work, std::chrono::milliseconds time);

  const wire::HelperOpen open_;
  store::Cas cas_;
  store::Completeness complete_;
  const std::unique_ptr<Peer> peer_;
  const std::unique_ptr<NearStorage> near_;  // null without a storage service
  const Answer answer_;
  const std::chrono::milliseconds first_pause_;
  Claims claims_;
  std::optional<store::Space> space_;
  std::atomic<std::uint64_t> expiries_{0};
  std::mutex answer_lock_;
  std::mutex lock_;  // of all below
  std::condition_variable changed_;
  std::map<std::uint64_t, std::shared_ptr<Work>> works_;
  unsigned fetching_ = 0;
  unsigned threads_ = 0;
};

}  // namespace sluice::remote
