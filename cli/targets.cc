#include "cli/targets.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/glob.h"

namespace sluice::cli {

bool is_artifact_reference(std::string_view name) {
  const auto first = name.find('/');
  const auto second = first == std::string_view::npos ? first : name.find('/', first + 1);
  if (second == std::string_view::npos || first == 0 || second == first + 1) return false;
  const std::string_view key = name.substr(second + 1);
  return key.size() == 64 && key.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Targets> split_targets(const std::vector<std::string>& names, std::string_view deps) {
  Targets targets;
  for (const auto& name : names) {
    const bool element = name.ends_with(".bst");
    auto& list = element ? targets.elements : targets.artifacts;
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
    if (element || is_glob(name) || is_artifact_reference(name)) continue;
    return fail(
        "stream", "unrecognized-target-format",
        fmt::format("Specified target does not appear to be an artifact or element name: {}", name),
        {}, "Element names and element glob expressions must end in '.bst'");
  }
  if (!targets.artifacts.empty() && (deps == "all" || deps == "run")) {
    return fail("stream", "deps-not-supported",
                fmt::format("Error: '--deps {}' is not supported for artifact names", deps));
  }
  return targets;
}

}  // namespace sluice::cli
