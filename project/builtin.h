// The YAML files of project/defaults/, which are part of the program.
#pragma once

#include <string_view>

namespace sluice::project {

// The text of a file by its name, as "autotools.yaml"; empty when there is no such file.
std::string_view builtin_file(std::string_view name);

}  // namespace sluice::project
