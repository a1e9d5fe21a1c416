// Wildcards in names of elements and artifacts, as BuildStream's utils.glob():
// '*' any characters but '/', '**' those too, '?' one but '/', [a-z], [!a-z]. There is no
// escaping. A leading '/' is understood on both sides.
#pragma once

#include <string_view>

namespace sluice::cli {

bool is_glob(std::string_view name);
// Takes time proportional to the product of both lengths at most.
bool glob_matches(std::string_view pattern, std::string_view name);

}  // namespace sluice::cli
