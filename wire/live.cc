#include "wire/live.h"

#include <optional>
#include <set>
#include <utility>

#include <zmq.h>

#include "base/try.h"

namespace sluice::wire {

namespace {

constexpr int kMessagesPerTurn = 256;

// A socket that connects keeps the subscriptions of a connection that broke, so that nobody would
// ever take back what a dead broker wanted. It is made anew instead.
class Publisher final : public LivePublisher {
 public:
  Publisher(Context& context, Reactor& reactor, Address endpoint)
      : context_(context), reactor_(reactor), endpoint_(std::move(endpoint)) {}
  ~Publisher() override { close(); }

  Status open() {
    auto socket = TRY(Socket::create(context_, SocketKind::kXPub, {}));
    auto watch = TRY(socket.watch(context_, ZMQ_EVENT_DISCONNECTED));
    CHECK(socket.connect(endpoint_));
    socket_.emplace(std::move(socket));
    watch_.emplace(std::move(watch));
    reactor_.on_socket(*socket_, [this] { receive(); });
    reactor_.on_socket(*watch_, [this] { reopen(); });
    return {};
  }

  bool wanted(std::string_view topic) const override { return has_prefix(topic, 0); }

  bool wanted_below(std::string_view base, std::string_view topic) const override {
    return has_prefix(topic, base.size() + 1);
  }

  void publish(std::string_view topic, const std::function<std::string()>& make,
               std::string_view ticket) override {
    if (!socket_ || !wanted(topic)) return;
    if (ticket.empty()) {
      socket_->send(topic, make());
    } else {
      socket_->send(Frames{std::string(topic), make(), std::string(ticket)});
    }
  }

  void on_subscribed(std::function<void(const std::string&)> callback) override {
    on_subscribed_ = std::move(callback);
  }

  void on_unsubscribed(std::function<void(const std::string&)> callback) override {
    on_unsubscribed_ = std::move(callback);
  }

 private:
  bool has_prefix(std::string_view topic, std::size_t shortest) const {
    for (std::size_t length = shortest; length <= topic.size(); ++length) {
      if (prefixes_.contains(topic.substr(0, length))) return true;
    }
    return false;
  }

  void close() {
    if (watch_) reactor_.remove_socket(*watch_);
    if (socket_) reactor_.remove_socket(*socket_);
    if (socket_) socket_->unwatch();
    watch_.reset();
    socket_.reset();
  }

  void reopen() {
    close();
    for (const std::string& prefix : std::exchange(prefixes_, {})) {
      if (on_unsubscribed_) on_unsubscribed_(prefix);
    }
    // open() fails only for want of memory or descriptors; live events may fail, so a later try
    // will do.
    if (!open())
      reactor_.after(std::chrono::seconds(1), [this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) reopen();
      });
  }

  void receive() {
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      const auto frames = socket_->receive();
      if (!frames) return;
      if (frames->size() != 1 || (*frames)[0].empty()) continue;
      const std::string prefix = (*frames)[0].substr(1);
      if ((*frames)[0][0] == 1) {
        if (prefixes_.insert(prefix).second && on_subscribed_) on_subscribed_(prefix);
      } else if ((*frames)[0][0] == 0) {
        if (prefixes_.erase(prefix) > 0 && on_unsubscribed_) on_unsubscribed_(prefix);
      }
    }
  }

  Context& context_;
  Reactor& reactor_;
  const Address endpoint_;
  std::optional<Socket> socket_;
  std::optional<Socket> watch_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::set<std::string, std::less<>> prefixes_;
  std::function<void(const std::string&)> on_subscribed_;
  std::function<void(const std::string&)> on_unsubscribed_;
};

class Subscriber final : public LiveSubscriber {
 public:
  Subscriber(Socket socket, Reactor& reactor, OnEvent on_event)
      : socket_(std::move(socket)), reactor_(reactor), on_event_(std::move(on_event)) {
    reactor_.on_socket(socket_, [this] { receive(); });
  }
  ~Subscriber() override { reactor_.remove_socket(socket_); }

  Status subscribe(const std::string& prefix) override { return socket_.subscribe(prefix); }
  Status unsubscribe(const std::string& prefix) override { return socket_.unsubscribe(prefix); }

 private:
  void receive() {
    const std::weak_ptr<int> alive = alive_;
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      const auto frames = socket_.receive();
      if (!frames) return;
      if (frames->size() == 2) on_event_((*frames)[0], (*frames)[1]);
      if (alive.expired()) return;
    }
  }

  Socket socket_;
  Reactor& reactor_;
  OnEvent on_event_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace

Result<std::unique_ptr<LivePublisher>> LivePublisher::create(Context& context, Reactor& reactor,
                                                             const Address& endpoint) {
  auto publisher = std::make_unique<Publisher>(context, reactor, endpoint);
  CHECK(publisher->open());
  return publisher;
}

Result<std::unique_ptr<LiveSubscriber>> LiveSubscriber::create(
    Context& context, Reactor& reactor, const Address& endpoint,
    const std::vector<std::string>& prefixes, OnEvent on_event) {
  auto socket = TRY(Socket::create(context, SocketKind::kSub, {}));
  for (const auto& prefix : prefixes) {
    CHECK(socket.subscribe(prefix));
  }
  CHECK(socket.connect(endpoint));
  return std::make_unique<Subscriber>(std::move(socket), reactor, std::move(on_event));
}

}  // namespace sluice::wire
