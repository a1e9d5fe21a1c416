#include "loader/project/source_project.h"

#include <fmt/format.h>

#include "base/paths.h"
#include "base/try.h"
#include "project/lookups.h"

namespace sluice::loader {

Status add_warning(const Project& project, std::string_view name, std::string_view text,
                   std::string_view detail, const Provenance& at,
                   std::vector<std::string>& warnings) {
  std::string message = name.empty() ? std::string(text) : fmt::format("[{}]: {}", name, text);
  if (!name.empty() && project.warning_is_fatal(name))
    return fail("plugin", std::string(name), std::move(message), at, std::string(detail));
  if (!detail.empty()) message += fmt::format("\n{}", detail);
  warnings.push_back(std::move(message));
  return {};
}

Result<std::string> SourceProject::checked_path(const Node& path, PathKind kind) {
  return project_.checked_path(path, kind);
}

std::string SourceProject::absolute(std::string_view path) {
  return join(project_.directory, path);
}

Result<std::string_view> SourceProject::read(Arena& arena, const std::string& absolute_path) {
  return project_.lookups().read(arena, absolute_path);
}

std::vector<std::string> SourceProject::names(const std::string& absolute_path) {
  std::vector<std::string> names;
  for (Lookups::Entry& entry : project_.lookups().list(absolute_path))
    names.push_back(std::move(entry.name));
  return names;
}

Status SourceProject::check_url(std::string_view url) {
  const Provenance at = provenance(mark_);
  if (TRY(project_.check_url(url, at, first_pass_))) return {};
  return warn("unaliased-url",
              fmt::format("{} source at {}: Use of unaliased source download URL: {}", kind_,
                          at.str(), url),
              {});
}

Status SourceProject::warn(std::string_view name, std::string_view text, std::string_view detail) {
  return add_warning(project_, name, text, detail, provenance(mark_), warnings_);
}

Result<std::string> SourceProject::translate_url(std::string_view url) {
  return project_.translate_url(url, provenance(mark_), first_pass_);
}

Result<std::vector<std::string>> SourceProject::download_urls(std::string_view url) {
  return project_.download_urls(url, first_pass_, false);
}

std::vector<std::string> SourceProject::aliases() {
  std::vector<std::string> names;
  const Node* aliases = project_.pass(first_pass_).aliases;
  if (aliases == nullptr) return names;
  for (const Entry& entry : aliases->entries()) names.emplace_back(entry.key);
  return names;
}

}  // namespace sluice::loader
