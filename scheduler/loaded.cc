#include "scheduler/loaded.h"

#include <utility>

#include "wire/snapshot.h"

namespace sluice::scheduler {

Loaded::Loaded(model::Snapshot from)
    : snapshot(std::move(from)),
      graph(snapshot),
      artifact(snapshot.elements.size(), ArtifactState::kUnknown),
      sources(snapshot.elements.size(), SourcesState::kUnknown),
      info(snapshot.elements.size()),
      packed_settings(wire::pack_settings(snapshot.settings)) {}

Result<std::unique_ptr<Loaded>> Loaded::read(const std::string& file) {
  auto snapshot = wire::read_snapshot(file, true);
  if (!snapshot) return forward(snapshot);
  auto loaded = std::make_unique<Loaded>(std::move(*snapshot));
  loaded->file = file;
  return loaded;
}

std::optional<ElementIndex> Loaded::find(std::string_view full_name) const {
  for (ElementIndex e = 0; e < size(); ++e) {
    if (element(e).full_name == full_name) return e;
  }
  return std::nullopt;
}

void Loaded::carry_from(const Loaded& earlier) {
  if (earlier.snapshot.settings.cachedir != snapshot.settings.cachedir) return;
  std::unordered_map<std::string_view, ElementIndex> by_name;
  by_name.reserve(earlier.size());
  for (ElementIndex e = 0; e < earlier.size(); ++e) by_name.emplace(earlier.element(e).full_name, e);
  for (ElementIndex e = 0; e < size(); ++e) {
    const auto found = by_name.find(element(e).full_name);
    if (found == by_name.end()) continue;
    const ElementIndex old = found->second;
    if (!element(e).keys.full.empty() && earlier.element(old).keys.full == element(e).keys.full) {
      artifact[e] = earlier.artifact[old];
      if (earlier.info[old]) info[e] = std::make_unique<CachedArtifact>(*earlier.info[old]);
    }
    if (earlier.element(old).sources_key == element(e).sources_key) {
      sources[e] = earlier.sources[old];
      if (const auto digest = earlier.source_digest.find(old); digest != earlier.source_digest.end()) {
        source_digest[e] = digest->second;
      }
    }
  }
}

Status Loaded::query_artifact(StoreView& store, ElementIndex e) { return query_artifacts(store, {e}); }

Status Loaded::query_artifacts(StoreView& store, const std::vector<ElementIndex>& elements) {
  constexpr std::size_t kAtOnce = 1024;  // answers that are held twice
  std::vector<ElementIndex> asked;
  std::vector<ArtifactName> names;
  for (auto at = elements.begin(); at != elements.end();) {
    asked.clear();
    names.clear();
    for (; at != elements.end() && asked.size() < kAtOnce; ++at) {
      if (!element(*at).builds) artifact[*at] = ArtifactState::kAbsent;
      if (element(*at).keys.full.empty() || !element(*at).builds) continue;
      asked.push_back(*at);
      names.push_back({project(*at).name, element(*at).name, element(*at).keys.full});
    }
    auto answers = store.artifacts_of(names);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (auto taken = take_answer(store, asked[i], std::move(answers[i])); !taken) return taken;
    }
  }
  return {};
}

Status Loaded::take_answer(StoreView& store, ElementIndex e, Result<std::optional<CachedArtifact>> found) {
  if (!found) return forward(found);
  // One that a build that isn't strict takes may have lost the name of its full key: its weak one is what it was found by.
  if (!*found && !snapshot.settings.strict && !element(e).keys.weak.empty()) {
    found = store.artifact({project(e).name, element(e).name, element(e).keys.weak});
    if (!found) return forward(found);
  }
  if (!*found) {
    artifact[e] = ArtifactState::kAbsent;
    info[e].reset();
    return {};
  }
  if ((*found)->lacks_buildtree) lacks_buildtree.insert(e);
  artifact[e] = (*found)->success ? ArtifactState::kCached : ArtifactState::kFailed;
  info[e] = std::make_unique<CachedArtifact>(std::move(**found));
  return {};
}

Status Loaded::query_sources(StoreView& store, ElementIndex e) {
  const model::Element& element = this->element(e);
  if (element.has_sources && element.sources_key.empty()) {
    // Without a reference there is no key: they can't be there.
    sources[e] = SourcesState::kAbsent;
    return {};
  }
  auto found = store.sources(element.sources_key);
  if (!found) return forward(found);
  if (*found) {
    sources[e] = SourcesState::kPresent;
    if (element.has_sources) source_digest[e] = **found;
  } else {
    // Local sources entered the store while keys were made: they are staged from there.
    sources[e] = element.sources_local || !element.has_sources ? SourcesState::kStageable : SourcesState::kAbsent;
    source_digest.erase(e);
  }
  return {};
}

}  // namespace sluice::scheduler
