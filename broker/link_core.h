// What the cores of the broker's two ROUTER links have in common. A core holds a link's state and
// decides; it sends through a function and is told the time, so that unit tests drive it without
// sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "wire/access.h"
#include "wire/hello.h"
#include "wire/messages.h"

namespace sluice::broker {

enum class Sent { kSent, kFull, kGone };  // gone: nobody is connected under this identity
using Send =
    std::function<Sent(const std::string& identity, std::string_view name, std::string body)>;

// Whom a message is from, as the kernel and ZeroMQ say of its connection.
struct Sender {
  Sender(bool session_process = false, std::string_view user = wire::kOwnerId)
      : of_session(session_process), user_id(user) {}
  // A process of the session's own. Only looked at with HELLO.
  bool of_session;
  std::string_view user_id;  // wire/access.h, identity_of()
};

// Why REFUSED is said to who may not do what he asks for.
inline constexpr std::string_view kNotAllowed = "not-allowed";

// Both links' numbers (spec/records.md and spec/control.md, "Heartbeats").
inline constexpr std::uint32_t kHeartbeatMs = 1000;
inline constexpr unsigned kExpiryBeats = 10;
// Peers that only publish are asked in each so-manieth beat: nothing of theirs depends upon it.
inline constexpr unsigned kQuietBeats = 5;
// Peers of a link: of the session's own machine, and as many of each role from elsewhere, so that
// none of these leaves another without room. Each has a connection, and a runner three of the
// session's descriptors in all.
inline constexpr std::size_t kMaxPeers = 4096;
// Of a key from elsewhere, and of an enrolment key, by which many come at once.
inline constexpr std::size_t kMaxPeersOfKey = 64;
inline constexpr std::size_t kMaxPeersEnrolling = 1024;

// The peers that there are on a link, by the user ids of their connections.
class PeerCounts {
 public:
  bool has_room(std::string_view user_id) const;
  void add(std::string_view user_id);
  void remove(std::string_view user_id);

 private:
  std::map<std::string, std::size_t, std::less<>> of_key_, of_role_;
};

// The session, and the process, behind a broker's socket.
struct SessionIdentity {
  std::string session;
  std::uint64_t epoch = 0;
};

struct Admitted {
  wire::Hello hello;  // of a peer from elsewhere: under the name that its key has
  wire::PeerIdentity who;
};
// The HELLO in `body`, or why it is REFUSED ("malformed" among the reasons). `has_room`: one more
// peer can be taken, or it is known already.
tl::expected<Admitted, std::string_view> admit(std::string_view body, std::string_view protocol,
                                               const Sender& sender, bool has_room);

// Whether `packed`, an event about a job, is of an attempt that the runner `name` was given, as its
// ticket shows (wire::job_ticket()).
bool good_ticket(std::string_view packed, std::string_view ticket, std::string_view secret,
                 std::string_view name);

// What WELCOME says on both links.
wire::Welcome welcome_to(const SessionIdentity& session);

}  // namespace sluice::broker
