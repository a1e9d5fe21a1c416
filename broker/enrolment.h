// Enrolment keeps the session's access list (wire/access.h), which the broker alone writes: whose
// keys are let in from elsewhere, and under which names. spec/access.md.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "wire/access.h"
#include "wire/messages.h"

namespace sluice::broker {

// One thread.
class Enrolment {
 public:
  static constexpr std::size_t kMostEntries = 65536;
  static constexpr std::size_t kLongestName = 64;

  // The list below `state`, the session's state directory; an empty one where there is none.
  static Result<Enrolment> open(std::string state, const Clock& clock);

  // Lets a key in, with `role`. Returns the name that it has from then on: what was asked for, with
  // a number behind it when that is somebody else's. A key that is enrolled already keeps its name.
  // Error "access": "bad-key", "bad-name", "revoked", "too-many", or of the file, which then is as
  // it was.
  Result<std::string> enrol(wire::Role role, const wire::EnrolArguments& arguments);
  // Lets nobody in any more under that name. Error "access"/"no-such-name".
  Status revoke(std::string_view name);

 private:
  Enrolment(std::string state, wire::AccessList list, const Clock& clock)
      : state_(std::move(state)), list_(std::move(list)), clock_(clock) {}
  bool taken(std::string_view name) const;
  Status keep(wire::AccessList changed);

  std::string state_;
  wire::AccessList list_;
  const Clock& clock_;
};

}  // namespace sluice::broker
