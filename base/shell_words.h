#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// The words of a command line, as a shell takes them: quotes and backslashes protect white space. A
// quote that isn't closed reaches to the end.
std::vector<std::string> shell_words(std::string_view text);

}  // namespace sluice
