// The states of elements, in BuildStream's words, and the one place that decides which of them an
// element is in. `show` and the scheduler find the facts out, each in its way, and ask here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/model.h"
#include "model/texts.h"

namespace sluice::model {

enum class ElementState : std::uint8_t {
  kNoReference,
  kJunction,
  kUnsupported,
  kFailed,
  kCached,
  kFetchNeeded,
  kBuildable,
  kWaiting,
};

// What a state's colour says. Which colour that is, is the business of those that draw.
enum class Tone : std::uint8_t { kBad, kDone, kReady, kPending };

struct StateTraits {
  ElementState state;
  std::string_view name;
  Tone tone;
};

inline constexpr std::array<StateTraits, 8> kElementStates = {{
    {ElementState::kNoReference, "no reference", Tone::kBad},
    {ElementState::kJunction, "junction", Tone::kDone},
    // Sluice's own word: its key can't be made here, and no artifact stands in for it.
    {ElementState::kUnsupported, "unsupported", Tone::kBad},
    {ElementState::kFailed, "failed", Tone::kBad},
    {ElementState::kCached, "cached", Tone::kDone},
    {ElementState::kFetchNeeded, "fetch needed", Tone::kBad},
    {ElementState::kBuildable, "buildable", Tone::kReady},
    {ElementState::kWaiting, "waiting", Tone::kPending},
}};

inline constexpr auto kElementStateNames = [] {
  std::array<std::string_view, kElementStates.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kElementStates[i].name;
  return names;
}();
static_assert([] {
  for (std::size_t i = 0; i < kElementStates.size(); ++i) {
    if (static_cast<std::size_t>(kElementStates[i].state) != i) return false;
  }
  return true;
}());
constexpr std::span<const std::string_view> texts_of(const ElementState*) {
  return kElementStateNames;
}
constexpr Tone tone_of(ElementState state) {
  return kElementStates[static_cast<std::size_t>(state)].tone;
}

// What a store has of an element's artifact. Values are written to the scheduler's journal
// (RunStarted::states).
enum class ArtifactState : std::uint8_t { kUnknown, kAbsent, kCached, kFailed };

// What decides an element's state. Facts that cost a look into the store may be left unknown.
struct StateFacts {
  bool has_refs = true;  // of all of its sources
  bool is_junction = false;
  bool is_supported = true;  // what its key is made of is known here
  // It has a key, or will have one when what it waits for has come; without one no artifact is its.
  bool has_key = true;
  ArtifactState artifact = ArtifactState::kUnknown;
  std::optional<bool> has_sources;  // nothing of it has to be fetched
  std::optional<bool> has_inputs;   // all that it is built with is cached, and it is to be built
};

// Those that an element of a snapshot tells by itself; `has_key`: whether it has one now.
StateFacts facts_of(const Element& element, bool strict);

// Nothing when an unknown fact would decide. The facts are looked at from the first to the last, so
// whoever finds them out can ask again after each.
constexpr std::optional<ElementState> state_of(const StateFacts& facts) {
  if (!facts.has_refs) return ElementState::kNoReference;
  if (facts.is_junction) return ElementState::kJunction;
  if (facts.has_key) {
    if (facts.artifact == ArtifactState::kUnknown) return std::nullopt;
    if (facts.artifact == ArtifactState::kFailed) return ElementState::kFailed;
    if (facts.artifact == ArtifactState::kCached) return ElementState::kCached;
  }
  if (!facts.is_supported) return ElementState::kUnsupported;
  // Without a key, because something that it is built with has no reference, its own sources can be
  // fetched all the same.
  if (!facts.has_sources) return std::nullopt;
  if (!*facts.has_sources) return ElementState::kFetchNeeded;
  if (!facts.has_key) return ElementState::kWaiting;
  if (!facts.has_inputs) return std::nullopt;
  return *facts.has_inputs ? ElementState::kBuildable : ElementState::kWaiting;
}

}  // namespace sluice::model
