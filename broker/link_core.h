// What the cores of the broker's two ROUTER links have in common. A core holds a link's state and
// decides; it sends through a function and is told the time, so that unit tests drive it without
// sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "wire/hello.h"
#include "wire/messages.h"

namespace sluice::broker {

enum class Sent { kSent, kFull, kGone };  // gone: nobody is connected under this identity
using Send =
    std::function<Sent(const std::string& identity, std::string_view name, std::string body)>;

// Both links' numbers (spec/records.md and spec/control.md, "Heartbeats").
inline constexpr std::uint32_t kHeartbeatMs = 1000;
inline constexpr unsigned kExpiryBeats = 10;
inline constexpr std::size_t kMaxPeers = 1024;

// The session, and the process, behind a broker's socket.
struct SessionIdentity {
  std::string session;
  std::uint64_t epoch = 0;
};

// The HELLO in `body`, or why it is REFUSED ("malformed" among the reasons). `has_room`: one more
// peer can be taken, or it is known already.
tl::expected<wire::Hello, std::string_view> admit(std::string_view body, std::string_view protocol,
                                                  bool has_room);

// What WELCOME says on both links.
wire::Welcome welcome_to(const SessionIdentity& session);

}  // namespace sluice::broker
