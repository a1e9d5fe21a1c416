// One request to a session that runs, and its answer, for commands that do nothing else.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cli/commands.h"
#include "cli/sessions.h"
#include "cli/table.h"
#include "wire/messages.h"

namespace sluice::cli {

inline constexpr Duration kCommandTimeout = std::chrono::seconds(15);

// The session of that id, of a join file's path, or, with "", the newest that lives.
Result<SessionInfo> chosen_session(const Invocation& invocation, const std::string& id);

// Sends one request, and waits for its answer.
Result<wire::Reply> ask(const SessionInfo& session, std::string_view service,
                        std::string_view command, Duration timeout,
                        const std::string& arguments = {});
// The same; an answer that isn't "done" or "accepted" is an error, in which `verb` is what the user
// has typed.
Result<wire::Reply> ask_done(const SessionInfo& session, std::string_view service,
                             std::string_view command, const std::string& arguments,
                             std::string_view verb);

}  // namespace sluice::cli
