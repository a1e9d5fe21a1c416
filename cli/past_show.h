// Shows the records of a session by a renderer, where nobody is to be asked anything.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/renderer_style.h"
#include "cli/sessions.h"

namespace sluice::cli {

// The style of that name, or else the one that the command line has chosen. Error: there is none of
// that name, or it doesn't go with the other options.
Result<RendererStyle> style_named(const Invocation& invocation, const std::string& name);
// What its renderer is started with, but for what is shown of it.
std::vector<std::string> arguments_in_style(const Invocation& invocation,
                                            const SessionInfo& session, const RendererStyle& style);

// Shows all records of a session that has ended, and gives the status that its last run had: 0 when
// that succeeded. Ctrl-C ends the showing, with 0.
int show_ended(Invocation& invocation, const SessionInfo& session, const std::string& style);

}  // namespace sluice::cli
