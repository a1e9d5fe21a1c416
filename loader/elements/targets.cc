#include "loader/elements/targets.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/paths.h"
#include "base/suggest.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kSuffix = ".bst";

std::string_view without_suffix(std::string_view name) {
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : name;
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

Status check_target_names(const std::vector<std::string>& names, const NearNames& near) {
  std::vector<std::string_view> wrong;
  // Names come before patterns in the message.
  for (const bool glob : {false, true}) {
    for (const std::string& name : names) {
      if (!name.ends_with(".bst") && is_glob(name) == glob) wrong.push_back(name);
    }
  }
  if (wrong.empty()) return {};
  std::string detail = "Element names and element glob expressions must end in '.bst'";
  constexpr std::size_t kMost = 5;
  for (std::size_t i = 0; near && i < std::min(wrong.size(), kMost); ++i) {
    const std::string name(wrong[i]);
    const std::string meant = is_glob(name) ? "" : did_you_mean(near(name));
    if (!meant.empty())
      detail += "\n" + (wrong.size() == 1 ? meant : fmt::format("{}: {}", name, meant));
  }
  return fail("stream", "invalid-element-names",
              fmt::format("Invalid element names or element glob patterns were specified: {}",
                          fmt::join(wrong, ", ")),
              {}, detail);
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

std::vector<std::string> near_elements(Lookups& lookups, const std::string& element_path,
                                       const std::string& prefix, const std::string& name) {
  std::vector<std::string> files = element_files(lookups, element_path, kSuffix);
  // A link that leads nowhere is a name without an element.
  std::erase(files, name);
  std::sort(files.begin(), files.end());
  const auto is_file = [&](const std::string& file) {
    return std::find(files.begin(), files.end(), file) != files.end();
  };
  std::string wanted = normalize(name);
  if (wanted.starts_with(element_path + "/")) wanted.erase(0, element_path.size() + 1);
  if (!prefix.empty() && wanted.starts_with(prefix + "/")) wanted.erase(0, prefix.size() + 1);
  if (!wanted.ends_with(kSuffix)) wanted += kSuffix;
  if (is_file(wanted)) return {wanted};
  // Elsewhere, as it is called; then nearly so.
  std::vector<std::string> found, stems, lasts;
  for (const std::string& file : files) {
    if (last_part(file) == last_part(wanted)) found.push_back(file);
    stems.emplace_back(without_suffix(file));
    lasts.emplace_back(last_part(without_suffix(file)));
  }
  constexpr std::size_t kMost = 3;
  if (found.empty()) {
    for (const std::string& stem : nearest(without_suffix(wanted), stems))
      found.push_back(stem + std::string(kSuffix));
  }
  if (found.empty()) {
    for (const std::string& last : nearest(last_part(without_suffix(wanted)), lasts)) {
      for (const std::string& file : files) {
        if (last_part(without_suffix(file)) == last) found.push_back(file);
      }
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
    return std::count(a.begin(), a.end(), '/') < std::count(b.begin(), b.end(), '/');
  });
  if (found.size() > kMost) found.resize(kMost);
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
