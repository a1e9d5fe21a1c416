// Enrolment keeps the session's access list (wire/access.h), which the broker alone writes: whose
// keys are let in from elsewhere, and under which names. spec/access.md.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/append_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "wire/access.h"
#include "wire/messages.h"

namespace sluice::broker {

// One thread.
class Enrolment {
 public:
  // How many a join file can have enrolled, those that were revoked since among them: each role has
  // one enrolment key, and those of one role leave the others theirs.
  static constexpr std::size_t kMostOfRole = 16384;
  static constexpr std::size_t kLongestHost = 255;

  // The list below `state`, the session's state directory; an empty one where there is none.
  static Result<Enrolment> open(std::string state, const Clock& clock);

  // Lets a key in, with `role`. Returns the name that it has from then on: what was asked for, with
  // a number behind it when that is somebody else's. A key that is enrolled already keeps its name.
  // Error "access": "bad-key", "bad-name", "bad-host", "revoked", "too-many", or of the file, which
  // then is as it was.
  Result<std::string> enrol(wire::Role role, const wire::EnrolArguments& arguments);
  // Lets nobody in any more under that name. Error "access"/"no-such-name".
  Status revoke(std::string_view name);

 private:
  Enrolment(AppendLog log, wire::AccessList list, const Clock& clock);
  bool taken(std::string_view name) const;
  std::string free_name(const std::string& wanted);
  Status keep(wire::AccessEntry entry);

  AppendLog log_;
  std::vector<wire::AccessEntry> entries_;
  std::unordered_map<std::string, std::size_t> keys_, names_;  // places in entries_
  std::map<std::string, std::size_t, std::less<>> enrolled_;   // by role
  // By the name that was wanted: the number behind it that is tried next.
  std::unordered_map<std::string, unsigned> numbers_;
  const Clock& clock_;
};

}  // namespace sluice::broker
