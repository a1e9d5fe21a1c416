#include "wire/link.h"

#include "base/try.h"

namespace sluice::wire {

namespace {

// Messages handled in one turn, so that timers and other sockets have theirs.
constexpr int kMessagesPerTurn = 256;
// Beats after which a HELLO without answer is said again.
constexpr unsigned kHelloBeats = 5;
// A broker that was silent for so many beats gets no more heartbeats: they would only pile up in
// front of the next HELLO.
constexpr unsigned kHungBeats = 3;

}  // namespace

Result<std::unique_ptr<Link>> Link::create(Context& context, Reactor& reactor,
                                           const Address& endpoint, Hello hello,
                                           Callbacks callbacks) {
  auto socket = TRY(Socket::create(context, SocketKind::kDealer, {}));
  CHECK(socket.connect(endpoint));
  return std::unique_ptr<Link>(
      new Link(std::move(socket), reactor, std::move(hello), std::move(callbacks)));
}

Link::Link(Socket socket, Reactor& reactor, Hello hello, Callbacks callbacks)
    : socket_(std::move(socket)), reactor_(reactor), hello_(std::move(hello)),
      callbacks_(std::move(callbacks)) {
  reactor_.on_socket(socket_, [this] { receive(); });
  timer_ = reactor_.every(kBeat, [this] { beat(); });
}

Link::~Link() {
  reactor_.cancel(timer_);
  reactor_.remove_socket(socket_);
}

bool Link::send(std::string_view name, std::string body) {
  return welcomed() && socket_.send(name, std::move(body));
}

void Link::receive() {
  const std::weak_ptr<int> alive = alive_;
  Received message;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    if (!socket_.receive(message)) return;
    handle(message.frames());
    if (alive.expired()) return;
  }
}

void Link::handle(std::span<const std::string_view> frames) {
  // The probe: this connection is new, and whoever is behind it knows nothing of us.
  if (is_probe(frames)) {
    say_hello();
    return;
  }
  if (frames.size() != 2) {
    ++malformed_;
    return;
  }
  silent_ = 0;
  const std::string_view name = frames[0];
  if (name == Heartbeat::kName) return;
  if (name == Welcome::kName) {
    const auto welcome = decode<Welcome>(frames[1]);
    if (!welcome) {
      ++malformed_;
      return;
    }
    greeting_.answered();
    callbacks_.on_welcome(*welcome);
    return;
  }
  if (name == Refused::kName) {
    if (const auto refused = decode<Refused>(frames[1])) {
      switch (greeting_.refused(*refused)) {
        case Greeting::Refusal::kSayAgain: return say_hello();
        case Greeting::Refusal::kStale: return;
        case Greeting::Refusal::kFinal: break;
      }
    }
  }
  callbacks_.on_message(name, frames[1]);
}

void Link::say_hello() {
  greeting_.said();
  said_hello_ = true;
  since_hello_ = 0;
  socket_.send(Hello::kName, encode(hello_));
}

void Link::beat() {
  ++silent_;
  if (!welcomed() && said_hello_ && ++since_hello_ >= kHelloBeats) say_hello();
  if (welcomed() && silent_ <= kHungBeats) {
    socket_.send(Heartbeat::kName, encode(Heartbeat{callbacks_.count ? callbacks_.count() : 0}));
  }
  if (callbacks_.on_beat) callbacks_.on_beat(silent_);
}

}  // namespace sluice::wire
