// The ZAP handler (rfc.zeromq.org 27): who may connect. On ipc only this user's processes, by the
// peer credentials that libzmq puts into the request's address (":UID:GID:PID"); over TCP the keys
// in the session's access list that may come to that endpoint (access.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

// Make it before any socket with a zap_domain is bound; it answers in the reactor's thread. One per
// context.
class ZapHandler {
 public:
  // `state`: the session's state directory, where the access list is; "": nobody comes from
  // elsewhere.
  static Result<std::unique_ptr<ZapHandler>> create(Context& context, Reactor& reactor,
                                                    const std::string& state = {});
  virtual ~ZapHandler() = default;
  virtual std::uint64_t refused() const = 0;
};

// The domain in which everybody is refused; for prove_enforcement().
inline constexpr const char* kRefuseDomain = "sluice-refuse";

// The domain of the TCP endpoint of the session's socket `name`.
std::string tcp_domain(std::string_view name);

// Connects to a socket of its own in kRefuseDomain, bound in `directory` for as long as it takes,
// and fails unless the connection is refused. Needs the handler; runs the reactor meanwhile.
Status prove_enforcement(Context& context, Reactor& reactor, const std::string& directory);
// Does the same over TCP on the loopback interface, with a key that nobody knows, for each of the
// session's sockets in `names`.
Status prove_curve(Context& context, Reactor& reactor, const CurveKeys& server,
                   std::span<const std::string_view> names);

}  // namespace sluice::wire
