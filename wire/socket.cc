#include "wire/socket.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/threads.h"
#include "base/try.h"
#include "wire/zap.h"

namespace sluice::wire {

namespace {

// A body of so many bytes is handed over to ZeroMQ; a smaller one is copied, which costs less than
// handing over.
constexpr std::size_t kHandOver = 2048;

// ZMQ_ZAP_ENFORCE_DOMAIN: implemented in libzmq 4.3, declared by zmq.h among the drafts only, which
// Debian leaves out.
constexpr int kZapEnforceDomain = 93;

// How long somebody from elsewhere may take until his key is known.
constexpr int kTcpHandshakeMs = 10000;
// After how long a machine that doesn't answer is taken to be cut off: the connection ends, and is
// made again as soon as that works, which TCP by itself would find out after minutes.
constexpr int kTcpSilenceMs = 20000;
constexpr int kTcpConnectMs = 5000;
// Beside a frame's content, on a connection with CURVE: "MESSAGE", nonce, MAC and flags.
constexpr std::int64_t kCurveOverhead = 8 + 8 + 16 + 1;

// A connection that is dead is the kernel's to find, whether something is under way on it or not;
// that a peer works is for each protocol's HEARTBEAT to find out. For ZeroMQ's own heartbeats its
// I/O thread would look through the timers of all connections at each answer.
bool set_tcp_options(void* handle) {
  const auto set = [&](int option, int value) {
    return zmq_setsockopt(handle, option, &value, sizeof value) == 0;
  };
  return set(ZMQ_TCP_MAXRT, kTcpSilenceMs) && set(ZMQ_TCP_KEEPALIVE, 1) &&
         set(ZMQ_TCP_KEEPALIVE_IDLE, kTcpSilenceMs / 4000) &&
         set(ZMQ_TCP_KEEPALIVE_INTVL, kTcpSilenceMs / 4000) && set(ZMQ_TCP_KEEPALIVE_CNT, 3) &&
         set(ZMQ_CONNECT_TIMEOUT, kTcpConnectMs) && set(ZMQ_IPV6, 1);
}

int zmq_kind(SocketKind kind) {
  switch (kind) {
    case SocketKind::kRouter: return ZMQ_ROUTER;
    case SocketKind::kDealer: return ZMQ_DEALER;
    case SocketKind::kPub: return ZMQ_PUB;
    case SocketKind::kSub: return ZMQ_SUB;
    case SocketKind::kXPub: return ZMQ_XPUB;
    case SocketKind::kXSub: return ZMQ_XSUB;
    case SocketKind::kRep: return ZMQ_REP;
    case SocketKind::kPair: return ZMQ_PAIR;
  }
  return ZMQ_DEALER;
}

tl::unexpected<Error> socket_error(const std::string& what) {
  return fail("wire", "socket", what + ": " + zmq_strerror(zmq_errno()));
}

// Sends a frame; false when that can't be sent now.
bool send_frame(void* socket, std::string_view frame, int flags) {
  int sent;
  do {
    sent = zmq_send(socket, frame.data(), frame.size(), ZMQ_DONTWAIT | flags);
  } while (sent < 0 && zmq_errno() == EINTR);
  return sent >= 0;
}

struct Handed {
  std::string body;
  std::shared_ptr<void> held;
};

bool send_body(void* socket, std::string body, std::shared_ptr<void> held = {}) {
  if (body.size() < kHandOver && !held) return send_frame(socket, body, 0);
  auto owned = std::make_unique<Handed>(Handed{std::move(body), std::move(held)});
  zmq_msg_t message;
  // The I/O thread calls this when the bytes have left.
  const auto release = [](void*, void* handed) { delete static_cast<Handed*>(handed); };
  if (zmq_msg_init_data(&message, owned->body.data(), owned->body.size(), release, owned.get()) !=
      0)
    return false;
  owned.release();
  int sent;
  do {
    sent = zmq_msg_send(&message, socket, ZMQ_DONTWAIT);
  } while (sent < 0 && zmq_errno() == EINTR);
  if (sent < 0) zmq_msg_close(&message);
  return sent >= 0;
}

}  // namespace

zmq_msg_t* Received::add() {
  if (count_ == kMaxFrames) return nullptr;
  zmq_msg_init(&messages_[count_]);
  return &messages_[count_++];
}

// The process is the last number of "HOST:UID:GID:PID" (zap.cc).
pid_t Received::peer() const {
  if (count_ == 0) return 0;
  const char* address =
      zmq_msg_gets(const_cast<zmq_msg_t*>(&messages_[count_ - 1]), "Peer-Address");
  const char* number = address == nullptr ? nullptr : std::strrchr(address, ':');
  if (number == nullptr) return 0;
  pid_t process = 0;
  std::from_chars(number + 1, number + std::strlen(number), process);
  return process;
}

std::string_view Received::user_id() const {
  if (count_ == 0) return {};
  const char* id = zmq_msg_gets(const_cast<zmq_msg_t*>(&messages_[count_ - 1]), "User-Id");
  return id == nullptr ? std::string_view() : std::string_view(id);
}

void Received::clear() {
  while (count_ > 0) zmq_msg_close(&messages_[--count_]);
}

Context::Context() : handle_(zmq_ctx_new()) { zmq_ctx_set(handle_, ZMQ_BLOCKY, 0); }

Context::~Context() { zmq_ctx_term(handle_); }

Status Context::may_start() {
  if (started_) return {};
  // ZeroMQ's threads are two, and two of ours show whether the system would refuse them.
  std::atomic<bool> over{false};
  Helpers helpers;
  Status added;
  for (int i = 0; i < 2 && added; ++i) added = helpers.add([&] { over.wait(false); });
  over = true;
  over.notify_all();
  helpers.join();
  if (added) started_ = true;
  return added;
}

Result<Socket> Socket::create(Context& context, SocketKind kind, const SocketOptions& options) {
  CHECK(context.may_start());
  void* handle = zmq_socket(context.handle(), zmq_kind(kind));
  if (handle == nullptr) return socket_error("zmq_socket");
  Socket socket(handle);
  bool fine = true;
  const auto set_int = [&](int option, int value) {
    fine = fine && zmq_setsockopt(handle, option, &value, sizeof value) == 0;
  };
  set_int(ZMQ_SNDHWM, options.high_water_mark);
  set_int(ZMQ_RCVHWM, options.high_water_mark);
  set_int(ZMQ_LINGER, options.linger_ms);
  fine = fine && zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &options.max_message,
                                sizeof options.max_message) == 0;
  set_int(ZMQ_RECONNECT_IVL, options.reconnect_ms);
  set_int(ZMQ_RECONNECT_IVL_MAX, 1000);
  set_int(ZMQ_HANDSHAKE_IVL, 30000);
  if (kind == SocketKind::kRouter) set_int(ZMQ_ROUTER_MANDATORY, options.router_mandatory ? 1 : 0);
  if (options.connected_only) set_int(ZMQ_IMMEDIATE, 1);
  if (options.probe_router) set_int(ZMQ_PROBE_ROUTER, 1);
  if (kind == SocketKind::kXPub) set_int(ZMQ_XPUB_VERBOSE, options.each_subscription ? 1 : 0);
  if (options.use_fd >= 0) set_int(ZMQ_USE_FD, options.use_fd);
  if (!options.zap_domain.empty()) {
    fine = fine && zmq_setsockopt(handle, ZMQ_ZAP_DOMAIN, options.zap_domain.data(),
                                  options.zap_domain.size()) == 0;
    set_int(kZapEnforceDomain, 1);
  }
  if (!fine) return socket_error("zmq_setsockopt");
  return socket;
}

Socket::Socket(Socket&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Socket::~Socket() {
  if (handle_ != nullptr) zmq_close(handle_);
}

Status Socket::bind(const std::string& endpoint) {
  if (zmq_bind(handle_, endpoint.c_str()) != 0) return socket_error("bind " + endpoint);
  return {};
}

// libzmq's listeners keep the options that the socket had when they were bound, so that those on
// ipc that were bound before go on without keys.
Result<std::string> Socket::bind_curve(const std::string& endpoint, std::string_view name,
                                       std::string_view server_secret, int use_fd,
                                       std::int64_t max_message) {
  const std::string domain = tcp_domain(name);
  const std::string secret(server_secret);
  const int on = 1;
  const int handshake_ms = kTcpHandshakeMs;
  const std::int64_t most = max_message + kCurveOverhead;
  const bool fine =
      zmq_setsockopt(handle_, ZMQ_CURVE_SERVER, &on, sizeof on) == 0 &&
      zmq_setsockopt(handle_, ZMQ_CURVE_SECRETKEY, secret.c_str(), secret.size() + 1) == 0 &&
      zmq_setsockopt(handle_, ZMQ_ZAP_DOMAIN, domain.data(), domain.size()) == 0 &&
      zmq_setsockopt(handle_, kZapEnforceDomain, &on, sizeof on) == 0 &&
      zmq_setsockopt(handle_, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms) == 0 &&
      zmq_setsockopt(handle_, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0 &&
      set_tcp_options(handle_) && zmq_setsockopt(handle_, ZMQ_USE_FD, &use_fd, sizeof use_fd) == 0;
  if (!fine) return socket_error("zmq_setsockopt");
  CHECK(bind(endpoint));
  return last_endpoint();
}

Status Socket::unbind(const std::string& endpoint) {
  if (zmq_unbind(handle_, endpoint.c_str()) != 0) return socket_error("unbind " + endpoint);
  return {};
}

Status Socket::connect(const Address& address) {
  if (address.curve) {
    const auto set = [&](int option, const std::string& key) {
      return zmq_setsockopt(handle_, option, key.c_str(), key.size() + 1) == 0;
    };
    if (!set(ZMQ_CURVE_SERVERKEY, address.curve->server_key) ||
        !set(ZMQ_CURVE_PUBLICKEY, address.curve->keys.public_key) ||
        !set(ZMQ_CURVE_SECRETKEY, address.curve->keys.secret_key) || !set_tcp_options(handle_))
      return socket_error("a key for " + address.endpoint);
  }
  if (zmq_connect(handle_, address.endpoint.c_str()) != 0)
    return socket_error("connect " + address.endpoint);
  return {};
}

Status Socket::subscribe(std::string_view prefix) {
  if (zmq_setsockopt(handle_, ZMQ_SUBSCRIBE, prefix.data(), prefix.size()) != 0)
    return socket_error("subscribe");
  return {};
}

Status Socket::unsubscribe(std::string_view prefix) {
  if (zmq_setsockopt(handle_, ZMQ_UNSUBSCRIBE, prefix.data(), prefix.size()) != 0)
    return socket_error("unsubscribe");
  return {};
}

void Socket::drop_unsent() {
  const int none = 0;
  zmq_setsockopt(handle_, ZMQ_LINGER, &none, sizeof none);
}

Result<Socket> Socket::watch(Context& context, int events) {
  char endpoint[64];
  std::snprintf(endpoint, sizeof endpoint, "inproc://sluice.watch-%p", handle_);
  if (zmq_socket_monitor(handle_, endpoint, events) != 0) return socket_error("zmq_socket_monitor");
  auto watch = create(context, SocketKind::kPair, {});
  if (!watch) {
    unwatch();
    return watch;
  }
  if (auto connected = watch->connect(endpoint); !connected) {
    unwatch();
    return forward(connected);
  }
  return watch;
}

void Socket::unwatch() { zmq_socket_monitor(handle_, nullptr, 0); }

Result<CurveKeys> make_curve_keys() {
  char public_key[41];
  char secret_key[41];
  if (zmq_curve_keypair(public_key, secret_key) != 0) return socket_error("zmq_curve_keypair");
  return CurveKeys{public_key, secret_key};
}

std::string z85_of(std::string_view key) {
  char text[41];
  if (key.size() != 32 || zmq_z85_encode(text, reinterpret_cast<const std::uint8_t*>(key.data()),
                                         key.size()) == nullptr)
    return {};
  return text;
}

int watched_event(const Frames& frames) {
  if (frames.empty() || frames[0].size() < 2) return 0;
  return static_cast<unsigned char>(frames[0][0]) | (static_cast<unsigned char>(frames[0][1]) << 8);
}

// Only a message's first frame can be refused: the others follow it into the same pipe.
bool Socket::send(const Frames& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!send_frame(handle_, frames[i], i + 1 < frames.size() ? ZMQ_SNDMORE : 0)) return false;
  }
  return true;
}

bool Socket::send(std::string_view name, std::string body) {
  return send_frame(handle_, name, ZMQ_SNDMORE) && send_body(handle_, std::move(body));
}

bool Socket::send_to(std::string_view identity, std::string_view name, std::string body,
                     std::shared_ptr<void> held) {
  return send_frame(handle_, identity, ZMQ_SNDMORE) && send_frame(handle_, name, ZMQ_SNDMORE) &&
         send_body(handle_, std::move(body), std::move(held));
}

std::optional<Frames> Socket::receive() {
  Received message;
  if (!receive(message)) return std::nullopt;
  return Frames(message.frames().begin(), message.frames().end());
}

bool Socket::receive(Received& message) {
  for (;;) {
    message.clear();
    bool more = true;
    bool fits = true;
    while (more) {
      zmq_msg_t* frame = message.add();
      if (frame == nullptr) {
        // All of a message that is too long is taken, and none kept.
        fits = false;
        message.clear();
        frame = message.add();
      }
      int got;
      do {
        got = zmq_msg_recv(frame, handle_, ZMQ_DONTWAIT);
      } while (got < 0 && zmq_errno() == EINTR);
      if (got < 0) {
        message.clear();
        return false;
      }
      message.views_[message.count_ - 1] = {static_cast<const char*>(zmq_msg_data(frame)),
                                            zmq_msg_size(frame)};
      more = zmq_msg_more(frame) != 0;
    }
    if (fits) return true;
  }
}

bool Socket::readable() const {
  int events = 0;
  std::size_t size = sizeof events;
  return zmq_getsockopt(handle_, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

std::string Socket::last_endpoint() const {
  char buffer[1024];
  std::size_t size = sizeof buffer;
  if (zmq_getsockopt(handle_, ZMQ_LAST_ENDPOINT, buffer, &size) != 0 || size == 0) return {};
  return std::string(buffer, size - 1);
}

}  // namespace sluice::wire
