#include "wire/control.h"

#include <deque>
#include <map>
#include <utility>

#include <sys/random.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/link.h"

namespace sluice::wire {

namespace {

// Replies that a service keeps, in case it is asked again.
constexpr std::size_t kKeptReplies = 1024;

// Part of every request's id: a process started again under the same instance must not be given the
// answers of the one before.
std::string random_prefix() {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    random = static_cast<std::uint64_t>(::getpid());
  return fmt::format("{:016x}", random);
}

class Client final : public ControlClient {
 public:
  explicit Client(Reactor& reactor) : reactor_(reactor) {}

  ~Client() override {
    for (auto& [id, pending] : pending_) reactor_.cancel(pending.timer);
  }

  Status open(Context& context, const Address& endpoint, Hello hello) {
    hello.service = false;
    Link::Callbacks callbacks;
    callbacks.on_welcome = [this](const Welcome&) {
      for (const auto& [id, pending] : pending_) link_->send(Request::kName, pending.packed);
    };
    callbacks.on_message = [this](std::string_view name, std::string_view body) {
      handle(name, body);
    };
    link_ = TRY(Link::create(context, reactor_, endpoint, std::move(hello), std::move(callbacks)));
    return {};
  }

  void request(std::string_view service, std::string_view command, std::string arguments,
               Duration timeout, OnReply on_reply) override {
    Request request;
    request.id = fmt::format("{}-{}", prefix_, ++count_);
    request.service = service;
    request.command = command;
    request.arguments.bytes = std::move(arguments);
    request.timeout_ms = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
    Pending pending{encode(request), std::move(on_reply), 0};
    pending.timer = reactor_.after(timeout, [this, id = request.id] {
      Reply reply;
      reply.id = id;
      reply.status = "unknown";
      answer(reply);
    });
    const auto place = pending_.emplace(request.id, std::move(pending)).first;
    link_->send(Request::kName, place->second.packed);
  }

  void on_ending(std::function<void()> callback) override { on_ending_ = std::move(callback); }

 private:
  struct Pending {
    std::string packed;
    OnReply on_reply;
    Reactor::TimerId timer;
  };

  void handle(std::string_view name, std::string_view body) {
    if (name == Reply::kName) {
      if (const auto reply = decode<Reply>(body)) answer(*reply);
    } else if (name == Ending::kName) {
      if (on_ending_) on_ending_();
    } else if (name == Refused::kName) {
      // A REFUSED answers our HELLO: no request will be answered.
      const auto refused = decode<Refused>(body);
      const std::string reason = refused ? refused->reason : "refused";
      for (auto pending = std::exchange(pending_, {}); auto& [id, entry] : pending) {
        reactor_.cancel(entry.timer);
        Reply reply;
        reply.id = id;
        reply.status = "refused";
        reply.error = ErrorBody{"wire", reason, "the broker refused this client: " + reason};
        entry.on_reply(reply);
      }
    }
  }

  void answer(const Reply& reply) {
    const auto found = pending_.find(reply.id);
    if (found == pending_.end()) return;
    reactor_.cancel(found->second.timer);
    const OnReply on_reply = std::move(found->second.on_reply);
    pending_.erase(found);
    on_reply(reply);
  }

  Reactor& reactor_;
  std::unique_ptr<Link> link_;
  const std::string prefix_ = random_prefix();
  std::uint64_t count_ = 0;
  std::map<std::string, Pending> pending_;
  std::function<void()> on_ending_;
};

class Service final : public ControlService {
 public:
  explicit Service(OnRequest on_request) : on_request_(std::move(on_request)) {}

  Status open(Context& context, Reactor& reactor, const Address& endpoint, Hello hello) {
    hello.service = true;
    Link::Callbacks callbacks;
    callbacks.on_welcome = [](const Welcome&) {};
    callbacks.on_message = [this](std::string_view name, std::string_view body) {
      if (name == Request::kName) handle(body);
    };
    link_ = TRY(Link::create(context, reactor, endpoint, std::move(hello), std::move(callbacks)));
    return {};
  }

 private:
  using Key = std::pair<std::string, std::string>;  // source, id

  void handle(std::string_view body) {
    const auto request = decode<Request>(body);
    if (!request) return;
    const Key key{request->source, request->id};
    const auto known = replies_.find(key);
    if (known != replies_.end()) {
      // Asked again: the same answer, or none yet while it is being worked on.
      if (!known->second.empty()) link_->send(Reply::kName, known->second);
      return;
    }
    replies_.emplace(key, std::string());
    on_request_(*request, [this, key, alive = std::weak_ptr<int>(alive_)](Reply reply) {
      if (!alive.expired()) respond(key, std::move(reply));
    });
  }

  void respond(const Key& key, Reply reply) {
    const auto found = replies_.find(key);
    if (found == replies_.end() || !found->second.empty()) return;
    reply.source = key.first;
    reply.id = key.second;
    found->second = encode(reply);
    // A reply is lost when we aren't welcomed just now; the broker asks again for what it waits
    // for.
    link_->send(Reply::kName, found->second);
    answered_.push_back(key);
    while (answered_.size() > kKeptReplies) {
      replies_.erase(answered_.front());
      answered_.pop_front();
    }
  }

  OnRequest on_request_;
  std::map<Key, std::string> replies_;  // packed; empty while it is being worked on
  std::deque<Key> answered_;            // the oldest first
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::unique_ptr<Link> link_;
};

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::create(Context& context, Reactor& reactor,
                                                             const Address& endpoint,
                                                             const Hello& hello) {
  auto client = std::make_unique<Client>(reactor);
  CHECK(client->open(context, endpoint, hello));
  return client;
}

Result<std::unique_ptr<ControlService>> ControlService::create(Context& context, Reactor& reactor,
                                                               const Address& endpoint,
                                                               const Hello& hello,
                                                               OnRequest on_request) {
  auto service = std::make_unique<Service>(std::move(on_request));
  CHECK(service->open(context, reactor, endpoint, hello));
  return service;
}

}  // namespace sluice::wire
