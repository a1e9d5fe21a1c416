// What the cores of the broker's two ROUTER links have in common. A core holds
// a link's state and decides; it sends through a function and is told the time,
// so that unit tests drive it without sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "wire/messages.h"

namespace sluice::broker {

enum class Sent { kSent, kFull, kGone };  // gone: nobody is connected under this identity
using Send =
    std::function<Sent(const std::string& identity, std::string_view name, std::string body)>;

// Both links' numbers (spec/records.md and spec/control.md, "Heartbeats").
inline constexpr std::uint32_t kHeartbeatMs = 1000;
inline constexpr unsigned kExpiryBeats = 10;
inline constexpr std::size_t kMaxPeers = 1024;

// Who is behind a broker's socket.
struct SessionIdentity {
  std::string session;
  std::uint64_t epoch = 0;
};

// Why a HELLO is not taken; "" when it is fine.
std::string wrong_hello(const wire::Hello& hello, std::string_view protocol);

}  // namespace sluice::broker
