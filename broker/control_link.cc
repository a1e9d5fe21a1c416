#include "broker/control_link.h"

#include <algorithm>

#include <fmt/format.h>

#include "wire/hello.h"
#include "wire/session.h"

namespace sluice::broker {

using wire::encode;

namespace {

constexpr std::string_view kBroker = "broker";

wire::ErrorBody error_of(std::string reason, std::string message) {
  return {std::string(kBroker), std::move(reason), std::move(message)};
}

}  // namespace

ControlLink::ControlLink(SessionIdentity identity, Send send,
                         std::function<std::vector<wire::Peer>()> peers, const Clock& clock)
    : identity_(std::move(identity)), send_(std::move(send)), other_peers_(std::move(peers)),
      clock_(clock) {}

void ControlLink::handle(const std::string& identity, std::span<const std::string_view> frames,
                         const Sender& sender) {
  if (wire::is_probe(frames)) return;
  if (frames.size() != 2) {
    ++malformed_;
    return;
  }
  const std::string_view name = frames[0];
  if (name == wire::Hello::kName) {
    handle_hello(identity, frames[1], sender);
  } else {
    const auto peer = peers_.find(identity);
    // An identity may be another connection's by now.
    if (peer == peers_.end() || peer->second.user_id != sender.user_id) {
      refuse(identity, wire::kNoHello);
      return;
    }
    peer->second.silent = 0;
    if (name == wire::Request::kName) {
      handle_request(peer, frames[1]);
    } else if (name == wire::Reply::kName) {
      handle_reply(peer, frames[1]);
    } else if (name == wire::Heartbeat::kName) {
      if (!wire::decode<wire::Heartbeat>(frames[1])) ++malformed_;
    } else {
      ++malformed_;
      refuse(identity, "unknown-command");
    }
  }
  sweep();
}

void ControlLink::handle_hello(const std::string& identity, std::string_view body,
                               const Sender& sender) {
  const auto known = peers_.find(identity);
  const bool has_room = counts_.has_room(sender.user_id) ||
                        (known != peers_.end() && known->second.user_id == sender.user_id);
  const auto admitted = admit(body, wire::kControlProtocol, sender, has_room);
  if (!admitted) {
    if (admitted.error() == wire::kMalformed) ++malformed_;
    refuse(identity, admitted.error());
    return;
  }
  const wire::Hello* const hello = &admitted->hello;
  if (hello->service && !sender.of_session) {
    refuse(identity, wire::kNotOfSession);
    return;
  }
  forget(identity);  // said again: what it was before does not count
  if (hello->service && !register_service(identity, *hello)) return;
  peers_[identity] = {*hello, admitted->who, std::string(sender.user_id), 0};
  counts_.add(sender.user_id);
  tell(identity, wire::Welcome::kName, encode(welcome_to(identity_)));
  if (ending_) tell(identity, wire::Ending::kName, encode(wire::Ending{identity_.session}));
  if (!hello->service) return;

  // What waits for this service, and what its former process was asked, in the order it came.
  std::vector<Pending*> waiting;
  for (auto& [key, pending] : pending_) {
    if (pending.service == hello->role) waiting.push_back(&pending);
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Pending* a, const Pending* b) { return a->order < b->order; });
  for (Pending* pending : waiting) forward_to_service(*pending);
}

bool ControlLink::register_service(const std::string& identity, const wire::Hello& hello) {
  if (hello.role == kBroker) {
    refuse(identity, "role");
    return false;
  }
  const auto registered = services_.find(hello.role);
  if (registered != services_.end()) {
    const PeerState& other = peers_.at(registered->second);
    const bool same = other.hello.instance == hello.instance;
    if (same && hello.epoch < other.hello.epoch) {
      refuse(identity, "stale-epoch");
      return false;
    }
    // One process holds a role until it is gone; a connection that broke shows at once.
    if (!same && tell(registered->second, wire::Heartbeat::kName, encode(wire::Heartbeat{})) !=
                     Sent::kGone) {
      refuse(identity, "role-taken");
      return false;
    }
  }
  services_[hello.role] = identity;
  return true;
}

void ControlLink::handle_request(Peers::iterator peer, std::string_view body) {
  auto request = wire::decode<wire::Request>(body);
  if (!request || request->id.empty() || request->id.size() > 128) {
    ++malformed_;
    refuse(peer->first, wire::kMalformed);
    return;
  }
  const Key key{peer->second.hello.instance, request->id};
  if (ending_) {
    reply(peer->first, key, "refused", error_of("ending", "the session is ending"));
    return;
  }
  if (!may_ask(peer->second.who, *request)) {
    reply(peer->first, key, "refused",
          error_of(std::string(kNotAllowed),
                   fmt::format("'{}' may not be asked for with this key", request->command)));
    return;
  }
  if (request->service == kBroker) {
    answer_itself(peer, *request);
    return;
  }
  auto found = pending_.find(key);
  if (found == pending_.end()) {
    if (pending_.size() >= kMaxRequests) {
      reply(peer->first, key, "refused",
            error_of("busy", "too many requests are waiting for their answers"));
      return;
    }
    request->source = key.first;
    request->role = wire::text_of(peer->second.who.role);
    Pending pending;
    pending.service = request->service;
    pending.body = encode(*request);
    pending.order = next_order_++;
    pending.deadline = clock_.monotonic() +
                       std::chrono::milliseconds(std::min(request->timeout_ms, kMaxTimeoutMs));
    found = pending_.emplace(key, std::move(pending)).first;
  }
  found->second.client = peer->first;
  forward_to_service(found->second);
}

void ControlLink::forward_to_service(Pending& pending) {
  const auto service = services_.find(pending.service);
  if (service == services_.end()) return;
  if (tell(service->second, wire::Request::kName, pending.body) == Sent::kSent)
    pending.forwarded = true;
}

void ControlLink::handle_reply(Peers::iterator peer, std::string_view body) {
  const auto message = wire::decode<wire::Reply>(body);
  const auto service = services_.find(peer->second.hello.role);
  if (!message || service == services_.end() || service->second != peer->first) {
    ++malformed_;
    refuse(peer->first, message ? "no-service" : wire::kMalformed);
    return;
  }
  const auto found = pending_.find({message->source, message->id});
  // Nobody waits for this reply any more, or not yet again: the service keeps it for then.
  if (found == pending_.end() || found->second.service != service->first) return;
  tell(found->second.client, wire::Reply::kName, std::string(body));
  pending_.erase(found);
}

// The session's own machine is its owner's: the loader reads its files for nobody else.
bool ControlLink::may_ask(const wire::PeerIdentity& who, const wire::Request& request) {
  const bool of_broker = request.service == kBroker;
  if (request.command == "enrol" && of_broker) return who.enrols;
  if (!who.remote) return true;
  if (who.enrols || who.role == wire::Role::kRunner) return false;
  if (request.command == "ping" || (of_broker && request.command == "peers")) return true;
  if (who.role == wire::Role::kControl) return of_broker || request.service == "scheduler";
  return request.service == "scheduler" &&
         (request.command == "status" || request.command == "runners");
}

void ControlLink::answer_itself(Peers::iterator peer, const wire::Request& request) {
  const Key key{peer->second.hello.instance, request.id};
  const auto answer = [&](const Status& status, std::string result = {}) {
    std::optional<wire::ErrorBody> error;
    if (!status) error = wire::ErrorBody::from(status.error());
    reply(peer->first, key, status ? "done" : "refused", std::move(error), std::move(result));
  };
  if (request.command == "enrol" && access_.enrol) {
    auto arguments = wire::decode<wire::EnrolArguments>(request.arguments.bytes);
    if (!arguments) return answer(forward(arguments));
    auto name = access_.enrol(peer->second.who.role, *arguments);
    if (!name) return answer(forward(name));
    answer({}, encode(wire::Enrolled{std::move(*name)}));
  } else if (request.command == "revoke" && access_.revoke) {
    auto arguments = wire::decode<wire::RevokeArguments>(request.arguments.bytes);
    answer(arguments ? access_.revoke(arguments->name) : Status(forward(arguments)));
  } else if (request.command == "ping") {
    reply(peer->first, key, "done");
  } else if (request.command == "peers") {
    wire::Peers all{other_peers_()};
    for (auto& one : peers()) all.peers.push_back(std::move(one));
    reply(peer->first, key, "done", {}, encode(all));
  } else {
    reply(peer->first, key, "refused",
          error_of("unknown-command",
                   fmt::format("the broker has no command '{}'", request.command)));
  }
}

void ControlLink::reply(const std::string& client, const Key& key, std::string status,
                        std::optional<wire::ErrorBody> error, std::string result) {
  wire::Reply message;
  message.id = key.second;
  message.source = key.first;
  message.status = std::move(status);
  message.error = std::move(error);
  message.result.bytes = std::move(result);
  tell(client, wire::Reply::kName, encode(message));
}

void ControlLink::beat() {
  const std::string heartbeat = encode(wire::Heartbeat{});
  for (auto& [identity, peer] : peers_) {
    if (++peer.silent > kExpiryBeats) {
      gone_.push_back(identity);
    } else {
      tell(identity, wire::Heartbeat::kName, heartbeat);
    }
  }
  sweep();
}

void ControlLink::run_deadlines() {
  const Duration now = clock_.monotonic();
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.deadline > now) {
      ++it;
      continue;
    }
    reply(it->second.client, it->first, "unknown",
          error_of("timeout", it->second.forwarded
                                  ? fmt::format("'{}' has not answered in time", it->second.service)
                                  : fmt::format("'{}' was not there in time", it->second.service)));
    it = pending_.erase(it);
  }
  sweep();
}

std::optional<Duration> ControlLink::next_deadline() const {
  std::optional<Duration> first;
  for (const auto& [key, pending] : pending_) {
    if (!first || pending.deadline < *first) first = pending.deadline;
  }
  return first;
}

void ControlLink::begin_ending() {
  ending_ = true;
  const std::string ending = encode(wire::Ending{identity_.session});
  for (const auto& [identity, peer] : peers_) tell(identity, wire::Ending::kName, ending);
  sweep();
}

void ControlLink::end() {
  for (const auto& [key, pending] : std::exchange(pending_, {})) {
    reply(pending.client, key, pending.forwarded ? "unknown" : "refused",
          error_of("ending", "the session has ended"));
  }
}

Sent ControlLink::tell(const std::string& identity, std::string_view name, std::string body) {
  const Sent sent = send_(identity, name, std::move(body));
  if (sent == Sent::kGone) gone_.push_back(identity);
  return sent;
}

void ControlLink::refuse(const std::string& identity, std::string_view reason) {
  send_(identity, wire::Refused::kName, encode(wire::Refused{std::string(reason)}));
}

void ControlLink::forget(const std::string& identity) {
  const auto peer = peers_.find(identity);
  if (peer == peers_.end()) return;
  const auto service = services_.find(peer->second.hello.role);
  if (service != services_.end() && service->second == identity) services_.erase(service);
  counts_.remove(peer->second.user_id);
  peers_.erase(peer);
}

void ControlLink::sweep() {
  for (const auto& identity : std::exchange(gone_, {})) forget(identity);
}

std::vector<wire::Peer> ControlLink::peers() const {
  std::vector<wire::Peer> all;
  for (const auto& [identity, peer] : peers_) {
    all.push_back({peer.hello.instance, peer.hello.role, "control", peer.hello.epoch, 0,
                   peer.silent, peer.hello.service});
  }
  return all;
}

}  // namespace sluice::broker
