// Runs that pull and push: what is required when, what is known when, and that a scheduler that is
// started again knows the same.
#include <catch2/catch.hpp>

#include "scheduler/core.h"
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
  explicit Caches(bool strict = true, bool push = false)
      : snapshot(make_snapshot({{"low.bst"}, {"mid.bst", {"low.bst"}}, {"top.bst", {"mid.bst"}}},
                               {"top.bst"})) {
    snapshot.settings.strict = strict;
    arguments.verb = Action::kBuild;
    arguments.deps = "run";
    arguments.on_error = "continue";
    arguments.remotes = {remotes(push)};
    hello("runner", 4);
  }
  void begin() {
    arguments.snapshot_file = write(snapshot);
    run(arguments);
  }
  // Does all that is given; what is `there` can be pulled. The names of jobs in the order done.
  std::vector<std::string> serve(const std::set<std::string>& there,
                                 const std::set<std::string>& failing = {}) {
    std::vector<std::string> done;
    for (;;) {
      const auto jobs = out->take_jobs("runner");
      if (jobs.empty()) return done;
      for (const auto& job : jobs) {
        const std::string name = std::string(text_of(job.action)) + ":" + name_of(job);
        done.push_back(name);
        started("runner", job.id);
        say("runner",
            wire::Results{{answer(job, there.contains(name_of(job)), failing.contains(name))}});
      }
    }
  }
  wire::JobResult answer(const wire::Job& job, bool there, bool fails) {
    if (job.action != Action::kPull || fails)
      return result_of(job, !fails                        ? Outcome::kSuccess
                            : job.action == Action::kPull ? Outcome::kError
                                                          : Outcome::kFailure);
    wire::JobResult result;
    result.id = job.id;
    result.status = there ? Outcome::kSuccess : Outcome::kSkipped;
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
  CHECK(world.serve({"low.bst"}) ==
        Names{"pull:top.bst", "pull:mid.bst", "pull:low.bst", "build:mid.bst", "build:top.bst"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("pull: jobs have the remotes of their project, of the kind that they are for") {
  Caches world(true, true);
  world.arguments.remotes[0].artifacts.push_back({.url = "http://read-only"});
  world.begin();
  const auto pull = world.out->take_jobs("runner");
  REQUIRE(pull.size() == 1);
  CHECK(pull[0].remotes.size() == 2);
  world.finish("runner", pull[0], Outcome::kSkipped);
  std::optional<wire::Job> push;
  for (int i = 0; i < 20 && !push; ++i) {
    for (const auto& job : world.out->take_jobs("runner")) {
      if (job.action == Action::kPush) push = job;
      world.started("runner", job.id);
      world.say("runner", wire::Results{{world.answer(job, false, false)}});
    }
  }
  REQUIRE(push);
  REQUIRE(push->remotes.size() == 1);
  CHECK(push->remotes[0].url == "http://cache");
}

TEST_CASE(
    "push: what was built is pushed, what was pulled as well, what failed when the run goes on") {
  Caches world(true, true);
  world.begin();
  CHECK(world.serve({"low.bst"}, {"build:top.bst"}) ==
        Names{"pull:top.bst", "pull:mid.bst", "pull:low.bst", "push:low.bst", "build:mid.bst",
              "push:mid.bst", "build:top.bst", "push:top.bst"});
  CHECK(world.outcome() == "failure");
}

TEST_CASE("pull: a job that fails stops its element, or is no matter, as --on-error says") {
  SECTION("continue: it is built") {
    Caches world;
    world.begin();
    CHECK(world.serve({"mid.bst"}, {"pull:top.bst"}) ==
          Names{"pull:top.bst", "pull:mid.bst", "build:top.bst"});
    CHECK(world.outcome() == "failure");
  }
  SECTION("quit") {
    Caches world(true, true);
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
    REQUIRE(world.out->reloads == Names{world.arguments.snapshot_file});
    // A scheduler that is started again has heard the answer too.
    world.start();
    world.hello("runner", 4);
    REQUIRE(world.out->reloads == Names{world.arguments.snapshot_file});
    world.resolve(world.snapshot);
    CHECK(world.serve({}) == Names{"build:mid.bst", "build:top.bst"});
  }
  CHECK(world.outcome() == "failure");
}

TEST_CASE(
    "pull: a failed build that was pulled fails again, or is built when failures are tried again") {
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
    // It is told as in any later session: why, and with its log.
    REQUIRE(world.store.replayed.size() == 1);
    CHECK_THAT(world.store.replayed[0], Catch::EndsWith("top.bst: Command failed"));
    const auto finished = world.out->of("job.finished").back();
    CHECK(finished.text == "Command failed");
    CHECK(finished.error->reason == "cached-failure");
  }
  SECTION("again") {
    world.arguments.retry_failed = true;
    world.begin();
    CHECK(world.serve({"top.bst", "mid.bst"}) ==
          Names{"pull:top.bst", "pull:mid.bst", "build:top.bst"});
    CHECK(world.outcome() == "success");
  }
}

TEST_CASE(
    "pull: a failed build that was pulled, and is lost before it is told, is asked for again and "
    "built") {
  Caches world;
  world.store.add("top.bst", false);
  const CachedArtifact failed = world.store.artifacts.begin()->second;
  world.store.artifacts.clear();
  world.begin();
  world.store.artifacts[key_of("top.bst")] = failed;
  // The one that is asked when the pull has ended has it still.
  int asked = 0;
  world.store.on_query = [&] {
    if (++asked == 2) world.store.artifacts.erase(key_of("top.bst"));
  };
  CHECK(world.serve({"top.bst", "mid.bst"}) ==
        Names{"pull:top.bst", "pull:mid.bst", "pull:top.bst"});
  CHECK(world.store.replayed == Names{});
  CHECK(world.outcome() == "success");
}

TEST_CASE(
    "push: a run that was told to quit builds nothing more, and pushes what was built, also what "
    "failed") {
  const auto how = GENERATE(as<std::string>{}, "on-error", "command", "prompt");
  INFO(how);
  Caches world(true, true);
  world.snapshot = make_snapshot(
      {{"low.bst"}, {"mid.bst", {"low.bst"}}, {"bad.bst"}, {"top.bst", {"mid.bst", "bad.bst"}}},
      {"top.bst"});
  world.arguments.on_error = how == "on-error" ? "quit" : "continue";
  world.arguments.prompt = how == "prompt";
  world.begin();
  Names done;
  std::map<std::string, wire::Job> builds;
  while (builds.size() < 2) {
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE_FALSE(jobs.empty());
    for (const auto& job : jobs) {
      world.started("runner", job.id);
      if (job.action == Action::kBuild) builds[name_of(job)] = job;
      if (job.action == Action::kPull)
        world.say("runner", wire::Results{{world.answer(job, false, false)}});
    }
  }
  world.say("runner", wire::Results{{world.result_of(builds.at("bad.bst"), Outcome::kFailure)}});
  if (how == "command") REQUIRE(world.core->quit());
  if (how == "prompt") REQUIRE(world.core->answer(1, "quit", "somebody"));
  const bool again = GENERATE(false, true);
  std::vector<wire::Job> pushes = world.out->take_jobs("runner");
  REQUIRE(pushes.size() == 1);
  CHECK(pushes[0].action == Action::kPush);
  CHECK(name_of(pushes[0]) == "bad.bst");
  if (again) {
    world.start();
    world.hello("runner", 4, {builds.at("low.bst").id, pushes[0].id});
  }
  // What was running ends, is pushed, and nothing is built with it.
  world.say("runner", wire::Results{{world.result_of(builds.at("low.bst"))}});
  world.finish("runner", pushes[0]);
  CHECK(world.serve({}) == Names{"push:low.bst"});
  CHECK(world.outcome() == "failure");
  const auto queues = *world.out->of("run.finished").back().queues;
  CHECK(queues[3].name == "Push");
  CHECK(queues[3].processed == 2);
}

TEST_CASE(
    "push: one that is lost after the run was told to quit is tried again; terminated, nothing "
    "is") {
  Caches world(true, true);
  world.store.add("low.bst");
  world.store.add("mid.bst");
  world.store.add("top.bst");
  world.begin();
  auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].action == Action::kPush);
  CHECK(jobs[0].skip_incomplete);
  world.started("runner", jobs[0].id);
  REQUIRE(world.core->quit());
  world.core->runner_died("runner", 1);
  SECTION("again") {
    world.hello("runner", 4, {}, {}, {}, 2);
    CHECK(world.serve({}) == Names{"push:top.bst"});
    CHECK(world.outcome() == "quit");
  }
  SECTION("terminated") {
    REQUIRE(world.core->kill());
    world.hello("runner", 4, {}, {}, {}, 2);
    CHECK(world.serve({}).empty());
    CHECK(world.outcome() == "terminated");
  }
}

TEST_CASE("push: a build that failed and was pushed as that can be tried again") {
  Caches world(true, true);
  world.arguments.prompt = true;  // the run stays open for its answer
  world.snapshot = make_snapshot(
      {{"bad.bst"}, {"other.bst"}, {"top.bst", {"bad.bst", "other.bst"}}}, {"top.bst"});
  world.begin();
  CHECK(world.serve({}, {"build:bad.bst", "build:other.bst"}).size() == 5);
  REQUIRE(world.core->answer(1, "continue", "somebody"));
  CHECK(world.serve({}) == Names{"push:bad.bst"});
  REQUIRE(world.core->retry("bad.bst"));
  CHECK(world.serve({}) == Names{"build:bad.bst", "push:bad.bst"});
  CHECK(world.core->retry("bad.bst").error().reason == "not-failed");
  REQUIRE(world.core->answer(2, "retry", "somebody"));
  CHECK(world.serve({}) ==
        Names{"build:other.bst", "push:other.bst", "build:top.bst", "push:top.bst"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("a build that isn't strict takes no failure of other dependencies") {
  Caches world(false);
  world.arguments.remotes.clear();
  world.store.add("low.bst");
  world.store.add("mid.bst");
  model::Keys& keys = world.snapshot.elements[2].keys;
  keys.weak = std::string(64, 'w');
  keys.strict = std::string(64, 's');
  CachedArtifact failure;
  failure.success = false;
  failure.error = "Command failed";
  const auto cached = [&](const std::string& key) {
    failure.key = key;
    world.store.artifacts[key] = world.store.artifacts[keys.weak] = failure;
  };
  SECTION("which its weak key still names") {
    cached(std::string(64, 'o'));
    world.begin();
    CHECK(world.serve({}) == Names{"build:top.bst"});
    Names details;
    for (const auto& event : world.out->of("message")) {
      if (event.text == "Discarded failed build") details.push_back(event.detail);
    }
    CHECK(details ==
          Names{"Discarded '" + std::string(64, 'o') +
                "'\nin non strict mode because intermediate dependencies may have changed."});
  }
  SECTION("but one of the present ones") {
    keys.full = keys.strict;
    cached(keys.strict);
    world.begin();
    CHECK(world.serve({}).empty());
    CHECK(world.store.replayed.size() == 1);
    CHECK(world.outcome() == "failure");
  }
  SECTION("other verbs have what there is") {
    cached(std::string(64, 'o'));
    world.arguments.verb = Action::kPush;
    world.arguments.selection = {2};
    world.arguments.remotes = {remotes(true)};
    world.snapshot.settings.retry_failed = true;
    world.begin();
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == 1);
    CHECK_FALSE(jobs[0].skip_incomplete);
  }
}

TEST_CASE(
    "pull: a build that isn't strict asks for the artifact of the present dependencies first, and "
    "keeps the one of others") {
  Caches world(false);
  world.store.add("low.bst");
  world.store.add("mid.bst");
  world.store.add("top.bst");
  world.snapshot.elements[1].keys.strict = std::string(64, 's');
  world.snapshot.targets = {1};
  world.begin();
  CHECK(world.serve({}) == Names{"pull:mid.bst"});
  REQUIRE(world.out->reloads == Names{world.arguments.snapshot_file});
  world.resolve(world.snapshot);
  CHECK(world.outcome() == "success");
  CHECK(world.key("mid.bst") == key_of("mid.bst"));
}

TEST_CASE("pull: the verbs alone") {
  Caches world(true, true);
  world.arguments.selection = {2};
  SECTION("pull") {
    world.arguments.verb = Action::kPull;
    world.begin();
    CHECK(world.serve({}) == Names{"pull:top.bst"});
    CHECK(world.outcome() == "success");
  }
  SECTION("push pulls what isn't here, and says what nobody has") {
    world.arguments.verb = Action::kPush;
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
  REQUIRE(world.out->reloads == Names{world.arguments.snapshot_file});
  model::Snapshot now = world.snapshot;
  now.elements[1].keys.full = std::string(64, 'm');
  now.elements[2].keys.full = std::string(64, 't');

  const auto goes_on = [&] {
    const auto first = world.out->take_jobs("runner");
    REQUIRE(first.size() == 1);
    CHECK(first[0].action == Action::kBuild);
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
    REQUIRE(world.out->reloads == Names{world.arguments.snapshot_file});
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
