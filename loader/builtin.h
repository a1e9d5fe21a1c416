// The YAML files of loader/defaults/, which are part of the program.
#pragma once

#include <string_view>

namespace sluice::loader {

// Empty when there is no such file.
std::string_view builtin_file(std::string_view name);

}  // namespace sluice::loader
