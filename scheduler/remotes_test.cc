// Runs that pull and push: what is required when, what is known when, and that a scheduler that is started again knows the same.
#include "scheduler/core.h"

#include <catch2/catch.hpp>

#include "scheduler/test_world.h"

using namespace sluice;
using namespace sluice::scheduler;

namespace {

wire::ProjectRemotes remotes(bool push) {
  model::Remote remote;
  remote.url = "http://cache";
  remote.push = push;
  return {{remote}, {}};
}

// top is built with mid, mid with low.
struct Caches : World {
  explicit Caches(bool strict = true, bool push = false) : snapshot(make_snapshot({{"low.bst"}, {"mid.bst", {"low.bst"}}, {"top.bst", {"mid.bst"}}}, {"top.bst"})) {
    snapshot.settings.strict = strict;
    arguments.verb = "build";
    arguments.deps = "run";
    arguments.on_error = "continue";
    arguments.remotes = {remotes(push)};
    if (!strict) arguments.reload.bytes = "again";
    hello("runner", 4);
  }
  void begin() {
    arguments.snapshot_file = write(snapshot);
    run(arguments);
  }
  // Does all that is given; what is `there` can be pulled. The names of jobs in the order done.
  std::vector<std::string> serve(const std::set<std::string>& there, const std::set<std::string>& failing = {}) {
    std::vector<std::string> done;
    for (;;) {
      const auto jobs = out->take_jobs("runner");
      if (jobs.empty()) return done;
      for (const auto& job : jobs) {
        const std::string name = job.action + ":" + name_of(job);
        done.push_back(name);
        started("runner", job.id);
        say("runner", wire::Results{{answer(job, there.contains(name_of(job)), failing.contains(name))}});
      }
    }
  }
  wire::JobResult answer(const wire::Job& job, bool there, bool fails) {
    if (job.action != "pull" || fails) return result_of(job, !fails ? "success" : job.action == "pull" ? "error" : "failure");
    wire::JobResult result;
    result.id = job.id;
    result.status = there ? "success" : "skipped";
    if (there && !store.artifacts.contains(key_of(name_of(job)))) store.add(name_of(job));
    return result;
  }
  std::string key(const std::string& name) {
    std::string found = "no such record";
    for (const wire::Event& event : out->events) {
      if (event.element && event.element->name == name) found = event.element->key;
    }
    return found;
  }
  // The loader's answer, with other keys for what isn't strict.
  void resolve(model::Snapshot now) {
    wire::LoadResult result;
    result.snapshot_file = write(std::move(now));
    core->reloaded(std::move(result));
  }

  model::Snapshot snapshot;
  wire::RunArguments arguments;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("pull: what is pulled needs no build dependencies") {
  Caches world;
  world.begin();
  CHECK(world.serve({"top.bst"}) == Names{"pull:top.bst"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("pull: what isn't there is built, and what that takes is pulled first") {
  Caches world;
  world.begin();
  CHECK(world.serve({"low.bst"}) == Names{"pull:top.bst", "pull:mid.bst", "pull:low.bst", "build:mid.bst", "build:top.bst"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("pull: jobs have the remotes of their project, of the kind that they are for") {
  Caches world(true, true);
  world.arguments.remotes[0].artifacts.push_back({.url = "http://read-only"});
  world.begin();
  const auto pull = world.out->take_jobs("runner");
  REQUIRE(pull.size() == 1);
  CHECK(pull[0].remotes.size() == 2);
  world.finish("runner", pull[0], "skipped");
  std::optional<wire::Job> push;
  for (int i = 0; i < 20 && !push; ++i) {
    for (const auto& job : world.out->take_jobs("runner")) {
      if (job.action == "push") push = job;
      world.started("runner", job.id);
      world.say("runner", wire::Results{{world.answer(job, false, false)}});
    }
  }
  REQUIRE(push);
  REQUIRE(push->remotes.size() == 1);
  CHECK(push->remotes[0].url == "http://cache");
}

TEST_CASE("push: what was built is pushed, what was pulled as well, what failed when the run goes on") {
  Caches world(true, true);
  world.begin();
  CHECK(world.serve({"low.bst"}, {"build:top.bst"}) ==
        Names{"pull:top.bst", "pull:mid.bst", "pull:low.bst", "push:low.bst", "build:mid.bst", "push:mid.bst", "build:top.bst", "push:top.bst"});
  CHECK(world.outcome() == "failure");
}

TEST_CASE("pull: a job that fails stops its element, or is no matter, as --on-error says") {
  SECTION("continue: it is built") {
    Caches world;
    world.begin();
    CHECK(world.serve({"mid.bst"}, {"pull:top.bst"}) == Names{"pull:top.bst", "pull:mid.bst", "build:top.bst"});
    CHECK(world.outcome() == "failure");
  }
  SECTION("quit") {
    Caches world;
    world.arguments.on_error = "quit";
    world.begin();
    CHECK(world.serve({"mid.bst"}, {"pull:top.bst"}) == Names{"pull:top.bst"});
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("pull: a job that failed waits for its prompt's answer, and is no matter then") {
  const bool strict = GENERATE(true, false);
  Caches world(strict);
  world.arguments.prompt = true;
  world.begin();
  CHECK(world.serve({"low.bst"}, {"pull:mid.bst"}) == Names{"pull:top.bst", "pull:mid.bst"});
  CHECK(world.outcome().empty());
  CHECK(world.out->reloads.empty());
  REQUIRE(world.core->answer(1, "continue", "somebody"));
  if (strict) {
    CHECK(world.serve({"low.bst"}) == Names{"pull:low.bst", "build:mid.bst", "build:top.bst"});
  } else {
    CHECK(world.serve({"low.bst"}) == Names{"pull:low.bst"});
    REQUIRE(world.out->reloads == Names{"again"});
    // A scheduler that is started again has heard the answer too.
    world.start();
    world.hello("runner", 4);
    REQUIRE(world.out->reloads == Names{"again"});
    world.resolve(world.snapshot);
    CHECK(world.serve({}) == Names{"build:mid.bst", "build:top.bst"});
  }
  CHECK(world.outcome() == "failure");
}

TEST_CASE("pull: a failed build that was pulled fails again, or is built when failures are tried again") {
  Caches world;
  world.store.add("top.bst", false);
  world.snapshot.settings.on_error = "continue";
  SECTION("as it was") {
    // It is in the store already, but for the ref: the pull finds it.
    const CachedArtifact failed = world.store.artifacts.begin()->second;
    world.store.artifacts.clear();
    world.begin();
    world.store.artifacts[key_of("top.bst")] = failed;
    // What it was built with is wanted, as for a failure that is cached here.
    CHECK(world.serve({"top.bst", "mid.bst"}) == Names{"pull:top.bst", "pull:mid.bst"});
    CHECK(world.outcome() == "failure");
    CHECK(world.store.replayed.size() == 1);
  }
  SECTION("again") {
    world.arguments.retry_failed = true;
    world.begin();
    CHECK(world.serve({"top.bst", "mid.bst"}) == Names{"pull:top.bst", "pull:mid.bst", "build:top.bst"});
    CHECK(world.outcome() == "success");
  }
}

TEST_CASE("pull: the verbs alone") {
  Caches world(true, true);
  world.arguments.selection = {2};
  SECTION("pull") {
    world.arguments.verb = "pull";
    world.begin();
    CHECK(world.serve({}) == Names{"pull:top.bst"});
    CHECK(world.outcome() == "success");
  }
  SECTION("push pulls what isn't here, and says what nobody has") {
    world.arguments.verb = "push";
    world.begin();
    CHECK(world.serve({}, {"push:top.bst"}) == Names{"pull:top.bst", "push:top.bst"});
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("pull: remotes that don't fit the snapshot are refused") {
  Caches world;
  world.arguments.remotes.push_back({});
  world.arguments.snapshot_file = world.write(world.snapshot);
  const auto refused = world.core->run(world.arguments);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == "bad-arguments");
}

TEST_CASE("pull: keys of a build that isn't strict are known when all is pulled, not before") {
  Caches world(false);
  world.begin();
  CHECK(world.serve({"low.bst"}) == Names{"pull:top.bst", "pull:mid.bst", "pull:low.bst"});
  // Each record has the key as it was known then.
  CHECK(world.key("top.bst").empty());
  CHECK(world.key("low.bst") == key_of("low.bst"));
  REQUIRE(world.out->reloads == Names{"again"});
  model::Snapshot now = world.snapshot;
  now.elements[1].keys.full = std::string(64, 'm');
  now.elements[2].keys.full = std::string(64, 't');

  const auto goes_on = [&] {
    const auto first = world.out->take_jobs("runner");
    REQUIRE(first.size() == 1);
    CHECK(first[0].action == "build");
    CHECK(first[0].keys.full == std::string(64, 'm'));
    CHECK(first[0].dependencies.at(0).key == key_of("low.bst"));
    CHECK(world.key("mid.bst") == std::string(64, 'm'));
    CHECK(world.key("top.bst") == std::string(64, 't'));
  };
  SECTION("then it builds") {
    world.resolve(now);
    goes_on();
  }
  SECTION("a scheduler that is started again asks again") {
    world.start();
    world.hello("runner", 4, {}, {}, {}, 1);
    REQUIRE(world.out->reloads == Names{"again"});
    world.resolve(now);
    goes_on();
  }
  SECTION("or remembers") {
    world.resolve(now);
    world.start();
    world.hello("runner", 4, {}, {}, {}, 1);
    world.pass(kLease * 2);
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].keys.full == std::string(64, 'm'));
    CHECK(world.out->reloads.empty());
  }
  SECTION("a project that was changed meanwhile has no such keys") {
    now.elements[1].keys.weak = std::string(64, 'w');
    world.resolve(now);
    CHECK(world.outcome() == "terminated");
    CHECK(world.out->of("error").front().error->reason == "project-changed");
  }
  SECTION("nor one that can't be loaded") {
    world.core->reloaded(fail("loader", "gone", "The loader is gone"));
    CHECK(world.outcome() == "terminated");
  }
}
