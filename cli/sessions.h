// Sessions on disk and how one is chosen.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::cli {

struct SessionInfo {
  wire::SessionPaths paths;
  std::string project;  // directory
  std::string verb;
  std::int64_t started = 0;  // wall clock, ns
  std::int64_t pid = 0;      // of the supervisor
  std::string state;         // as it was written last: active | ended | stopped
  bool alive = false;        // its supervisor holds its lock
};

// All that have a readable description, the oldest first.
std::vector<SessionInfo> list_sessions();

// The one called `id`, or with "" the newest of `directory`'s project, or else the newest.
// Only living ones. Error: domain "session", reason "no-session" or "session-ended".
Result<SessionInfo> choose_session(const std::string& id, const std::string& directory);

// Where project.conf is, `directory` or above; "" when nowhere.
std::string find_project(std::string directory);

}  // namespace sluice::cli
