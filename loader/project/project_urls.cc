// What URLs of sources mean in a project: aliases, mapped to those of its parents where
// junctions say so, and mirrors (buildstream/_project.py, translate_url to get_alias_uris).
#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/project/project.h"
#include "sources/mirror_url.h"

namespace sluice::loader {

namespace {

// The alias that a URL begins with; "" when that is the scheme of a full one.
std::string_view alias_of(std::string_view url) {
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos) return {};
  const std::string_view head = url.substr(0, colon);
  std::string lower(head);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (std::string_view scheme : {"http", "https", "ftp", "file", "git", "sftp", "ssh"}) {
    if (lower == scheme) return {};
  }
  return head;
}

Result<const Node*> find_alias(const ProjectPass& pass, std::string_view alias) {
  if (pass.aliases == nullptr) return nullptr;
  return TRY(find_scalar(*pass.aliases, alias));
}

tl::unexpected<Error> source_error(const Provenance& at, std::string reason, std::string message,
                                   std::string detail = {}) {
  return fail("source", std::move(reason), std::move(message), at, std::move(detail));
}

}  // namespace

Result<bool> Project::alias_exists(std::string_view alias, const Provenance& at,
                                   bool first_pass) const {
  if (junction != nullptr) {
    const auto mapped = TRY(junction->parent_alias(alias));
    if (mapped && !mapped->empty()) {
      if (TRY(junction->project->alias_exists(*mapped, at, first_pass))) return true;
      auto failed =
          fail("source", "invalid-source-alias",
               fmt::format(
                   "Mapped alias '{}' for subproject alias '{}' is invalid in the parent project",
                   *mapped, alias),
               junction->provenance);
      failed.value().subject = "junction element";
      return failed;
    }
    if (junction->project->disallow_subproject_uris) {
      return source_error(at, "missing-alias-mapping",
                          fmt::format("Parent project did not provide a mapping for alias '{}' and "
                                      "disallowed usage of unmapped aliases",
                                      alias));
    }
  }
  return TRY(find_alias(pass(first_pass), alias)) != nullptr;
}

std::vector<const Mirror*> Project::plugin_mirrors(bool first_pass) const {
  std::vector<const Mirror*> all;
  for (const Project* project = this; project != nullptr;
       project = project->junction != nullptr ? project->junction->project : nullptr) {
    for (const Mirror& mirror : project->pass(first_pass).mirrors) {
      if (mirror.plugin) all.push_back(&mirror);
    }
  }
  return all;
}

Result<std::vector<AliasTarget>> Project::alias_targets(std::string_view alias, bool first_pass,
                                                        bool tracking) const {
  const ProjectPass& own = pass(first_pass);
  const Node* value = TRY(find_alias(own, alias));
  if (value == nullptr) return std::vector<AliasTarget>(1);
  if (junction != nullptr) {
    const auto mapped = TRY(junction->parent_alias(alias));
    if (mapped && !mapped->empty()) {
      auto targets = TRY(junction->project->alias_targets(*mapped, first_pass, tracking));
      const auto ours = std::count_if(own.mirrors.begin(), own.mirrors.end(),
                                      [](const Mirror& mirror) { return mirror.plugin; });
      for (AliasTarget& target : targets) target.number += static_cast<std::size_t>(ours);
      return targets;
    }
    if (junction->project->disallow_subproject_uris) return std::vector<AliasTarget>(1);
  }
  const UrlPolicy policy = tracking ? context_.user->track_source : context_.user->fetch_source;
  std::vector<AliasTarget> targets;
  if (policy == UrlPolicy::kAll || policy == UrlPolicy::kMirrors ||
      (policy == UrlPolicy::kUser && mirrors_overridden_)) {
    std::size_t number = 0;
    for (const Mirror& mirror : own.mirrors) {
      std::vector<AliasTarget> more;
      if (mirror.plugin) {
        if (TRY(mirror.translates(alias)))
          more.push_back({{}, &mirror, number, std::string(alias)});
        ++number;
      }
      for (const std::string& uri : mirror.uris(alias)) more.push_back({uri});
      targets.insert(mirror.name == own.default_mirror ? targets.begin() : targets.end(),
                     more.begin(), more.end());
    }
  }
  if (policy == UrlPolicy::kAll || policy == UrlPolicy::kAliases)
    targets.push_back({std::string(value->text)});
  return targets;
}

Result<bool> Project::check_url(std::string_view url, const Provenance& at, bool first_pass) const {
  const std::string_view alias = alias_of(url);
  if (alias.empty()) return false;
  if (!TRY(alias_exists(alias, at, first_pass))) {
    return source_error(at, "invalid-source-alias",
                        fmt::format("Invalid alias '{}' specified in URL: {}", alias, url));
  }
  if (TRY(alias_targets(alias, first_pass, false)).empty()) {
    return source_error(at, "missing-source-alias-target",
                        fmt::format("No fetch URI found for alias '{}'", alias),
                        "Check fetch controls in your user configuration");
  }
  if (TRY(alias_targets(alias, first_pass, true)).empty()) {
    return source_error(at, "missing-source-alias-target",
                        fmt::format("No tracking URI found for alias '{}'", alias),
                        "Check track controls in your user configuration");
  }
  return true;
}

Result<std::string> Project::translate_url(std::string_view url, const Provenance& at,
                                           bool first_pass) const {
  const std::size_t colon = url.find(':');
  if (colon == std::string_view::npos) return std::string(url);
  const std::string_view alias = url.substr(0, colon);
  const Node* value = TRY(find_alias(pass(first_pass), alias));
  if (value == nullptr || value->text.empty()) return std::string(url);
  const std::string_view body = url.substr(colon + 1);
  if (junction != nullptr) {
    const auto mapped = TRY(junction->parent_alias(alias));
    if (mapped && !mapped->empty())
      return junction->project->translate_url(fmt::format("{}:{}", *mapped, body), at, first_pass);
    if (junction->project->disallow_subproject_uris) {
      return source_error(at, "missing-alias-mapping",
                          fmt::format("Parent project did not provide a mapping for alias '{}' and "
                                      "disallowed usage of unmapped aliases",
                                      alias));
    }
  }
  return fmt::format("{}{}", value->text, body);
}

Result<std::vector<std::string>> Project::download_urls(std::string_view url, bool first_pass,
                                                        bool tracking) const {
  std::vector<std::string> urls;
  const std::string_view alias = alias_of(url);
  if (alias.empty()) {
    urls.emplace_back(url);
    return urls;
  }
  for (const AliasTarget& target : TRY(alias_targets(alias, first_pass, tracking))) {
    const std::string_view rest = url.substr(alias.size() + 1);
    if (target.mirror != nullptr) {
      urls.push_back(sources::mirror_url({target.number, alias, rest}));
    } else {
      urls.push_back(fmt::format("{}{}", target.uri, target.uri.empty() ? url : rest));
    }
  }
  return urls;
}

}  // namespace sluice::loader
