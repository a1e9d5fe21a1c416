// The text of --help, and the usage of a command, from its shape.
//
// No line is wider than the columns that there are, but for words that are: options and their
// values, commands of examples.
#pragma once

#include <cstddef>
#include <string>

#include "cli/options.h"

namespace sluice::cli {

// "[ELEMENTS]...", "ELEMENT"
std::string argument_text(const ArgumentShape& argument);
// "Usage: sluice build [OPTIONS] [ELEMENTS]...", with a newline at its end.
std::string usage_text(const CommandShape& command, std::size_t columns);
std::string help_text(const CommandShape& command, std::size_t columns);

}  // namespace sluice::cli
