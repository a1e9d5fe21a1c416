// Who may come to a session from elsewhere, and as what (spec/access.md): the keys of a session
// that listens on TCP, and the list of those that were enrolled. No ZeroMQ here.
//
// Below the session's state directory, all of mode 0600:
//   access/keys     AccessKeys, written once, before the session listens
//   access/list     a log (base/append_log.h) of AccessEntry, to which the broker alone appends: of
//                   those with the same key the last counts
//   access/cas.key, access/cas.crt   PEM: what sluice-cas serves the session's store with
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/append_log.h"
#include "base/result.h"
#include "wire/codec.h"

namespace sluice::wire {

// What somebody may do. On ipc everybody who is let in is the user himself: kOwner.
enum class Role : std::uint8_t {
  kObserve,  // read records and live events, ask for what changes nothing
  kControl,  // and say what is to be done
  kRunner,   // take jobs; publish messages and logs of its own attempts; store blobs
  kOwner,    // everything
};
inline constexpr std::string_view kRoleTexts[] = {"observe", "control", "runner", "run"};
std::string_view text_of(Role role);
std::optional<Role> role_of(std::string_view text);

// Public and secret half, Z85 (40 characters each).
struct CurveKeys {
  std::string public_key, secret_key;
};
template <typename C>
void fields(C& c, CurveKeys& m) {
  c("public_key", m.public_key);
  c("secret_key", m.secret_key);
}

struct AccessKeys {
  CurveKeys server;
  std::string ticket_secret;  // 32 bytes
};
template <typename C>
void fields(C& c, AccessKeys& m) {
  c("server", m.server);
  c("ticket_secret", m.ticket_secret);
}

struct AccessEntry {
  std::string public_key;
  std::string role;          // a role's text
  bool enrols = false;       // it can do nothing but enrol keys of its role
  std::string name;          // instance; "" of a key that enrols
  std::string host;          // as it said
  std::string certificate;   // SHA-256 of its TLS certificate's DER form, hexadecimal; "": none
  std::int64_t since = 0;    // wall clock, ns
  std::int64_t expires = 0;  // wall clock, ns; 0: never
  bool revoked = false;
};
template <typename C>
void fields(C& c, AccessEntry& m) {
  c("public_key", m.public_key);
  c("role", m.role);
  c.optional("enrols", m.enrols);
  c.optional("name", m.name);
  c.optional("host", m.host);
  c.optional("certificate", m.certificate);
  c.optional("since", m.since);
  c.optional("expires", m.expires);
  c.optional("revoked", m.revoked);
}

struct AccessList {
  std::vector<AccessEntry> entries;
};
template <typename C>
void fields(C& c, AccessList& m) {
  c("entries", m.entries);
}

// The list as it is on disk now: what was appended is read before each answer, so that one costs
// what is new, however long the list is; all of it where the file is another. One thread.
class AccessReader {
 public:
  // `directory`: the session's state directory.
  explicit AccessReader(std::string directory);
  // The entry that has this key, or certificate, is not revoked and not expired at `now` (wall
  // clock, ns); nullptr: there is none. Valid until the next call.
  const AccessEntry* by_key(std::string_view public_key, std::int64_t now);
  const AccessEntry* by_certificate(std::string_view fingerprint, std::int64_t now);
  // How many keys were revoked so far: more of them is a reason to cut connections.
  std::size_t revoked();

 private:
  void refresh();
  void take(AccessEntry entry);
  void clear();
  std::string path_;
  std::optional<AppendLogReader> log_;
  std::pair<std::uint64_t, std::uint64_t> file_{};  // device and inode of the log
  std::deque<AccessEntry> entries_;                 // in the order of the log
  std::unordered_map<std::string_view, AccessEntry*> keys_, certificates_;
  std::size_t revoked_ = 0;
};

Result<AccessKeys> read_access_keys(const std::string& directory);
Status write_access_keys(const std::string& directory, const AccessKeys& keys);
// Each key once.
Result<AccessList> read_access_list(const std::string& directory);
// Replaces the list, which nobody may be reading yet.
Status write_access_list(const std::string& directory, const AccessList& list);
// The list, to be appended to.
Result<AppendLog> open_access_list(const std::string& directory);

// Whom a connection belongs to, as the ZAP handler has found and ZeroMQ tells with each message.
struct PeerIdentity {
  // From elsewhere, by a key. Else a process of the user's on this machine.
  bool remote = false;
  Role role = Role::kOwner;
  bool enrols = false;
  std::string name;  // of AccessEntry

  bool operator==(const PeerIdentity&) const = default;
};
// How ZeroMQ is told, as the user id of a connection.
inline constexpr std::string_view kOwnerId = "owner";
std::string user_id_of(const AccessEntry& entry);
// std::nullopt: nobody whom the handler has let in.
std::optional<PeerIdentity> identity_of(std::string_view user_id);

// Whether somebody who was enrolled may be called so: 1 to 64 letters, digits, '.', '_' and '-', of
// which the first is neither '.' nor '-'. A name is part of paths, endpoints' user ids and lines on
// a terminal.
inline constexpr std::size_t kLongestName = 64;
bool is_enrolled_name(std::string_view name);

// Whether a key of that kind may connect to the session's socket `endpoint` ("records", "jobs").
bool may_connect(const AccessEntry& entry, std::string_view endpoint);

// What shows that the runner `instance` was given the attempt, which is of that element (full
// name): 32 hexadecimal digits.
std::string job_ticket(std::string_view secret, std::uint64_t job, std::uint32_t attempt,
                       std::string_view instance, std::string_view element);

}  // namespace sluice::wire
