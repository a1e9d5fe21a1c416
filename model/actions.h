// What jobs do, how they end, and what they hold meanwhile: enumerations, and one row for each
// action. Whoever needs to know something of an action asks its row; none is known by its name. The
// texts are for messages, logs and people.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/texts.h"

namespace sluice::model {

// What a job does, and what a run is for: its verb, which may need other actions first.
enum class Action : std::uint8_t {
  kTrack,
  kPull,
  kFetch,
  kBuild,
  kPush,
  kSourcePush,
  kEmpty,
  kSpawn
};

// How a job ended (spec/jobs.md, J29).
enum class Outcome : std::uint8_t {
  kSuccess,
  kFailure,  // the element failed
  kError,    // the attempt could not be made
  kKilled,   // it was told to, or its process died
  kSkipped,  // nothing was to do
};

// What a job holds while it runs. How many jobs may hold one at a time is a setting, and a runner's
// own limit.
enum class Resource : std::uint8_t { kDownload, kProcess, kUpload, kRunner };
inline constexpr std::size_t kResources = 4;

// Which caches on other machines an action has to do with.
enum class Caches : std::uint8_t { kNone, kArtifacts, kSources };

// What has to be there before a job.
enum class Needs : std::uint8_t {
  kNothing,
  kInputs,  // its sources, and the artifacts of what it is built with
};

// What the store or the project has after a job.
enum class Yields : std::uint8_t {
  kNothing,
  kRefs,  // of sources, to be written into the project
  kSources,
  kArtifact,        // of the element's key, or one that says how it failed
  kPulledArtifact,  // its key may be another, and it may be of a failure
};

struct ActionTraits {
  Action action;
  std::string_view name;  // in messages, and in logs: [source-push:element]
  // of its queue ("Src-push Queue"), and of what a job's log begins with
  std::string_view title;
  std::string_view activity;  // BuildStream's name of a session that was started for it
  std::string_view done;      // what the screen calls those of its queue that are done
  Resource resource;
  Caches from = Caches::kNone;  // what it asks caches for
  Caches to = Caches::kNone;    // what it gives to caches
  Needs needs = Needs::kNothing;
  Yields yields = Yields::kNothing;
  // Of an action that an element needs to be there: what a job that has done it says of where that
  // came from.
  std::string_view origin = {};
  // Its jobs take less time than to say that they have started: they are given many at once, have
  // no log, and only those that fail, or are lost, have records of their own. The others are what
  // the run's and the status' counts say.
  bool brief = false;
};

inline constexpr std::array<ActionTraits, 8> kActions = {{
    {.action = Action::kTrack,
     .name = "track",
     .title = "Track",
     .activity = "Track",
     .done = "Sources Tracked",
     .resource = Resource::kDownload,
     .yields = Yields::kRefs},
    {.action = Action::kPull,
     .name = "pull",
     .title = "Pull",
     .activity = "Pull",
     .done = "Artifacts Pulled",
     .resource = Resource::kDownload,
     .from = Caches::kArtifacts,
     .yields = Yields::kPulledArtifact,
     .origin = "pulled"},
    {.action = Action::kFetch,
     .name = "fetch",
     .title = "Fetch",
     .activity = "Fetch",
     .done = "Sources Fetched",
     .resource = Resource::kDownload,
     .from = Caches::kSources,
     .yields = Yields::kSources,
     .origin = "fetched"},
    {.action = Action::kBuild,
     .name = "build",
     .title = "Build",
     .activity = "Build",
     .done = "Built",
     .resource = Resource::kProcess,
     .needs = Needs::kInputs,
     .yields = Yields::kArtifact,
     .origin = "built"},
    {.action = Action::kPush,
     .name = "push",
     .title = "Push",
     .activity = "Push",
     .done = "Artifacts Pushed",
     .resource = Resource::kUpload,
     .to = Caches::kArtifacts},
    {.action = Action::kSourcePush,
     .name = "source-push",
     .title = "Src-push",
     .activity = "Source push",
     .done = "Sources Pushed",
     .resource = Resource::kUpload,
     .to = Caches::kSources},
    // Measure what jobs cost (spec/jobs.md): one that does nothing, and one that starts a program.
    {.action = Action::kEmpty,
     .name = "empty",
     .title = "Empty",
     .activity = "Empty",
     .done = "Empty",
     .resource = Resource::kRunner,
     .brief = true},
    {.action = Action::kSpawn,
     .name = "spawn",
     .title = "Spawn",
     .activity = "Spawn",
     .done = "Spawn",
     .resource = Resource::kProcess,
     .brief = true},
}};

constexpr const ActionTraits& traits(Action action) {
  return kActions[static_cast<std::size_t>(action)];
}

inline constexpr auto kActionNames = [] {
  std::array<std::string_view, kActions.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kActions[i].name;
  return names;
}();
static_assert([] {
  for (std::size_t i = 0; i < kActions.size(); ++i) {
    if (static_cast<std::size_t>(kActions[i].action) != i) return false;
  }
  return true;
}());

inline constexpr std::array<std::string_view, 5> kOutcomeNames = {"success", "failure", "error",
                                                                  "killed", "skipped"};

constexpr std::span<const std::string_view> texts_of(const Action*) { return kActionNames; }
constexpr std::span<const std::string_view> texts_of(const Outcome*) { return kOutcomeNames; }

// What a text stands for that is none of them, in a message: another outcome is an error.
constexpr std::optional<Outcome> otherwise(const Outcome*) { return Outcome::kError; }
constexpr std::optional<Action> otherwise(const Action*) { return std::nullopt; }

}  // namespace sluice::model
