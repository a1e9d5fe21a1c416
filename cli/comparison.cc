#include "cli/comparison.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "store/key_inputs.h"

namespace sluice::cli {

using store::ArtifactInfo;

bool Comparison::own() const {
  return !changes.empty() || !unknown.empty() ||
         std::any_of(dependencies.begin(), dependencies.end(),
                     [](const DependencyChange& change) { return change.how != "key"; });
}

Result<std::optional<std::string>> kept_inputs(const store::Cas& cas,
                                               const ArtifactInfo& artifact) {
  auto inputs = store::read_key_inputs(cas, artifact.strong_key);
  if (!inputs || !*inputs) return inputs;
  std::vector<store::KeyDependency> dependencies;
  for (const auto& each : artifact.build_deps)
    dependencies.push_back({each.project, each.element, each.key});
  if (store::key_of(**inputs, dependencies, artifact.weak_key) != artifact.strong_key)
    return std::optional<std::string>();
  return inputs;
}

std::vector<Change> compare_meta(const store::ArtifactMeta& before,
                                 const store::ArtifactMeta& after,
                                 const std::vector<std::string>& nocache) {
  const auto cached = [&](model::StringMap map) {
    std::erase_if(map, [&](const auto& entry) {
      return std::find(nocache.begin(), nocache.end(), entry.first) != nocache.end();
    });
    return map;
  };
  std::vector<Change> out =
      compare_maps("environment", cached(before.environment), cached(after.environment));
  const auto add = [&](std::vector<Change> more) {
    out.insert(out.end(), more.begin(), more.end());
  };
  add(compare_nodes("sandbox", before.sandbox_config, after.sandbox_config));
  add(compare_nodes("public", before.public_data, after.public_data));
  return out;
}

std::vector<std::string> unknown_parts() {
  return {"source", "config", "plugin-version", "fatal-warnings"};
}

std::vector<DependencyChange> compare_dependencies(
    const std::vector<store::ArtifactInfo::Dependency>& before, const std::vector<BuiltWith>& now) {
  using Name = std::pair<std::string_view, std::string_view>;
  std::vector<DependencyChange> out;
  std::map<Name, const store::ArtifactInfo::Dependency*> old;
  for (const auto& each : before) old.emplace(Name(each.project, each.element), &each);
  std::vector<Name> order;  // of those that both have
  for (const BuiltWith& each : now) {
    const auto known = old.find({each.project, each.name});
    if (known == old.end()) {
      out.push_back({std::string(each.shown), "added", "", std::string(each.key)});
      continue;
    }
    order.push_back(known->first);
    if (known->second->key != each.key)
      out.push_back({std::string(each.shown), "key", known->second->key, std::string(each.key)});
  }
  std::vector<Name> kept = order;
  std::sort(kept.begin(), kept.end());
  std::vector<Name> old_order;
  for (const auto& each : before) {
    const Name name(each.project, each.element);
    if (std::binary_search(kept.begin(), kept.end(), name)) {
      old_order.push_back(name);
    } else {
      out.push_back({each.element, "removed", each.key, ""});
    }
  }
  if (order != old_order) out.push_back({"", "order", "", ""});
  return out;
}

Result<Comparison> compare_artifacts(const store::Cas& cas, const ArtifactInfo& before,
                                     const ArtifactInfo& after, const model::ElementBody* now) {
  Comparison out;
  auto old_inputs = TRY(kept_inputs(cas, before));
  auto inputs = TRY(kept_inputs(cas, after));
  out.inputs_kept = old_inputs && inputs;
  out.same_weak_key = before.weak_key == after.weak_key;
  std::vector<BuiltWith> now_with;
  for (const auto& each : after.build_deps)
    now_with.push_back({each.project, each.element, each.element, each.key});
  out.dependencies = compare_dependencies(before.build_deps, now_with);
  if (out.same_weak_key) return out;
  if (out.inputs_kept) {
    const model::ElementBody nobody;
    out.changes = TRY(compare_key_inputs(*old_inputs, *inputs, now != nullptr ? *now : nobody));
    if (out.changes.empty()) return out;
  }
  auto old_meta = store::read_meta(cas, before);
  auto meta = store::read_meta(cas, after);
  if (old_meta && meta) {
    out.variables = compare_maps("variable", old_meta->variables, meta->variables);
    if (!out.inputs_kept) out.changes = compare_meta(*old_meta, *meta, {});
  } else if (!out.inputs_kept) {
    out.unknown = {"environment", "sandbox", "public"};
  }
  if (!out.inputs_kept) {
    const auto unknown = unknown_parts();
    out.unknown.insert(out.unknown.begin(), unknown.begin(), unknown.end());
  }
  return out;
}

}  // namespace sluice::cli
