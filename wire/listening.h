// Listening is a socket of the session that others connect to: at its endpoint on ipc, and where
// the session listens on TCP there too, with keys. What the supervisor has made listening
// descriptors for (ServiceOptions::listening, "jobs" and "tcp/jobs") decides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/access.h"
#include "wire/reactor.h"
#include "wire/session.h"
#include "wire/socket.h"

namespace sluice::wire {

// Lives in the thread of its socket.
class Listening {
 public:
  // Bytes of a frame that a subscriber's socket may send, which says topics alone (and takes part
  // in the handshake), and a publisher of live events from elsewhere.
  static constexpr std::int64_t kMostOfSubscriber = 1024;
  static constexpr std::int64_t kMostOfLive = 512 << 10;

  // A socket of `kind` for the endpoint `name`, not bound yet.
  static Result<Listening> create(Context& context, SocketKind kind, const ServiceOptions& service,
                                  std::string_view name, int linger_ms);
  // From now on others can connect.
  Status open();
  Socket& socket() { return socket_; }
  bool remote() const { return tcp_fd_ >= 0; }
  // Ends all connections over TCP. Whoever is still let in comes back by itself.
  Status cut_remote();

 private:
  Listening(Socket socket, std::string endpoint, std::string name)
      : socket_(std::move(socket)), ipc_(std::move(endpoint)), name_(std::move(name)) {}
  Status bind_remote();

  Socket socket_;
  std::string ipc_, name_;
  int tcp_fd_ = -1;  // the supervisor's: each listener of ZeroMQ's gets a duplicate
  std::string server_secret_;
  std::string tcp_;  // as bound
  std::int64_t tcp_most_ = kMostFrameBytes;
};

// Whether the session listens on TCP with one of the sockets in `names`; then that strangers are
// refused there is proven. Called after the ZAP handler was made and before anything is bound.
Status prove_remote(Context& context, Reactor& reactor, const ServiceOptions& service,
                    std::span<const std::string_view> names);

}  // namespace sluice::wire
