#include "wire/handshake.h"

#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/reactor.h"

namespace sluice::wire {

namespace {

// A connection may break once while a process at the other end is started again.
constexpr unsigned kBrokenHandshakes = 3;

}  // namespace

Status try_handshake(Context& context, const Address& address, Duration timeout) {
  Reactor reactor;
  auto socket = TRY(Socket::create(context, SocketKind::kDealer, {}));
  auto watch = TRY(socket.watch(
      context, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL));
  struct Watched {
    Socket& socket;
    ~Watched() { socket.unwatch(); }
  } const watched{socket};
  CHECK(socket.connect(address));
  std::optional<Status> outcome;
  unsigned broken = 0;
  reactor.on_socket(watch, [&] {
    while (const auto event = watch.receive()) {
      const int what = watched_event(*event);
      if (what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        outcome = Status();
      } else if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        outcome =
            fail("wire", "not-let-in", fmt::format("{} doesn't let this key in", address.endpoint));
      } else if (what != 0 && ++broken >= kBrokenHandshakes) {
        outcome = fail(
            "wire", "wrong-key",
            fmt::format("Whoever listens at {} doesn't have the session's key", address.endpoint));
      }
      if (outcome) return;
    }
  });
  reactor.after(timeout, [&] {
    outcome = fail("wire", "unreachable", fmt::format("Nobody answers at {}", address.endpoint));
  });
  while (!outcome) reactor.run_once(timeout);
  reactor.remove_socket(watch);
  return *outcome;
}

}  // namespace sluice::wire
