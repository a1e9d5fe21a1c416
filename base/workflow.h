// Commands to the system that runs a build on GitHub: lines of its standard output like
// `::error file=a.bst,line=3::message`. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sluice {

// The line of a command, with its newline. Properties that are empty are left out. No value can end
// it, or begin another.
std::string workflow_command(std::string_view name,
                             const std::vector<std::pair<std::string, std::string>>& properties,
                             std::string_view message);

// Lines of which some may be anybody's. Where one could be taken for a command, commands are
// stopped around them by `token`, which nobody else may know.
std::string workflow_text(std::string_view lines, const std::string& token);
// A token that nobody can guess.
std::string workflow_token();

// The annotation of an error, at its place. Where the file is there below `directory`, or one above
// it, it is named relative to `workspace`, as annotations want it.
std::string workflow_error(const Error& error, std::string_view title, const std::string& directory,
                           const std::string& workspace);

// A file's name as annotations want it: as workflow_error() has it. "" when there is none.
std::string workflow_file(const std::string& file, const std::string& directory,
                          const std::string& workspace);

}  // namespace sluice
