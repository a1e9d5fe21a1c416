// The table of queues.
#include <catch2/catch.hpp>

#include "scheduler/run.h"
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

KnownSnapshot loaded_of(const std::vector<ElementSpec>& specs, const std::string& target) {
  KnownSnapshot loaded(make_snapshot(specs, {target}));
  std::fill(loaded.artifact.begin(), loaded.artifact.end(), ArtifactState::kAbsent);
  std::fill(loaded.sources.begin(), loaded.sources.end(), SourcesState::kAbsent);
  return loaded;
}

// Does everything that is ready, in the first queue that has something, and says what was done.
std::vector<std::string> work(Run& run, KnownSnapshot& loaded) {
  std::vector<std::string> done;
  for (std::size_t q = 0; q < run.queues();) {
    const ElementIndex e = run.next_ready(q);
    if (e == Run::kNone) {
      ++q;
      continue;
    }
    const model::ActionTraits& traits = run.type(q).traits();
    done.push_back(std::string(traits.name) + ":" + loaded.element(e).name);
    run.take(e);
    if (traits.yields == model::Yields::kSources) loaded.sources[e] = SourcesState::kPresent;
    if (traits.yields == model::Yields::kArtifact) loaded.artifact[e] = ArtifactState::kCached;
    run.finished(e, false);
    q = 0;
  }
  return done;
}

const std::vector<ElementSpec> kTwo = {{.name = "low", .sources = true},
                                       {.name = "high", .build = {"low"}, .sources = true}};

}  // namespace

TEST_CASE("every action has a queue, once, and the texts tell them apart") {
  std::set<Action> queued;
  for (const QueueType& type : queue_types()) CHECK(queued.insert(type.action).second);
  CHECK(queued.size() == model::kActions.size());
  std::set<std::string_view> names, titles;
  for (const model::ActionTraits& traits : model::kActions) {
    CHECK(names.insert(traits.name).second);
    CHECK(titles.insert(traits.title).second);
    CHECK(model::named<Action>(traits.name) == traits.action);
    // What isn't one kind of cache or the other has nobody to ask.
    CHECK((traits.from == model::Caches::kNone || traits.to == model::Caches::kNone));
  }
  CHECK_FALSE(model::named<Action>("dance"));
}

TEST_CASE("adding a queue is adding a row") {
  KnownSnapshot loaded = loaded_of(kTwo, "high");
  wire::RunArguments build;
  std::vector<QueueType> types = queue_types();
  SECTION("as it is") {
    Run run = Run::make(loaded, 1, build, types).value();
    run.start();
    CHECK(work(run, loaded) ==
          std::vector<std::string>{"fetch:low", "fetch:high", "build:low", "build:high"});
  }
  SECTION("another between fetch and build, for what has sources that were fetched") {
    const auto builds = std::find_if(types.begin(), types.end(), [](const QueueType& type) {
      return type.action == Action::kBuild;
    });
    types.insert(builds,
                 {Action::kSpawn, [](const Run& run) { return run.verb() == Action::kBuild; },
                  [](const Run& run, ElementIndex e) {
                    return run.loaded().sources[e] == SourcesState::kPresent ? Readiness::kReady
                                                                             : Readiness::kWait;
                  }});
    Run run = Run::make(loaded, 1, build, types).value();
    run.start();
    CHECK(work(run, loaded) == std::vector<std::string>{"fetch:low", "fetch:high", "spawn:low",
                                                        "spawn:high", "build:low", "build:high"});
    CHECK(run.all_counts()[1].name == "Spawn");
    CHECK(run.all_counts()[1].processed == 2);
  }
}

}  // namespace sluice::scheduler
