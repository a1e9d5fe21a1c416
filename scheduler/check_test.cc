// Runs that build what is cached once more (`build --check`).
#include "model/source_kinds.h"
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

using Names = std::vector<std::string>;

// base <- lib (with sources that are fetched) <- app, bad
struct CheckWorld : World {
  std::string file;

  explicit CheckWorld(const std::function<void(model::Snapshot&)>& change = {}) {
    model::Snapshot snapshot = make_snapshot({{"base.bst", {}, {}},
                                              {"lib.bst", {"base.bst"}, {}, true},
                                              {"app.bst", {"base.bst", "lib.bst"}, {}},
                                              {"bad.bst", {"base.bst"}, {}}},
                                             {"lib.bst", "app.bst", "bad.bst"});
    if (change) change(snapshot);
    file = write(std::move(snapshot));
  }
  wire::RunArguments check(std::vector<std::uint32_t> selection) {
    wire::RunArguments arguments = build(file, "none");
    arguments.check = true;
    arguments.selection = std::move(selection);
    arguments.on_error = "continue";
    return arguments;
  }
};

constexpr std::uint32_t kLib = 1, kApp = 2, kBad = 3;

}  // namespace

TEST_CASE("J103: what is selected is built once more, of what is cached, with its sources") {
  CheckWorld world;
  for (const char* name : {"base.bst", "lib.bst", "app.bst", "bad.bst"})
    world.store.add(name, true);
  const auto cached = world.store.artifacts.size();
  world.run(world.check({kLib, kApp}));
  world.hello("runner");
  const Names done = world.work("runner");
  // Sorted, as both may be checked at once.
  CHECK(std::multiset<std::string>(done.begin(), done.end()) ==
        std::multiset<std::string>{"check:app.bst", "check:lib.bst", "fetch:lib.bst"});
  CHECK(world.outcome() == "success");
  CHECK(world.store.artifacts.size() == cached);
  const auto finished = world.out->of("run.finished").at(0);
  for (const auto& queue : *finished.queues) {
    if (queue.name == "Check") CHECK(queue.processed == 2);
    if (queue.name == "Build") CHECK(queue.processed == 0);
  }
}

TEST_CASE("J103: what isn't cached is built first; one that differs is in nobody's way") {
  CheckWorld world;
  world.run(world.check({kLib, kApp}));
  world.hello("runner");
  // The build of lib.bst is done well, and its check fails.
  Names done;
  for (auto jobs = world.out->take_jobs("runner"); !jobs.empty();
       jobs = world.out->take_jobs("runner")) {
    for (const auto& job : jobs) {
      done.push_back(std::string(text_of(job.action)) + ":" + name_of(job));
      world.finish("runner", job,
                   done.back() == "check:lib.bst" ? Outcome::kFailure : Outcome::kSuccess);
    }
  }
  CHECK(std::multiset<std::string>(done.begin(), done.end()) ==
        std::multiset<std::string>{"build:app.bst", "build:bad.bst", "build:base.bst",
                                   "build:lib.bst", "check:app.bst", "check:lib.bst",
                                   "fetch:lib.bst"});
  CHECK(world.outcome() == "failure");
  const auto finished = world.out->of("run.finished").at(0);
  REQUIRE(finished.failures->size() == 1);
  CHECK(finished.failures->front().element.name == "lib.bst");
  CHECK(world.store.artifacts.size() == 4);
}

TEST_CASE("J103: a failure that is cached is told, and not checked") {
  CheckWorld world;
  for (const char* name : {"base.bst", "lib.bst", "app.bst"}) world.store.add(name, true);
  world.store.add("bad.bst", false);
  world.run(world.check({kBad}));
  world.hello("runner");
  CHECK(world.work("runner").empty());
  CHECK(world.outcome() == "failure");
}

TEST_CASE("J103: open workspaces and builds that aren't strict can't be checked") {
  const auto refused = [](CheckWorld& world) {
    const auto accepted = world.core->run(world.check({kApp}));
    return accepted ? std::string() : accepted.error().reason;
  };
  CheckWorld loose([](model::Snapshot& snapshot) { snapshot.settings.strict = false; });
  CHECK(refused(loose) == "not-strict");
  CheckWorld open([](model::Snapshot& snapshot) {
    model::ElementBody body;
    body.sources.emplace_back().kind = std::string(model::kWorkspaceKind);
    snapshot.elements[kApp].body = wire::pack_body(body);
  });
  CHECK(refused(open) == "workspaced");
}

TEST_CASE("J72: a check is given to the session's own runners alone") {
  CheckWorld world;
  world.configure = [](CoreOptions& options) { options.listens = true; };
  world.start();
  for (const char* name : {"base.bst", "lib.bst", "app.bst", "bad.bst"})
    world.store.add(name, true);
  world.join("far");
  world.run(world.check({kApp, kBad}));
  CHECK(world.out->take_jobs("far").empty());
  CHECK(world.out->runners_started == 1);
  world.hello("own");
  CHECK(world.out->take_jobs("far").empty());
  const Names done = world.work("own");
  CHECK(std::multiset<std::string>(done.begin(), done.end()) ==
        std::multiset<std::string>{"check:app.bst", "check:bad.bst"});
  CHECK(world.outcome() == "success");
}

}  // namespace sluice::scheduler
