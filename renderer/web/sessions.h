// The sessions of this machine, for the page's list.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/result.h"
#include "history/outline.h"
#include "wire/session.h"

namespace sluice::renderer {

// Any thread. What is known of a session by its records alone takes reading them: it is found for
// the newest ones, once for each that has ended.
class SessionList {
 public:
  static constexpr std::size_t kOutlines = 50;
  // JSON, the newest first: {id, project (directory), verb, started (ns), state, alive}, and of the
  // newest kOutlines also {targets (ten at most), outcome, ms}.
  std::string json();

 private:
  std::mutex mutex_;
  std::map<std::string, history::Outline> known_;  // by id and whether it is over
};

// The paths of a session that there is, or was. Error "app"/"no-session".
Result<wire::SessionPaths> known_session(const std::string& id);

}  // namespace sluice::renderer
