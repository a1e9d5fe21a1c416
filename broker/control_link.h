// The broker's part of the control link (spec/control.md): which peers are services, and requests
// that are on their way. No sockets; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "broker/link_core.h"

namespace sluice::broker {

class ControlLink {
 public:
  // `peers` gives those of the records link, for the command `peers`.
  ControlLink(SessionIdentity identity, Send send, std::function<std::vector<wire::Peer>()> peers,
              const Clock& clock);

  // Takes one message of a peer: its frames after the identity.
  void handle(const std::string& identity, std::span<const std::string_view> frames,
              const Sender& sender);
  void beat();
  void run_deadlines();
  std::optional<Duration> next_deadline() const;

  // Begins the session's end: all peers are told, and requests are refused from now on.
  void begin_ending();
  // Answers the requests that are still open.
  void end();

  // What is asked of the access list: `enrol` and `revoke`. Without them both are refused.
  struct Access {
    std::function<Result<std::string>(wire::Role, const wire::EnrolArguments&)> enrol;
    std::function<Status(const std::string& name)> revoke;
  };
  void keep_access_by(Access access) { access_ = std::move(access); }

  std::vector<wire::Peer> peers() const;
  std::uint64_t malformed() const { return malformed_; }

  static constexpr std::size_t kMaxRequests = 1024;
  static constexpr std::uint32_t kMaxTimeoutMs = 3'600'000;

 private:
  struct PeerState {
    wire::Hello hello;
    wire::PeerIdentity who;
    std::string user_id;
    unsigned silent = 0;
  };
  using Peers = std::map<std::string, PeerState>;
  using Key = std::pair<std::string, std::string>;  // client's instance, request's id
  struct Pending {
    std::string client;  // the identity of its last connection
    std::string service;
    std::string body;  // with `source` and `role` of the client
    std::uint64_t order = 0;
    Duration deadline{};
    bool forwarded = false;
  };

  // Whether a peer from elsewhere may ask for that.
  static bool may_ask(const wire::PeerIdentity& who, const wire::Request& request);
  void handle_hello(const std::string& identity, std::string_view body, const Sender& sender);
  bool register_service(const std::string& identity, const wire::Hello& hello);
  void handle_request(Peers::iterator peer, std::string_view body);
  void handle_reply(Peers::iterator peer, std::string_view body);
  void answer_itself(Peers::iterator peer, const wire::Request& request);
  void forward_to_service(Pending& pending);
  void reply(const std::string& client, const Key& key, std::string status,
             std::optional<wire::ErrorBody> error = {}, std::string result = {});
  Sent tell(const std::string& identity, std::string_view name, std::string body);
  void refuse(const std::string& identity, std::string_view reason);
  void forget(const std::string& identity);
  void sweep();

  const SessionIdentity identity_;
  const Send send_;
  const std::function<std::vector<wire::Peer>()> other_peers_;
  const Clock& clock_;
  Peers peers_;
  PeerCounts counts_;
  std::map<std::string, std::string> services_;  // role -> identity
  std::map<Key, Pending> pending_;
  std::uint64_t next_order_ = 0;
  Access access_;
  std::vector<std::string> gone_;
  std::uint64_t malformed_ = 0;
  bool ending_ = false;
};

}  // namespace sluice::broker
