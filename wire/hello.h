// HELLO and its answers, for both ends of every link: the names of the protocols, why a HELLO isn't
// taken, and what whoever said one may believe (spec/records.md, R1 to R4).
#pragma once

#include <string_view>

#include "wire/messages.h"

namespace sluice::wire {

inline constexpr std::string_view kRecordsProtocol = "records/1";
inline constexpr std::string_view kControlProtocol = "control/1";
inline constexpr std::string_view kJobsProtocol = "jobs/1";

// REFUSED's reason for what can't be decoded.
inline constexpr std::string_view kMalformed = "malformed";

// REFUSED's reason for whom there is no room at the moment.
inline constexpr std::string_view kTooManyPeers = "too-many-peers";

// The empty frame by which a ROUTER greets a new connection. `Frames`: a container of strings.
template <typename Frames>
bool is_probe(const Frames& frames) {
  return frames.size() == 1 && frames[0].empty();
}

// Why a HELLO isn't taken, as REFUSED says it: "protocol", "role" or "instance"; "" when it is
// fine. `role` is the only one that the link serves, or "" where all may come.
std::string_view wrong_hello(const Hello& hello, std::string_view protocol,
                             std::string_view role = {});

// How the other end has taken this one's HELLO.
class Greeting {
 public:
  // Of a REFUSED: HELLO is to be said again; it answers something that was said before a HELLO
  // which is on its way; or this end is not wanted.
  enum class Refusal { kSayAgain, kStale, kFinal };

  bool welcomed() const { return welcomed_; }
  void said() { welcomed_ = false; }
  void answered() { welcomed_ = true; }
  Refusal refused(const Refused& refused);

 private:
  bool welcomed_ = false;  // since the last HELLO
};

}  // namespace sluice::wire
