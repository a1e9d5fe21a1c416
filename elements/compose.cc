#include "elements/compose.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/truth.h"
#include "base/try.h"

namespace sluice::elements {

namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

}  // namespace

bool truth(const model::Node& config, std::string_view key, bool otherwise) {
  const std::string text = config.get_string(key);
  return text.empty() ? otherwise : is_true(text);
}

Result<std::string> assemble_compose(Build& build) {
  const model::Node& config = build.data().body.config;
  const SplitRules::Choice choice{config.get_strings("include"), config.get_strings("exclude"),
                                  truth(config, "include-orphans", true)};
  const bool split = !choice.everything();
  std::unordered_set<std::string> manifest;
  if (split) {
    Reporter::Activity activity(build.reporter(), "Computing split");
    build.reporter().flush();
    for (const model::ArtifactRef& artifact : build.dependencies()) {
      auto paths = TRY(manifest_of(build.cas(), artifact, choice));
      for (std::string& path : paths) manifest.insert(std::move(path));
    }
    activity.success();
  }

  if (truth(config, "integrate", true)) {
    Reporter::Activity activity(build.reporter(), "Integrating sandbox", {}, false);
    std::unordered_set<std::string> before;
    if (split) {
      auto paths = TRY(build.root().tree().list());
      before.insert(paths.begin(), paths.end());
    }
    CHECK(build.commands().integrate(everything(build.dependencies())));
    if (split) {
      auto paths = TRY(build.root().tree().list());
      const std::unordered_set<std::string> after(paths.begin(), paths.end());
      std::size_t added = 0, removed = 0;
      for (const std::string& path : before) {
        if (after.count(path) == 0 && manifest.erase(path) > 0) ++removed;
      }
      for (const std::string& path : paths) {
        if (before.count(path) > 0) continue;
        manifest.insert(path);
        ++added;
      }
      build.reporter().message(
          Level::kInfo, fmt::format("Integration added {} and removed {} files", added, removed));
    }
    activity.success();
  }
  if (!split) return "/";

  std::string detail = choice.include.empty()
                           ? "Including files from all domains"
                           : "Including files from domains: " + joined(choice.include);
  if (!choice.exclude.empty())
    detail += "\nExcluding files from domains: " + joined(choice.exclude);
  detail += choice.orphans ? "\nIncluding orphaned files" : "\nExcluding orphaned files";
  Reporter::Activity activity(build.reporter(), "Creating composition", detail);
  build.reporter().message(Level::kInfo, fmt::format("Composing {} files", manifest.size()));
  build.reporter().flush();
  auto whole = TRY(build.root().tree().store(build.cas()));
  constexpr const char* kInstall = "/buildstream/install";
  CHECK(build.root().tree().make_directory(kInstall));
  const auto chosen = [&](std::string_view path) { return manifest.contains(std::string(path)); };
  CHECK(build.root().tree().merge(whole, kInstall, chosen));
  activity.success();
  return kInstall;
}

}  // namespace sluice::elements
