#include "loader/elements/targets.h"

#include <unordered_set>

#include <fmt/format.h>

#include "base/glob.h"

namespace sluice::loader {

Status check_target_names(const std::vector<std::string>& names) {
  std::vector<std::string_view> wrong;
  // Names come before patterns in the message.
  for (const bool glob : {false, true}) {
    for (const std::string& name : names) {
      if (!name.ends_with(".bst") && is_glob(name) == glob) wrong.push_back(name);
    }
  }
  if (wrong.empty()) return {};
  return fail("stream", "invalid-element-names",
              fmt::format("Invalid element names or element glob patterns were specified: {}",
                          fmt::join(wrong, ", ")),
              {}, "Element names and element glob expressions must end in '.bst'");
}

std::vector<std::string> element_files(Lookups& lookups, const std::string& element_path,
                                       std::string_view skip) {
  std::vector<std::string> found;
  std::vector<std::string> pending = {""};
  while (!pending.empty()) {
    const std::string relative = std::move(pending.back());
    pending.pop_back();
    const std::string path = relative.empty() ? element_path : element_path + "/" + relative;
    std::vector<std::string> directories;
    for (const Lookups::Entry& entry : lookups.list(path)) {
      const std::string below =
          relative.empty() ? entry.name : fmt::format("{}/{}", relative, entry.name);
      if (!entry.is_directory) {
        if (entry.name.ends_with(".bst")) found.push_back(below);
      } else if (!entry.is_link && (skip.empty() || entry.name != skip)) {
        directories.push_back(below);
      }
    }
    pending.insert(pending.end(), directories.rbegin(), directories.rend());
  }
  return found;
}

std::vector<std::string> expand_targets(Lookups& lookups, const std::string& element_path,
                                        const std::vector<std::string>& names,
                                        std::vector<std::string>& warnings) {
  std::vector<std::string> targets;
  std::unordered_set<std::string_view> seen;
  const auto add = [&](const std::string& name) {
    if (seen.insert(name).second) targets.push_back(name);
  };
  for (const std::string& name : names) {
    if (!is_glob(name)) add(name);
  }
  std::vector<std::string> files;
  std::unordered_set<std::string_view> patterns;
  for (const std::string& name : names) {
    if (!is_glob(name) || !patterns.insert(name).second) continue;
    if (files.empty()) files = element_files(lookups, element_path, "");
    const Glob glob(name.starts_with('/') ? name : "/" + name);
    bool any = false;
    for (const std::string& file : files) {
      if (!glob.matches("/" + file)) continue;
      any = true;
      add(file);
    }
    if (!any) warnings.push_back(fmt::format("No elements matched the glob expression: {}", name));
  }
  return targets;
}

}  // namespace sluice::loader
