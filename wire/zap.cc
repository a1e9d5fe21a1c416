#include "wire/zap.h"

#include <charconv>
#include <functional>

#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"
#include "base/try.h"

namespace sluice::wire {

namespace {

constexpr const char* kEndpoint = "inproc://zeromq.zap.01";

// The user id in "HOST:UID:GID:PID": libzmq appends the credentials of an ipc peer to its address,
// whose own part may be empty. The numbers are taken from the end, so that nothing in that part can
// stand for them.
std::optional<uid_t> uid_of(std::string_view address) {
  for (int i = 0; i < 2; ++i) {
    const auto colon = address.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    address = address.substr(0, colon);
  }
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view number = address.substr(colon + 1);
  uid_t uid = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), uid);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  return uid;
}

constexpr std::string_view kTcpDomains = "sluice-tcp/";

class Handler final : public ZapHandler {
 public:
  Handler(Socket socket, Reactor& reactor, const std::string& state)
      : socket_(std::move(socket)), reactor_(reactor) {
    if (!state.empty()) access_.emplace(state);
    reactor_.on_socket(socket_, [this] { receive(); });
  }
  ~Handler() override { reactor_.remove_socket(socket_); }
  std::uint64_t refused() const override { return refused_; }

 private:
  // A request: version, request id, domain, address, identity, mechanism, credentials.
  void receive() {
    while (const auto request = socket_.receive()) {
      if (request->size() < 6 || (*request)[0] != "1.0") {
        // A REP that doesn't answer takes no further request.
        socket_.send(Frames{"1.0", request->size() > 1 ? (*request)[1] : "", "500",
                            "malformed request", "", ""});
        continue;
      }
      const std::string& domain = (*request)[2];
      const std::string user = domain.starts_with(kTcpDomains)
                                   ? remote_user(*request, domain.substr(kTcpDomains.size()))
                                   : local_user(*request, domain);
      if (user.empty()) ++refused_;
      socket_.send(Frames{"1.0", (*request)[1], user.empty() ? "400" : "200",
                          user.empty() ? "not let in" : "OK", user, ""});
    }
  }

  // "" when the connection is refused.
  static std::string local_user(const Frames& request, std::string_view domain) {
    const auto uid = uid_of(request[3]);
    const bool allowed =
        domain != kRefuseDomain && request[5] == "NULL" && uid && (*uid == ::getuid() || *uid == 0);
    return allowed ? std::string(kOwnerId) : std::string();
  }

  std::string remote_user(const Frames& request, std::string_view endpoint) {
    if (!access_ || request.size() < 7 || request[5] != "CURVE") return {};
    const AccessEntry* entry = access_->by_key(z85_of(request[6]), system_clock().wall_ns());
    return entry != nullptr && may_connect(*entry, endpoint) ? user_id_of(*entry) : std::string();
  }

  Socket socket_;
  Reactor& reactor_;
  std::optional<AccessReader> access_;
  std::uint64_t refused_ = 0;
};

}  // namespace

std::string tcp_domain(std::string_view name) {
  return std::string(kTcpDomains) + std::string(name);
}

Result<std::unique_ptr<ZapHandler>> ZapHandler::create(Context& context, Reactor& reactor,
                                                       const std::string& state) {
  auto socket = TRY(Socket::create(context, SocketKind::kRep, {}));
  CHECK(socket.bind(kEndpoint));
  return std::make_unique<Handler>(std::move(socket), reactor, state);
}

namespace {

// Binds a socket by `bind`, connects to it, and fails unless the connection is refused.
Status prove_refused(Context& context, Reactor& reactor, const SocketOptions& options,
                     const std::function<Result<std::string>(Socket&)>& bind,
                     const std::function<Address(const std::string&)>& address) {
  auto server = TRY(Socket::create(context, SocketKind::kRouter, options));
  auto watch = TRY(server.watch(
      context, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL));
  // The client goes on trying, and is refused again, until it is closed, which it is before the
  // watch.
  struct Watched {
    Socket& socket;
    ~Watched() { socket.unwatch(); }
  } const watched{server};
  const std::string endpoint = TRY(bind(server));
  auto client = TRY(Socket::create(context, SocketKind::kDealer, {}));
  CHECK(client.connect(address(endpoint)));

  // The handler that refuses runs in the same reactor.
  std::optional<int> seen;
  reactor.on_socket(watch, [&] {
    const auto event = watch.receive();
    if (event && !seen) seen = watched_event(*event);
  });
  const auto timer = reactor.after(std::chrono::seconds(5), [&] { seen = seen.value_or(0); });
  while (!seen) reactor.run_once(std::chrono::seconds(1));
  reactor.cancel(timer);
  reactor.remove_socket(watch);
  if (*seen != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    return fail(
        "wire", "no-authentication",
        "a connection that should have been refused was not: this libzmq does not enforce ZAP");
  }
  return {};
}

}  // namespace

Status prove_enforcement(Context& context, Reactor& reactor, const std::string& directory) {
  // libzmq leaves the file of an ipc socket behind.
  struct Path {
    std::string name;
    ~Path() { ::unlink(name.c_str()); }
  } const path{directory + "/zap-" + std::to_string(::getpid())};
  SocketOptions options;
  options.zap_domain = kRefuseDomain;
  return prove_refused(
      context, reactor, options,
      [&](Socket& server) -> Result<std::string> {
        CHECK(server.bind("ipc://" + path.name));
        return "ipc://" + path.name;
      },
      [](const std::string& endpoint) { return Address(endpoint); });
}

Status prove_curve(Context& context, Reactor& reactor, const CurveKeys& server,
                   std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const CurveKeys stranger = TRY(make_curve_keys());
    CHECK(prove_refused(
        context, reactor, {},
        [&](Socket& socket) {
          return socket.bind_curve("tcp://127.0.0.1:*", name, server.secret_key, -1);
        },
        [&](const std::string& endpoint) {
          return Address(endpoint, CurveClient{server.public_key, stranger});
        }));
  }
  return {};
}

}  // namespace sluice::wire
