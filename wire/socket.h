// ZeroMQ sockets with every option set in one place, and frames as values.
//
// A socket belongs to the thread that made it. Frames are std::string: a name, a body, sometimes
// more; the identity of a ROUTER's peer comes first. Where many and large messages come in,
// Received leaves them where ZeroMQ put them.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <zmq.h>

#include "base/result.h"
#include "wire/address.h"

namespace sluice::wire {

using Frames = std::vector<std::string>;

// A message that came: its frames are valid until another one is received into it.
class Received {
 public:
  static constexpr std::size_t kMaxFrames = 64;

  Received() = default;
  ~Received() { clear(); }
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
  std::span<const std::string_view> frames() const { return {views_, count_}; }
  // The process that has connected, on ipc, as the kernel says; 0: not known.
  pid_t peer() const;
  // Whom the ZAP handler has let in (access.h, identity_of()); "": it wasn't asked.
  std::string_view user_id() const;

 private:
  friend class Socket;
  void clear();
  // Makes room for another frame; nullptr when there is none left.
  zmq_msg_t* add();

  zmq_msg_t messages_[kMaxFrames];  // `count_` of them are initialized
  std::string_view views_[kMaxFrames];
  std::size_t count_ = 0;
};

// One per process. Its sockets must be closed before it goes.
class Context {
 public:
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  void* handle() const { return handle_; }
  // Whether the process may have the threads that ZeroMQ starts with the first socket, where it
  // would abort the process otherwise. Error: "util", with the system's reason ("eagain").
  Status may_start();

 private:
  void* handle_;
  std::atomic<bool> started_{false};
};

enum class SocketKind { kRouter, kDealer, kPub, kSub, kXPub, kXSub, kRep, kPair };

// Bytes of a frame that a peer may send, where nothing else is said.
inline constexpr std::int64_t kMostFrameBytes = 64 << 20;

struct SocketOptions {
  // Frames that wait for one peer. Fan-out sockets drop beyond it (1,000: a stopped subscriber then
  // costs little and nobody else notices); ROUTER and DEALER links are acknowledged or credited and
  // never come near it.
  int high_water_mark = 1000;
  // How long close() may wait for what was sent.
  int linger_ms = 0;
  std::int64_t max_message = kMostFrameBytes;
  // Wait between two tries to connect, doubled up to a second.
  int reconnect_ms = 5;
  // Sends an empty message to each new ROUTER peer, so that a client learns that it was connected
  // (again) and says HELLO.
  bool probe_router = false;
  // ROUTER: an unknown identity is an error instead of silence.
  bool router_mandatory = false;
  // DEALER: what was not sent when the connection is lost is lost with it, instead of being said to
  // whoever serves the next one; without a connection send() is false.
  bool connected_only = false;
  // XPUB: each subscription is received, also to what somebody subscribes to already. That nobody
  // does any more is received once either way.
  bool each_subscription = false;
  // With a ZAP domain each peer is asked about at the in-process handler (zap.h).
  std::string zap_domain;
  // A listening descriptor made by the supervisor; -1: the endpoint is bound anew.
  int use_fd = -1;
};

class Socket {
 public:
  static Result<Socket> create(Context& context, SocketKind kind, const SocketOptions& options);
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  Status bind(const std::string& endpoint);
  // Binds a TCP endpoint too, where only keys are let in that the ZAP handler knows, in the domain
  // of `name` (zap.h). `use_fd`: a listening descriptor, which is the socket's from then on; -1:
  // bound anew. `max_message`: bytes of a frame that comes from there, at most. Returns the
  // endpoint, for unbind().
  Result<std::string> bind_curve(const std::string& endpoint, std::string_view name,
                                 std::string_view server_secret, int use_fd,
                                 std::int64_t max_message = kMostFrameBytes);
  // Ends listening there, and every connection that was made there.
  Status unbind(const std::string& endpoint);
  Status connect(const Address& address);
  Status subscribe(std::string_view prefix);
  Status unsubscribe(std::string_view prefix);
  // A socket on which a message arrives for each of `events` (ZMQ_EVENT_...) that happens to this
  // one; watched_event() tells which. To be read, and kept until unwatch(): libzmq's I/O thread,
  // which tells it, waits for a watch that is full or gone, for ever.
  Result<Socket> watch(Context& context, int events);
  // Ends a watch: nothing more is told once this returns.
  void unwatch();

  // Send a message. False when that would have to wait (high-water mark) or, with router_mandatory,
  // when the peer is gone (errno says which: EAGAIN or EHOSTUNREACH); nothing was sent then. A
  // `body` that is moved in isn't copied when it is large.
  bool send(const Frames& frames);
  bool send(std::string_view name, std::string body);  // DEALER
  // ROUTER. `held` is let go when the body's bytes have left, or are lost with the connection, by
  // ZeroMQ's thread.
  bool send_to(std::string_view identity, std::string_view name, std::string body,
               std::shared_ptr<void> held = {});
  // Receive a message; nullopt, or false, when there is none now. One of more than
  // Received::kMaxFrames is dropped.
  std::optional<Frames> receive();
  bool receive(Received& message);

  // Has what is unsent when the socket is closed dropped, whatever linger_ms says, since the peer
  // is known to be gone.
  void drop_unsent();

  // The descriptor that epoll may watch, and whether there is something to read (edge-triggered;
  // the reactor knows how).
  void* handle() const { return handle_; }
  bool readable() const;
  std::string last_endpoint() const;

 private:
  explicit Socket(void* handle) : handle_(handle) {}
  void* handle_ = nullptr;
};

// A new key pair.
Result<CurveKeys> make_curve_keys();
// The Z85 form of a key's 32 bytes; "" when these are none.
std::string z85_of(std::string_view key);

// What a message of Socket::watch() says; 0 when it is none.
int watched_event(const Frames& frames);

}  // namespace sluice::wire
