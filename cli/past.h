// Sessions that have been, for commands that show them.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/sessions.h"
#include "history/history.h"

namespace sluice::cli {

// The session of that id, whether it lives or not, or of a join file's path; with "" the newest of
// the project, or else the newest of all. Error: "session"/"no-session".
Result<SessionInfo> past_session(const Invocation& invocation, const std::string& id);

// What has been in it until now. That of a session on another machine is read from there.
Result<history::History> read_history(const SessionInfo& session);

}  // namespace sluice::cli
