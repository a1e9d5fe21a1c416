#include "cli/states.h"

#include <memory>

#include "base/try.h"
#include "wire/snapshot.h"

namespace sluice::cli {

using model::ElementState;

States::States(const model::Snapshot& snapshot, store::Cas cas)
    : snapshot_(snapshot), cas_(std::move(cas)), complete_(cas_), artifacts_(cas_, &complete_),
      sources_(cas_, &complete_), known_(snapshot.elements.size()) {}

Result<std::unique_ptr<States>> States::open(const model::Snapshot& snapshot) {
  auto cas = TRY(store::Cas::open(snapshot.settings.cachedir));
  return std::unique_ptr<States>(new States(snapshot, std::move(cas)));
}

Result<const store::ArtifactInfo*> States::artifact(model::ElementIndex index) {
  Known& known = known_[index];
  if (!known.asked) {
    const model::Element& element = snapshot_.elements[index];
    const std::string& project = snapshot_.projects[element.project].name;
    known.asked = true;
    const std::string* key = &element.keys.full;
    if (key->empty())
      key = element.keys.strict.empty() && !snapshot_.settings.strict ? &element.keys.weak
                                                                      : &element.keys.strict;
    if (!key->empty() && element.builds) {
      known.artifact = TRY(artifacts_.lookup(project, element.name, *key));
      // One that was found for the weak key may have lost the name of its strong one.
      if (!known.artifact && !snapshot_.settings.strict)
        known.artifact = TRY(artifacts_.lookup(project, element.name, element.keys.weak));
    }
  }
  return known.artifact ? &*known.artifact : nullptr;
}

Result<bool> States::ready(model::ElementIndex index) {
  // Dependencies have smaller indices; an explicit stack, since chains may be long.
  std::vector<model::ElementIndex> stack{index};
  while (!stack.empty()) {
    const model::ElementIndex top = stack.back();
    if (known_[top].ready) {
      stack.pop_back();
      continue;
    }
    auto own = TRY(artifact(top));
    bool all = own != nullptr && own->build_success;
    bool pending = false;
    for (const auto& dependency : snapshot_.elements[top].dependencies) {
      if (!all || !dependency.runtime) continue;
      if (!known_[dependency.element].ready) {
        stack.push_back(dependency.element);
        pending = true;
      } else {
        all = *known_[dependency.element].ready;
      }
    }
    if (pending && all) continue;
    // A dependency that was pushed meanwhile is dealt with when its turn comes.
    known_[top].ready = all;
  }
  return *known_[index].ready;
}

CommandSurroundings& States::surroundings() {
  static const std::vector<std::string> kNoFatalWarnings;
  if (surroundings_ == nullptr)
    surroundings_ = std::make_unique<CommandSurroundings>(nullptr, snapshot_.settings,
                                                          kNoFatalWarnings, nullptr);
  return *surroundings_;
}

Result<bool> States::sources_available(model::ElementIndex index) {
  const model::Element& element = snapshot_.elements[index];
  if (!element.has_sources || element.sources_local) return true;
  if (!element.sources_key.empty()) {
    auto cached = TRY(sources_.lookup_element(element.sources_key));
    if (cached) return true;
  }
  // Sources that can't be fetched here aren't there either.
  if (element.obstacle(model::Obstacle::To::kFetch) != nullptr) return false;
  auto body = TRY(wire::unpack_body(element.body));
  for (const auto& source : body.sources) {
    const sources::WorkRow* work = sources::find_work(source);
    if (work == nullptr) return false;
    if (work->cached == nullptr) continue;
    auto cached = work->cached(source, surroundings());
    if (!cached || !*cached) return cached;
  }
  return true;
}

Result<ElementState> States::state(model::ElementIndex index) {
  const model::Element& element = snapshot_.elements[index];
  // The next fact is asked for only when those before leave the state open.
  model::StateFacts facts = facts_of(element, snapshot_.settings.strict);
  if (const auto state = state_of(facts)) return *state;
  if (facts.has_key) {
    const store::ArtifactInfo* found = TRY(artifact(index));
    facts.artifact = found == nullptr       ? model::ArtifactState::kAbsent
                     : found->build_success ? model::ArtifactState::kCached
                                            : model::ArtifactState::kFailed;
    if (const auto state = state_of(facts)) return *state;
  }
  facts.has_sources = TRY(sources_available(index));
  if (const auto state = state_of(facts)) return *state;
  facts.has_inputs = true;
  for (const auto& dependency : element.dependencies) {
    if (!dependency.build || TRY(ready(dependency.element))) continue;
    facts.has_inputs = false;
    break;
  }
  return *state_of(facts);
}

}  // namespace sluice::cli
