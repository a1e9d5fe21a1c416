// Sessions that listen on TCP, as those who join them have them: where they are, by which keys, and
// under which name. Plain data and its files; no ZeroMQ. spec/access.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/access.h"
#include "wire/address.h"
#include "wire/model_fields.h"

namespace sluice::wire {

// The session's endpoints on TCP, in the order of their ports: the first has the port that was
// asked for, each other one the next. `cas` is sluice-cas, by TLS.
inline constexpr const char* kRemoteEndpoints[] = {"control",  "records", "live-in",
                                                   "live-out", "jobs",    "cas"};
inline constexpr std::string_view kCasEndpoint = "cas";
// The name in its certificate, whatever its host is called.
inline constexpr const char* kCasName = "sluice-session";

// Where a session is to listen, and listens: access/listen below its state directory. Written by
// who starts it; the supervisor fills in ports that the system has chosen.
struct ListenPlan {
  std::string host;         // to bind: an address, or a name of this machine's
  std::uint32_t port = 0;   // of the first endpoint; 0: the system chooses each
  std::string advertised;   // the host as others reach it
  std::string cachedir;     // the store that cas serves
  bool allow_skew = false;  // runners whose builds may differ are let in
  std::vector<std::pair<std::string, std::uint32_t>> ports;  // as bound, by endpoint
};
template <typename C>
void fields(C& c, ListenPlan& m) {
  c("host", m.host);
  c("port", m.port);
  c("advertised", m.advertised);
  c("cachedir", m.cachedir);
  c.optional("allow_skew", m.allow_skew);
  c.optional("ports", m.ports);
}
Result<ListenPlan> read_listen_plan(const std::string& state);
Status write_listen_plan(const std::string& state, const ListenPlan& plan);
bool listens_on_tcp(const std::string& state);

// What somebody is handed to join a session: a join file's content.
struct JoinTicket {
  std::string session;  // id
  std::string role;     // a role's text
  std::string host;
  std::vector<std::pair<std::string, std::uint32_t>> ports;  // by endpoint
  std::string server_key;
  CurveKeys enrolment;          // can do nothing but enrol
  std::string cas_certificate;  // PEM
  std::int64_t expires = 0;     // wall clock, ns: nobody is enrolled by it afterwards; 0: never
};
template <typename C>
void fields(C& c, JoinTicket& m) {
  c("session", m.session);
  c("role", m.role);
  c("host", m.host);
  c("ports", m.ports);
  c("server_key", m.server_key);
  c("enrolment", m.enrolment);
  c.optional("cas_certificate", m.cas_certificate);
  c.optional("expires", m.expires);
}
// Its endpoint as an address, by `keys`. Error "app"/"bad-join": it has no such endpoint.
Result<Address> address_of(const JoinTicket& ticket, std::string_view endpoint,
                           const CurveKeys& keys);

// How a runner that has joined does its work.
struct RunnerPlace {
  std::uint32_t slots = 1;
  std::vector<std::string> labels;
  std::string cachedir, builddir, logdir;  // absolute
  std::uint32_t idle_s = 0;      // it leaves when it had nothing to do for so long; 0: never
  std::uint32_t lifetime_s = 0;  // it drains when it is so old; 0: never
  std::optional<model::Remote> storage;  // cache.storage-service of its machine's configuration
};
template <typename C>
void fields(C& c, RunnerPlace& m) {
  c("slots", m.slots);
  c.optional("labels", m.labels);
  c("cachedir", m.cachedir);
  c("builddir", m.builddir);
  c("logdir", m.logdir);
  c.optional("idle_s", m.idle_s);
  c.optional("lifetime_s", m.lifetime_s);
  c.optional("storage", m.storage);
}

// A session that was joined: the file `joined`, of mode 0600, in a directory of its own, which has
// what else belongs to it (the runner's outbox, logs/, tls.key and tls.crt). SessionPaths::of()
// takes the directory in place of an id.
struct Joined {
  JoinTicket ticket;
  CurveKeys keys;    // that were enrolled
  std::string name;  // what the session calls us
  RunnerPlace place;
  std::uint64_t epoch = 0;  // the largest that a process had which used this
};
template <typename C>
void fields(C& c, Joined& m) {
  c("ticket", m.ticket);
  c("keys", m.keys);
  c("name", m.name);
  c("place", m.place);
  c.optional("epoch", m.epoch);
}
Result<Joined> read_joined(const std::string& directory);
Status write_joined(const std::string& directory, const Joined& joined);

}  // namespace sluice::wire
