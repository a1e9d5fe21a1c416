// The YAML files of project/defaults/, which are part of the program.
#pragma once

#include <string_view>

namespace sluice::project {

// Empty when there is no such file.
std::string_view builtin_file(std::string_view name);

}  // namespace sluice::project
