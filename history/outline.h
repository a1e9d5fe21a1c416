// How a session went in a few words, for lists of many: found out of its log without decoding most
// of the records.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::history {

struct Outline {
  std::string outcome;               // as History::outcome()
  std::string verb;                  // of the last run, else that of the session's command
  std::vector<std::string> targets;  // of the last run
  std::uint32_t runs = 0;
  std::int64_t ended = 0;     // wall clock, ns; of one without an end: its newest record
  std::int64_t duration = 0;  // ns from the start on, suspensions left out
};

// `over`: nobody writes records any more. Errors: "app"/"no-session", and those of the log's file.
Result<Outline> outline(const wire::SessionPaths& paths, bool over);

}  // namespace sluice::history
