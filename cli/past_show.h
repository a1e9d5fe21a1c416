// Shows the records of a session by a renderer, where nobody is to be asked anything.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/sessions.h"

namespace sluice::cli {

// The style in which a session is shown, when the user hasn't named one.
std::string style_or_default(const Invocation& invocation, const std::string& style);
// What its renderer is started with, but for what is shown of it.
std::vector<std::string> arguments_in_style(const Invocation& invocation,
                                            const SessionInfo& session, const std::string& style);

// Shows all records of a session that has ended, and gives the status that its last run had: 0 when
// that succeeded. Ctrl-C ends the showing, with 0.
int show_ended(Invocation& invocation, const SessionInfo& session, const std::string& style);

}  // namespace sluice::cli
