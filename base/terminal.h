// What the environment says of the terminal that is written to, and of who reads it. The terminal
// itself is asked for its size alone. One thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice {

// Whether the cursor can be moved on the terminal: TERM is something, and not `dumb`.
bool smart_terminal();

// Whether output is to have colours of which nobody has said anything: NO_COLOR that isn't empty
// (no-color.org), else CLICOLOR_FORCE other than 0 (bixense.com/clicolors), else CLICOLOR=0, else
// whether it is a terminal that isn't dumb.
bool colors_by_environment(bool terminal);

// Whether the user's locale (LC_ALL, LC_CTYPE, LANG) writes UTF-8. Else only ASCII can be counted
// on.
bool utf8_by_environment();

// Whether the terminal makes links of OSC 8, or leaves them out. The Linux console shows their
// bytes.
bool links_by_environment();

// Whether the terminal is one of those that show progress (OSC 9;4). Others take OSC 9 for a
// notification.
bool progress_by_environment();

// The style of lines that go to no terminal, as the system that runs the build wants them: github
// (GITHUB_ACTIONS=true), gitlab (GITLAB_CI=true), else plain.
std::string_view lines_by_environment();

// How wide what is printed may be: $COLUMNS, else the terminal that the standard output or the
// standard error leads to, else 80.
std::size_t terminal_columns();

}  // namespace sluice
