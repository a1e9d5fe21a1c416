// Counts the bytes that ZeroMQ has of us for a peer and that haven't left yet: whoever asks again
// and again and reads nothing would have all answers kept.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "broker/link_core.h"

namespace sluice::broker {

// One thread; what hold() gives may be let go by any.
class UnderWay {
 public:
  // Of one peer, after which it gets nothing more; and of all, after which it gets little, and only
  // when it has everything else. A message is whole: that much may be exceeded by one.
  static constexpr std::size_t kMostOfPeer = 2u << 20;
  static constexpr std::size_t kMost = 256u << 20;
  static constexpr std::size_t kMessage = 1u << 20;
  static constexpr std::size_t kLittle = 64u << 10;
  // What a message takes besides its bytes.
  static constexpr std::size_t kOverhead = 256;

  // How many bytes the next message to that peer may have; 0: none for now.
  std::size_t room(const std::string& identity) const {
    const auto found = of_peer_.find(identity);
    const std::size_t has = found == of_peer_.end() ? 0 : found->second->load();
    if (*all_ < kMost) return has < kMostOfPeer ? kMessage : 0;
    return has == 0 ? kLittle : 0;
  }

  // Counts a message's bytes, until what is returned is let go.
  std::shared_ptr<void> hold(const std::string& identity, std::size_t bytes) {
    auto& count = of_peer_[identity];
    if (!count) count = std::make_shared<std::atomic<std::size_t>>(0);
    bytes += kOverhead;
    *count += bytes;
    *all_ += bytes;
    return {count.get(), [of_peer = count, all = all_, bytes](void*) {
              *of_peer -= bytes;
              *all -= bytes;
            }};
  }

  // Forgets those who have everything.
  void sweep() {
    std::erase_if(of_peer_, [](const auto& entry) { return *entry.second == 0; });
  }

  std::size_t bytes() const { return *all_; }
  std::size_t peers() const { return of_peer_.size(); }

 private:
  using Count = std::shared_ptr<std::atomic<std::size_t>>;
  std::map<std::string, Count> of_peer_;
  Count all_ = std::make_shared<std::atomic<std::size_t>>(0);
};

// As Send. `held` is to be let go when the body's bytes have left.
using HeldSend = std::function<Sent(const std::string& identity, std::string_view name,
                                    std::string body, std::shared_ptr<void> held)>;

// Sends by `send`, and of the messages of that name, which peers get for the asking, only as many
// as there is room for: kFull. `under_way` must outlive it.
inline Send bounded(HeldSend send, UnderWay& under_way, std::string_view name) {
  return [send = std::move(send), &under_way, bound = std::string(name)](
             const std::string& identity, std::string_view which, std::string body) {
    if (which != bound) return send(identity, which, std::move(body), {});
    if (under_way.room(identity) == 0) return Sent::kFull;
    auto held = under_way.hold(identity, body.size());
    return send(identity, which, std::move(body), std::move(held));
  };
}

}  // namespace sluice::broker
