// Sessions on disk and how one is chosen.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/messages.h"
#include "wire/session.h"

namespace sluice::cli {

struct JoinPlace;

// How a session went, as its supervisor has noted at its end.
struct SessionCourse {
  std::string outcome;  // as history::History::outcome()
  std::vector<std::string> targets;
  std::int64_t ended = 0;     // wall clock, ns
  std::int64_t duration = 0;  // ns, suspensions left out
};

struct SessionInfo {
  wire::SessionPaths paths;
  std::string project;  // directory
  std::string verb;
  std::int64_t started = 0;                // wall clock, ns
  std::int64_t pid = 0;                    // of the supervisor
  std::string state;                       // as it was written last: active | ended | stopped
  bool alive = false;                      // its supervisor holds its lock
  std::optional<SessionCourse> course;     // of one that has ended
  std::shared_ptr<const JoinPlace> place;  // of a session on another machine
};

// All sessions that have a readable description, the oldest first.
std::vector<SessionInfo> list_sessions();

// The living session called `id`; with "" the newest of `directory`'s project, or else the newest
// of all. Error: domain "session", reason "no-session" or "session-ended".
Result<SessionInfo> choose_session(const std::string& id, const std::string& directory);

// The session called `id`, whether it lives or not.
Result<SessionInfo> find_session(const std::string& id);

// This command's HELLO to a session's broker.
wire::Hello client_hello(std::string_view protocol);
// The cursor of the record that will be written next. Waits for the broker as long as the session
// lives, or until a signal asks this command to end.
Result<std::uint64_t> end_cursor(const wire::SessionPaths& paths);

}  // namespace sluice::cli
