#include "scheduler/known_snapshot.h"

#include <map>
#include <utility>

#include "base/try.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

KnownSnapshot::KnownSnapshot(model::Snapshot from)
    : snapshot(std::move(from)), graph(snapshot),
      artifact(snapshot.elements.size(), ArtifactState::kUnknown),
      sources(snapshot.elements.size(), SourcesState::kUnknown),
      packed_settings(wire::pack_settings(snapshot.settings)) {
  answers.artifacts.resize(snapshot.elements.size());
}

Result<std::unique_ptr<KnownSnapshot>> KnownSnapshot::read(const std::string& file) {
  auto snapshot = TRY(wire::read_snapshot(file, true));
  auto loaded = std::make_unique<KnownSnapshot>(std::move(snapshot));
  loaded->file = file;
  return loaded;
}

std::optional<ElementIndex> KnownSnapshot::find(std::string_view full_name) const {
  for (ElementIndex e = 0; e < size(); ++e) {
    if (element(e).full_name == full_name) return e;
  }
  return std::nullopt;
}

void KnownSnapshot::add_to(StateDigest& digest) const {
  digest.add(file);
  digest.add(snapshot.id);
  digest.add(artifact);
  digest.add(sources);
  for (const model::Element& element : snapshot.elements) digest.add(element.keys.full);
  for (const auto& [changed, hash] : std::map(changed_files.begin(), changed_files.end())) {
    digest.add(changed);
    digest.add(hash);
  }
  for (ElementIndex e = 0; e < size(); ++e) digest.add(lacks_buildtree.contains(e));
}

void KnownSnapshot::carry_from(const KnownSnapshot& earlier) {
  if (earlier.snapshot.settings.cachedir != snapshot.settings.cachedir) return;
  std::unordered_map<std::string_view, ElementIndex> by_name;
  by_name.reserve(earlier.size());
  for (ElementIndex e = 0; e < earlier.size(); ++e)
    by_name.emplace(earlier.element(e).full_name, e);
  for (ElementIndex e = 0; e < size(); ++e) {
    const auto found = by_name.find(element(e).full_name);
    if (found == by_name.end()) continue;
    const ElementIndex old = found->second;
    if (!element(e).keys.full.empty() && earlier.element(old).keys.full == element(e).keys.full) {
      artifact[e] = earlier.artifact[old];
      if (const auto& known = earlier.answers.artifacts[old])
        answers.artifacts[e] = std::make_unique<CachedArtifact>(*known);
    }
    if (earlier.element(old).sources_key == element(e).sources_key) {
      sources[e] = earlier.sources[old];
      if (const auto digest = earlier.answers.sources.find(old);
          digest != earlier.answers.sources.end()) {
        answers.sources[e] = digest->second;
      }
    }
  }
}

Status KnownSnapshot::query_artifacts(StoreView& store, const std::vector<ElementIndex>& elements) {
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
    auto found = store.artifacts_of(names);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (found[i] && !*found[i]) found[i] = by_weak_key(store, asked[i]);
      if (!found[i]) return forward(found[i]);
      if (*found[i] && (*found[i])->lacks_buildtree) lacks_buildtree.insert(asked[i]);
      artifact[asked[i]] = take_answer(asked[i], std::move(*found[i]));
    }
  }
  return {};
}

Result<ArtifactState> KnownSnapshot::ask_artifact(StoreView& store, ElementIndex e) const {
  if (!element(e).builds) return ArtifactState::kAbsent;
  if (element(e).keys.full.empty()) return artifact[e];
  auto found = store.artifact({project(e).name, element(e).name, element(e).keys.full});
  if (found && !*found) found = by_weak_key(store, e);
  if (!found) return forward(found);
  return take_answer(e, std::move(*found));
}

// One that a build that isn't strict takes may have lost the name of its full key: its weak one is
// what it was found by.
Result<std::optional<CachedArtifact>> KnownSnapshot::by_weak_key(StoreView& store,
                                                                 ElementIndex e) const {
  if (snapshot.settings.strict || element(e).keys.weak.empty())
    return std::optional<CachedArtifact>{};
  return store.artifact({project(e).name, element(e).name, element(e).keys.weak});
}

ArtifactState KnownSnapshot::take_answer(ElementIndex e,
                                         std::optional<CachedArtifact> found) const {
  auto& answer = answers.artifacts[e];
  if (!found) {
    answer.reset();
    return ArtifactState::kAbsent;
  }
  const bool success = found->success;
  answer = std::make_unique<CachedArtifact>(std::move(*found));
  return success ? ArtifactState::kCached : ArtifactState::kFailed;
}

Status KnownSnapshot::query_sources(StoreView& store, ElementIndex e) {
  sources[e] = TRY(ask_sources(store, e));
  return {};
}

Result<SourcesState> KnownSnapshot::ask_sources(StoreView& store, ElementIndex e) const {
  const model::Element& element = this->element(e);
  // Sources without a reference have no key: they can't be there.
  if (element.has_sources && element.sources_key.empty()) return SourcesState::kAbsent;
  auto found = TRY(store.sources(element.sources_key));
  if (found) {
    if (element.has_sources) answers.sources[e] = *found;
    return SourcesState::kPresent;
  }
  answers.sources.erase(e);
  // Local sources entered the store while keys were made: they are staged from there.
  return element.sources_local || !element.has_sources ? SourcesState::kStageable
                                                       : SourcesState::kAbsent;
}

}  // namespace sluice::scheduler
