// What stands on a command line that takes elements and artifacts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::cli {

// "PROJECT/ELEMENT/KEY" with a key of 64 hexadecimal digits.
bool is_artifact_reference(std::string_view name);

struct Targets {
  std::vector<std::string> elements;   // names and patterns that end in ".bst"
  std::vector<std::string> artifacts;  // references, and patterns of such
};
// Splits names, each of which is in the answer once. `deps` can be none or build alone when there
// are artifacts. Errors: "stream"/"unrecognized-target-format", "stream"/"deps-not-supported".
Result<Targets> split_targets(const std::vector<std::string>& names, std::string_view deps);

}  // namespace sluice::cli
