#include "cli/past.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/ask.h"
#include "cli/place.h"
#include "wire/follow.h"

namespace sluice::cli {

Result<SessionInfo> past_session(const Invocation& invocation, const std::string& id) {
  if (id.ends_with(".json")) return chosen_session(invocation, id);
  if (!id.empty()) return find_session(id);
  const std::string project = find_project(load_arguments(invocation.global).what.directory);
  const auto sessions = list_sessions();
  const auto here = std::find_if(sessions.rbegin(), sessions.rend(), [&](const SessionInfo& one) {
    return !project.empty() && find_project(one.project) == project;
  });
  if (here != sessions.rend()) return *here;
  if (sessions.empty()) return fail("session", "no-session", "There was no session yet");
  return sessions.back();
}

namespace {

Result<history::History> read_from_there(const SessionInfo& session) {
  history::Gatherer gatherer({});
  const bool over = TRY(wire::read_until_now(session.paths, "cli", [&](std::string_view packed) {
    (void)gatherer.add(packed);  // counted there
    return true;
  }));
  gatherer.settle(over);
  return gatherer.take();
}

}  // namespace

Result<history::History> read_history(const SessionInfo& session) {
  return session.place ? read_from_there(session) : history::read(session.paths);
}

}  // namespace sluice::cli
