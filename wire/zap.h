// The ZAP handler (rfc.zeromq.org 27): who may connect. On ipc only this user's processes, by the
// peer credentials that libzmq puts into the request's address (":UID:GID:PID").
#pragma once

#include <memory>
#include <string>

#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

// Make it before any socket with a zap_domain is bound; it answers in the reactor's thread. One per
// context.
class ZapHandler {
 public:
  static Result<std::unique_ptr<ZapHandler>> create(Context& context, Reactor& reactor);
  virtual ~ZapHandler() = default;
  virtual std::uint64_t refused() const = 0;
};

// The domain in which everybody is refused; for prove_enforcement().
inline constexpr const char* kRefuseDomain = "sluice-refuse";

// Connects to a socket of its own in kRefuseDomain, bound in `directory` for as long as it takes,
// and fails unless the connection is refused. Needs the handler; runs the reactor meanwhile.
Status prove_enforcement(Context& context, Reactor& reactor, const std::string& directory);

}  // namespace sluice::wire
