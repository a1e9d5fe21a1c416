// Runs: what they work on, in which order, how failures are dealt with.
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

using Names = std::vector<std::string>;

// The project of tests/golden/bst-log.
std::vector<ElementSpec> project() {
  return {{"base.bst", {}, {}},
          {"lib.bst", {"base.bst"}, {}, true},
          {"data.bst", {"base.bst"}, {}},
          {"app.bst", {"base.bst", "lib.bst"}, {"data.bst"}},
          {"user.bst", {"base.bst", "app.bst"}, {}},
          {"all.bst", {"user.bst", "app.bst"}, {"user.bst", "app.bst"}},
          {"bad.bst", {"base.bst", "lib.bst"}, {}},
          {"needs-bad.bst", {"base.bst", "bad.bst"}, {}},
          {"everything.bst", {"all.bst", "needs-bad.bst"}, {"all.bst", "needs-bad.bst"}}};
}

bool before(const Names& names, const std::string& a, const std::string& b) {
  const auto first = std::find(names.begin(), names.end(), a);
  return first != names.end() && first < std::find(names.begin(), names.end(), b);
}

wire::QueueSection queue(const wire::Event& event, const std::string& name) {
  for (const auto& section : *event.queues) {
    if (section.name == name) return section;
  }
  throw std::runtime_error("no queue " + name);
}

}  // namespace

TEST_CASE("a build does everything in the order of dependencies, and says so") {
  World world;
  const auto file = world.write(make_snapshot(project(), {"all.bst"}));
  world.run(world.build(file));
  CHECK(world.out->runners_started == 1);
  world.hello("runner");
  const Names done = world.work("runner");
  CHECK(world.outcome() == "success");
  CHECK(done.size() == 7);
  CHECK(before(done, "fetch:lib.bst", "build:lib.bst"));
  CHECK(before(done, "build:base.bst", "build:lib.bst"));
  CHECK(before(done, "build:lib.bst", "build:app.bst"));
  CHECK(before(done, "build:data.bst", "build:user.bst"));
  CHECK(done.back() == "build:all.bst");

  const auto run = world.out->of("run.started").at(0);
  REQUIRE(run.elements);
  // As BuildStream shows it (tests/golden/bst-log/1-build.txt).
  Names states;
  for (const auto& element : *run.elements) states.push_back(element.name + " " + element.state);
  CHECK(states == Names{"base.bst buildable", "lib.bst fetch needed", "data.bst waiting",
                        "app.bst waiting", "user.bst waiting", "all.bst waiting"});
  CHECK(run.run->elements == 6);
  CHECK(run.run->total == 6);
  const auto finished = world.out->of("run.finished").at(0);
  CHECK(queue(finished, "Fetch").processed == 6);  // a job for one; BuildStream has one for each
  CHECK(queue(finished, "Fetch").skipped == 0);
  CHECK(queue(finished, "Build").processed == 6);
  CHECK(world.out->of("job.started").size() == 7);
  for (const auto& event : world.out->of("job.finished")) {
    CHECK(event.outcome == "success");
    CHECK(event.level == "success");
    CHECK((event.text == "Build" || event.text == "Fetch"));
    CHECK(event.job->log_file.starts_with("/nowhere/logs/test/"));
  }
  Names main;
  for (const auto& event : world.out->of("message")) main.push_back(event.level + " " + event.text);
  CHECK(main == Names{"start Build", "start Query cache", "success Query cache", "success Build"});
}

TEST_CASE("what is cached is left alone, and so is what only it was built with") {
  World world;
  for (const char* name : {"user.bst", "app.bst", "data.bst", "all.bst"}) world.store.add(name);
  const auto file = world.write(make_snapshot(project(), {"all.bst"}));
  // As 2-null.txt: what is required is all.bst and what it needs to run.
  world.run(world.build(file));
  CHECK(world.outcome() == "success");
  CHECK(world.out->runners_started == 0);
  const auto finished = world.out->of("run.finished").at(0);
  CHECK(finished.run->elements == 4);
  CHECK(queue(finished, "Build").skipped == 4);

  SECTION("--deps none requires the target alone") {
    world.run(world.build(file, "none"));
    CHECK(world.out->of("run.finished").at(1).run->elements == 1);
  }
  SECTION("--deps build requires its build dependencies and what they run with") {
    world.run(world.build(file, "build"));
    CHECK(world.out->of("run.finished").at(1).run->elements == 3);
  }
  SECTION("--deps all requires everything") {
    world.hello("runner");
    world.run(world.build(file, "all"));
    CHECK(world.work("runner") == Names{"build:base.bst", "fetch:lib.bst", "build:lib.bst"});
    CHECK(world.out->of("run.finished").at(1).run->elements == 6);
  }
}

TEST_CASE("J32: the build of an element that lists sources is told of those of its dependencies") {
  World world;
  for (const char* name : {"base.bst", "lib.bst", "data.bst", "app.bst"}) world.store.add(name);
  auto snapshot = make_snapshot(project(), {"user.bst"});
  for (model::Element& element : snapshot.elements) {
    model::ElementBody body;
    if (element.name != "data.bst") body.sources.push_back({.kind = "of " + element.name});
    element.body = wire::pack_body(body);
  }
  const bool lists = GENERATE(true, false);
  snapshot.elements[snapshot.targets[0]].lists_sources = lists;
  world.hello("runner");
  world.run(world.build(world.write(snapshot)));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 1);
  Names told;
  for (const wire::Blob& packed : jobs[0].dependency_sources) {
    const auto list = wire::unpack_sources(packed.bytes);
    REQUIRE(list);
    told.push_back(list->sources.empty() ? "none" : list->sources[0].kind);
  }
  CHECK(told == (lists ? Names{"of base.bst", "none", "of app.bst"} : Names{}));
}

TEST_CASE("a job says what is staged, in BuildStream's order, with what it runs with") {
  World world;
  for (const char* name : {"base.bst", "lib.bst", "data.bst", "app.bst"}) world.store.add(name);
  world.hello("runner");
  world.run(world.build(world.write(make_snapshot(project(), {"user.bst"}))));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 1);
  Names staged;
  for (const auto& ref : jobs[0].dependencies) {
    staged.push_back(ref.element + (ref.build ? " build" : "") + (ref.runtime ? " runtime" : ""));
    CHECK(ref.files.hash == key_of(ref.element));
  }
  CHECK(staged == Names{"base.bst build", "data.bst", "app.bst build"});
  CHECK(jobs[0].dependencies[2].runtime_dependencies == std::vector<ElementIndex>{2});
  CHECK(jobs[0].log_file.starts_with("test/user/user-bst-build."));
  auto context = wire::Document::parse(jobs[0].context.bytes);
  REQUIRE(context);
  for (const char* section : {"session", "run", "element", "job", "queues"})
    CHECK(context->root().find(section).is_map() != (std::string(section) == "queues"));
}

TEST_CASE("a failure skips what depends on it; the rest follows on_error") {
  World world;
  auto arguments = world.build(world.write(make_snapshot(project(), {"everything.bst"})));
  world.hello("runner");
  SECTION("continue") {
    arguments.on_error = "continue";
    world.run(arguments);
    const Names done = world.work("runner", {"bad.bst"});
    CHECK(std::find(done.begin(), done.end(), "build:needs-bad.bst") == done.end());
    CHECK(std::find(done.begin(), done.end(), "build:all.bst") != done.end());
    CHECK(world.outcome() == "failure");
    const auto finished = world.out->of("run.finished").at(0);
    CHECK(queue(finished, "Build").failed == 1);
    CHECK(queue(finished, "Build").processed == 6);
    REQUIRE(finished.failures);
    REQUIRE(finished.failures->size() == 1);
    CHECK(finished.failures->at(0).element.name == "bad.bst");
    CHECK(finished.failures->at(0).text == "Command failed");
    CHECK(finished.failures->at(0).log_tail == "the last line");
    for (const auto& event : world.out->of("job.finished"))
      CHECK(event.log_tail.empty() == (event.outcome == "success"));
    const auto errors = world.out->of("error");
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].error->scope == "task");
    CHECK(errors[1].error->scope == "main");
  }
  SECTION("quit finishes what runs and starts nothing") {
    arguments.on_error = "quit";
    for (const char* name : {"base.bst", "lib.bst", "data.bst"}) world.store.add(name);
    world.run(arguments);
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == 2);  // app and bad
    for (const auto& job : jobs) world.started("runner", job.id);
    for (const char* name : {"bad.bst", "app.bst"}) {
      const auto& job = name_of(jobs[0]) == name ? jobs[0] : jobs[1];
      CHECK(world.outcome().empty());
      world.say("runner",
                wire::Results{{world.result_of(
                    job, name_of(job) == "bad.bst" ? Outcome::kFailure : Outcome::kSuccess)}});
    }
    CHECK(world.out->take<wire::Cancel>("runner").empty());
    CHECK(world.out->take_jobs("runner").empty());
    CHECK(world.outcome() == "failure");
    CHECK(queue(world.out->of("run.finished").at(0), "Build").processed == 1);
  }
  SECTION("terminate kills what runs") {
    arguments.on_error = "terminate";
    world.store.add("base.bst");
    world.store.add("lib.bst");
    world.run(arguments);
    auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() >= 2);
    std::stable_partition(jobs.begin(), jobs.end(),
                          [](const auto& job) { return name_of(job) == "bad.bst"; });
    REQUIRE(name_of(jobs[0]) == "bad.bst");
    for (const auto& job : jobs) world.started("runner", job.id);
    world.say("runner", wire::Results{{world.result_of(jobs[0], Outcome::kFailure)}});
    const auto cancels = world.out->take<wire::Cancel>("runner");
    REQUIRE(cancels.size() == 1);
    CHECK(cancels[0].jobs.size() == jobs.size() - 1);
    CHECK(world.outcome().empty());
    for (std::size_t i = 1; i < jobs.size(); ++i)
      world.say("runner", wire::Results{{world.result_of(jobs[i], Outcome::kKilled)}});
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("a cached failure is replayed without a runner, until it is not wanted") {
  World world;
  world.store.add("base.bst");
  world.store.add("lib.bst");
  world.store.add("bad.bst", false);
  auto arguments = world.build(world.write(make_snapshot(project(), {"needs-bad.bst"})));
  world.run(arguments);
  CHECK(world.outcome() == "failure");
  CHECK(world.out->runners_started == 0);
  REQUIRE(world.store.replayed.size() == 1);
  CHECK(world.store.replayed[0].ends_with(
      ".log: [00:00:00] FAILURE [bad-bst-] bad.bst: Command failed"));
  const auto finished = world.out->of("job.finished");
  REQUIRE(finished.size() == 1);
  CHECK(finished[0].text == "Command failed");
  CHECK(finished[0].error->reason == "cached-failure");
  CHECK(finished[0].element->state == "failed");

  arguments.retry_failed = true;
  world.run(arguments);
  bool discarded = false;
  for (const auto& event : world.out->of("message")) {
    if (event.text != "Discarded failed build") continue;
    discarded = true;
    CHECK(event.element->name == "bad.bst");
  }
  CHECK(discarded);
  world.hello("runner");
  CHECK(world.work("runner") == Names{"build:bad.bst", "build:needs-bad.bst"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("a query that takes long says how much it was") {
  World world;
  const auto arguments = world.build(world.write(make_snapshot(project(), {"everything.bst"})));
  const bool slow = GENERATE(false, true);
  world.store.on_query = [&] { world.clock.advance(std::chrono::milliseconds(slow ? 1000 : 10)); };
  world.run(arguments);
  std::string detail = "no such record";
  for (const auto& event : world.out->of("message")) {
    if (event.level == "success" && event.text == "Query cache") detail = event.detail;
  }
  CHECK(detail == (slow ? "9 of 9 subtasks processed" : ""));
}

TEST_CASE("a run starts from what the run before it left") {
  World world;
  const auto snapshot = make_snapshot(project(), {"everything.bst"});
  const auto file = world.write(snapshot);
  world.hello("runner");
  world.run(world.build(file));
  world.work("runner", {"bad.bst"});
  CHECK(world.outcome() == "failure");
  const int queries = world.store.queries;
  // Of the same snapshot only what isn't cached is asked for again.
  world.run(world.build(file));
  CHECK(world.out->take_jobs("runner").empty());
  CHECK(world.store.queries - queries <= 4 + 1);
  const auto second = world.out->of("run.started").at(1);
  std::map<std::string, std::string> states;
  for (const auto& element : *second.elements) states[element.name] = element.state;
  CHECK(states["all.bst"] == "cached");
  CHECK(states["bad.bst"] == "failed");
  CHECK(world.outcome() == "failure");

  SECTION("also of another snapshot, by key") {
    auto changed = snapshot;
    changed.elements[6].keys.full = std::string(64, 'c');  // bad.bst was changed
    const auto other = world.write(changed);
    world.run(world.build(other));
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == 1);
    CHECK(name_of(jobs[0]) == "bad.bst");
    CHECK(jobs[0].dependencies.size() == 2);
  }
  SECTION("a fetch, then a build") {
    auto fetch = world.build(file);
    fetch.verb = Action::kFetch;
    fetch.selection = {1};
    world.run(fetch);
    CHECK(world.outcome() == "success");
    CHECK(queue(world.out->of("run.finished").back(), "Fetch").skipped == 1);
  }
}

TEST_CASE("a fetch works on its selection and asks for no artifacts") {
  World world;
  auto arguments = world.build(world.write(make_snapshot(project(), {"everything.bst"})));
  arguments.verb = Action::kFetch;
  arguments.selection = {0, 1};
  world.hello("runner");
  SECTION("that succeeds") {
    world.run(arguments);
    CHECK(world.work("runner") == Names{"fetch:lib.bst"});
    CHECK(world.outcome() == "success");
    CHECK(queue(world.out->of("run.finished").at(0), "Fetch").processed == 2);
  }
  SECTION("that fails: the job itself has tried often enough") {
    world.run(arguments);
    CHECK(world.work("runner", {"lib.bst"}) == Names{"fetch:lib.bst"});
    CHECK(world.outcome() == "failure");
  }
  CHECK(world.store.queries == 0);
  // As in 7-fetch.txt.
  const auto begun = world.out->of("run.started").at(0);
  for (const auto& element : *begun.elements) CHECK(element.state == "waiting");
}

TEST_CASE("refusals") {
  World world;
  auto snapshot = make_snapshot(project(), {"all.bst"});
  const auto file = world.write(snapshot);
  auto arguments = world.build(file);
  arguments.snapshot_file = "/nowhere/snapshot";
  CHECK_FALSE(world.core->run(arguments));
  arguments = world.build(file, "sideways");
  CHECK(world.core->run(arguments).error().reason == "bad-arguments");
  arguments = world.build(file);
  arguments.verb = Action::kFetch;
  arguments.selection = {4711};
  CHECK(world.core->run(arguments).error().reason == "bad-arguments");

  snapshot.elements[1].sources_resolved = false;
  const auto inconsistent = world.core->run(world.build(world.write(snapshot)));
  REQUIRE_FALSE(inconsistent);
  CHECK(inconsistent.error().reason == "inconsistent-pipeline");
  CHECK(inconsistent.error().detail.find("lib.bst is inconsistent") != std::string::npos);

  // What only Python knows is refused by name, whatever is to be built with it.
  snapshot.elements[1].sources_resolved = true;
  snapshot.elements[1].obstacles = {{model::Obstacle::To::kKey,
                                     "Element kind 'odd' is not supported",
                                     "lib.bst [line 1 column 0]"}};
  snapshot.elements[1].unsupported_by = 2;
  snapshot.elements[3].unsupported_by = 2;
  const auto unsupported = world.core->run(world.build(world.write(snapshot)));
  REQUIRE_FALSE(unsupported);
  CHECK(unsupported.error().reason == "unsupported-plugin");
  CHECK(unsupported.error().message == "4 elements can't be built; nothing was started");
  CHECK(unsupported.error().detail ==
        "lib.bst [line 1 column 0]: Element kind 'odd' is not supported\n"
        "    It is so of 1 element (lib.bst), in the way of 3 elements more.\n"
        "    A kind that Sluice has helps; for a source also a workspace in its place (workspace "
        "open --no-checkout).\n");

  world.run(world.build(file));
  CHECK(world.core->run(world.build(file)).error().reason == "busy");
  CHECK(world.core->retry("nothing.bst").error().reason == "no-element");
  CHECK(world.core->retry("lib.bst").error().reason == "not-failed");
}

TEST_CASE("steering: quit, kill, retry") {
  World world;
  world.store.add("base.bst");
  world.hello("runner", 1);
  const auto file = world.write(make_snapshot({{"base.bst", {}, {}},
                                               {"a.bst", {"base.bst"}, {}},
                                               {"b.bst", {"base.bst"}, {}},
                                               {"c.bst", {"base.bst"}, {}},
                                               {"d.bst", {"base.bst"}, {}},
                                               {"e.bst", {"a.bst", "b.bst", "c.bst", "d.bst"}, {}}},
                                              {"e.bst"}));
  world.run(world.build(file));
  auto jobs = world.out->take_jobs("runner");
  // One slot and the prefill of J22.
  REQUIRE(jobs.size() == 1 + kPrefill);
  world.started("runner", jobs[0].id);
  SECTION("quit cancels what has not started and lets the rest end") {
    REQUIRE(world.core->quit());
    const auto cancels = world.out->take<wire::Cancel>("runner");
    REQUIRE(cancels.size() == 1);
    CHECK(cancels[0].jobs == std::vector<wire::JobId>{jobs[1].id, jobs[2].id});
    for (std::size_t i = 1; i < jobs.size(); ++i)
      world.say("runner", wire::Results{{world.result_of(jobs[i], Outcome::kKilled)}});
    CHECK(world.outcome().empty());
    world.say("runner", wire::Results{{world.result_of(jobs[0])}});
    CHECK(world.outcome() == "quit");
    CHECK(world.out->take_jobs("runner").empty());
  }
  SECTION("quit, after a retry by which the run went on, does the same again") {
    world.finish("runner", jobs[0], Outcome::kFailure);
    auto more = world.out->take_jobs("runner");
    REQUIRE(more.size() == 1);
    world.started("runner", jobs[1].id);
    REQUIRE(world.core->quit());
    CHECK(world.out->take<wire::Cancel>("runner").at(0).jobs ==
          std::vector<wire::JobId>{jobs[2].id, more[0].id});
    for (const auto& job : {jobs[2], more[0]})
      world.say("runner", wire::Results{{world.result_of(job, Outcome::kKilled)}});
    REQUIRE(world.core->retry(name_of(jobs[0])));
    more = world.out->take_jobs("runner");
    REQUIRE(more.size() == kPrefill);
    REQUIRE(world.core->quit());
    const auto cancels = world.out->take<wire::Cancel>("runner");
    REQUIRE(cancels.size() == 1);
    CHECK(cancels[0].jobs.size() == kPrefill);
    for (const auto& job : more)
      world.say("runner", wire::Results{{world.result_of(job, Outcome::kKilled)}});
    CHECK(world.outcome().empty());
    world.say("runner", wire::Results{{world.result_of(jobs[1])}});
    CHECK_FALSE(world.outcome().empty());
  }
  SECTION("kill cancels everything") {
    REQUIRE(world.core->kill());
    CHECK(world.out->take<wire::Cancel>("runner").at(0).jobs.size() == 3);
    for (const auto& job : jobs)
      world.say("runner", wire::Results{{world.result_of(job, Outcome::kKilled)}});
    CHECK(world.outcome() == "terminated");
    // What had not started is as if it had never been given.
    CHECK(world.out->of("job.finished").size() == 1);
    // base.bst, and the one that ran
    CHECK(queue(world.out->of("run.finished").at(0), "Build").skipped == 2);
    CHECK(queue(world.out->of("run.finished").at(0), "Build").waiting == 4);
  }
  SECTION("retry gives a failed element again, and what waits for it goes on") {
    world.finish("runner", jobs[0], Outcome::kFailure);
    REQUIRE(world.core->retry(name_of(jobs[0])));
    CHECK(world.out->take_jobs("runner").size() == 1);
    world.hello("runner", 1);  // the jobs in hand are lost with this, and given again
    world.work("runner");
    CHECK(world.outcome() == "success");
  }
}

namespace {

wire::NewRef new_ref(const std::string& file, const std::string& hash, const std::string& element) {
  return {{file, hash, {"kprojects", "kp", "k" + element, "i0", "kref"}, ""},
          {},
          model::Node::make_scalar("ref-of-" + element)};
}

}  // namespace

TEST_CASE("tracking: refs go into files one after the other, each upon what the one before left") {
  World world;
  auto snapshot = make_snapshot(project(), {"everything.bst"});
  snapshot.elements[0].has_sources = true;
  snapshot.elements[1].sources_resolved = false;
  snapshot.elements[1].keys = {};
  snapshot.elements[2].full_name = "sub.bst:data.bst";
  auto arguments = world.build(world.write(snapshot));
  arguments.verb = Action::kTrack;
  arguments.selection = {0, 1, 2};
  world.run(arguments);
  CHECK(world.core->running());
  world.hello("runner");
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 2);  // data.bst has no sources
  CHECK(jobs[0].action == Action::kTrack);
  CHECK(jobs[1].log_file.find("/" + std::string(8, '?') + "-track.") != std::string::npos);
  for (const auto& job : jobs) {
    world.started("runner", job.id);
    auto result = world.result_of(job);
    result.refs = {new_ref("/p/project.refs", "h0", name_of(job))};
    wire::Results results;
    results.results.push_back(result);
    world.say("runner", results);
  }
  // Both are over for their runner, and the first one's file is being written.
  REQUIRE(world.out->refs.size() == 1);
  CHECK(world.out->refs[0].second[0].hash == "h0");
  CHECK(world.out->of("job.finished").empty());

  SECTION("written") {
    world.core->refs_written(world.out->refs[0].first, {{{"/p/project.refs", "h0", "h1"}}, {}});
    REQUIRE(world.out->refs.size() == 2);
    CHECK(world.out->refs[1].second[0].hash == "h1");
    world.core->refs_written(world.out->refs[1].first, {{{"/p/project.refs", "h1", "h2"}}, {}});
    world.core->reloaded(fail("load", "invalid-yaml", "no"));
    const auto end = world.out->of("run.finished").at(0);
    CHECK(end.outcome == "success");
    CHECK(end.queues->at(0).name == "Track");
    CHECK(end.queues->at(0).processed == 2);
    CHECK(end.queues->at(0).skipped == 1);
    // The key is as it was known then.
    for (const auto& event : world.out->events) {
      if (event.type == "job.finished" && event.job->id == jobs[1].id.job)
        CHECK(event.element->brief == std::string(8, '?'));
    }
  }
  SECTION("written, and loaded again") {
    auto next = snapshot;
    next.elements[1].keys = {std::string(64, 'a'), std::string(64, 'a'), std::string(64, 'a')};
    next.elements[1].sources_resolved = true;
    next.elements[2].keys = {std::string(64, 'b'), std::string(64, 'b'), std::string(64, 'b')};
    const std::string file = world.write(next);
    world.core->refs_written(world.out->refs[0].first, {{{"/p/project.refs", "h0", "h1"}}, {}});
    world.core->refs_written(world.out->refs.at(1).first, {{{"/p/project.refs", "h1", "h2"}}, {}});
    CHECK(world.out->of("run.finished").empty());
    REQUIRE(world.out->reloads == std::vector<std::string>{arguments.snapshot_file});
    SECTION("well") {
      wire::LoadResult result;
      result.snapshot_file = file;
      world.core->reloaded(result);
      const auto end = world.out->of("run.finished").at(0);
      REQUIRE(end.resolved);
      REQUIRE(end.resolved->size() == 2);
      CHECK(end.resolved->at(0).name == "sub.bst:data.bst");
      CHECK(end.resolved->at(1).name == "lib.bst");
      CHECK(end.resolved->at(1).brief == std::string(8, 'a'));
    }
    SECTION("by the next scheduler, for the one before died") {
      world.start();
      REQUIRE(world.out->reloads.size() == 1);
      wire::LoadResult result;
      result.snapshot_file = file;
      world.core->reloaded(result);
      CHECK(world.out->of("run.finished").at(0).resolved->size() == 2);
      world.start();
      CHECK(world.out->reloads.empty());
      CHECK_FALSE(world.core->running());
    }
    SECTION("badly: the run ends all the same") {
      world.core->reloaded(fail("load", "invalid-yaml", "no"));
      const auto end = world.out->of("run.finished").at(0);
      CHECK(end.outcome == "success");
      CHECK((!end.resolved || end.resolved->empty()));
      // Nobody asks again.
      world.start();
      CHECK(world.out->reloads.empty());
      CHECK_FALSE(world.core->running());
    }
    SECTION("not at all: somebody kills the run") {
      REQUIRE(world.core->kill());
      CHECK(world.out->of("run.finished").at(0).outcome == "terminated");
    }
  }
  SECTION("somebody changed the file") {
    world.core->refs_written(
        world.out->refs[0].first,
        {{},
         wire::ErrorBody{.domain = "source", .reason = "ref-file-changed", .message = "changed"}});
    world.core->refs_written(world.out->refs.at(1).first, {{{"/p/project.refs", "h0", "h1"}}, {}});
    world.core->reloaded(fail("load", "invalid-yaml", "no"));
    const auto end = world.out->of("run.finished").at(0);
    CHECK(end.outcome == "failure");
    REQUIRE(end.failures->size() == 1);
    CHECK(end.failures->front().text == "changed");
  }
  SECTION("the loader doesn't answer, and is asked again") {
    world.core->refs_unknown(world.out->refs[0].first);
    REQUIRE(world.out->refs.size() == 2);
    CHECK(world.out->refs[1].first == world.out->refs[0].first);
  }
  SECTION("the scheduler dies between finding and writing") {
    world.start();
    REQUIRE(world.out->refs.size() == 1);
    CHECK(world.out->refs[0].first == jobs[0].id.job);
    world.core->refs_written(jobs[0].id.job, {{{"/p/project.refs", "h0", "h1"}}, {}});
    world.start();
    REQUIRE(world.out->refs.size() == 1);
    CHECK(world.out->refs[0].first == jobs[1].id.job);
    CHECK(world.out->refs[0].second[0].hash == "h1");
    world.core->refs_written(jobs[1].id.job, {{{"/p/project.refs", "h1", "h2"}}, {}});
    world.core->reloaded(fail("load", "invalid-yaml", "no"));
    CHECK(world.out->of("run.finished").at(0).outcome == "success");
  }
  SECTION("the session ends meanwhile") {
    world.core->end();
    CHECK_FALSE(world.core->ended());
    world.core->refs_written(world.out->refs[0].first, {{{"/p/project.refs", "h0", "h1"}}, {}});
    world.core->refs_written(world.out->refs.at(1).first, {{{"/p/project.refs", "h1", "h2"}}, {}});
    CHECK(world.core->ended());
  }
}

TEST_CASE("builds don't wait for fetches: each has credit of its own") {
  World world;
  std::vector<ElementSpec> specs;
  for (int i = 0; i < 20; ++i) specs.push_back({"f" + std::to_string(i), {}, {}, true});
  specs.push_back({"local", {}, {}});
  specs.push_back({"all", {}, {}});
  for (int i = 0; i < 21; ++i)
    specs.back().runtime.push_back(specs[static_cast<std::size_t>(i)].name);
  auto snapshot = make_snapshot(specs, {"all"});
  snapshot.settings.builders = 1;
  snapshot.settings.fetchers = 10;
  world.hello("one", 1);
  world.run(world.build(world.write(snapshot)));
  const auto jobs = world.out->take_jobs("one");
  std::size_t fetches = 0;
  for (const auto& job : jobs) fetches += job.action == Action::kFetch ? 1 : 0;
  CHECK(fetches == 10 + kPrefill);
  // What needs no fetch is built beside them, and what was fetched as well.
  std::vector<std::string> builds;
  for (const auto& job : jobs) {
    if (job.action == Action::kBuild) builds.push_back(name_of(job));
  }
  CHECK(builds == std::vector<std::string>{"local", "all"});
  world.finish("one",
               jobs[static_cast<std::size_t>(
                   std::find_if(jobs.begin(), jobs.end(),
                                [](const auto& job) { return job.action == Action::kFetch; }) -
                   jobs.begin())]);
  const auto next = world.out->take_jobs("one");
  CHECK(std::any_of(next.begin(), next.end(),
                    [](const auto& job) { return job.action == Action::kBuild; }));
}

TEST_CASE("brief jobs: many at once, nothing said of those that succeed (J35-J38)") {
  std::vector<ElementSpec> many;
  for (int i = 0; i < 400; ++i) many.push_back({"e" + std::to_string(i) + ".bst", {}, {}});
  World world;
  world.hello("runner");
  wire::RunArguments arguments;
  arguments.verb = Action::kEmpty;
  arguments.snapshot_file = world.write(make_snapshot(many, {}));
  for (std::uint32_t e = 0; e < 400; ++e) arguments.selection.push_back(e);
  world.run(arguments);
  auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == kRunnerCapacity + kBriefPrefill);
  CHECK(jobs[0].action == Action::kEmpty);
  CHECK(jobs[0].element.bytes.empty());
  CHECK(world.store.queries == 0);
  wire::JobId fails;
  const auto finish = [&](Outcome status) {
    wire::Results results;
    for (const wire::Job& job : jobs) {
      auto& result = results.results.emplace_back();
      result.id = job.id;
      result.status = job.id == fails ? Outcome::kFailure : status;
    }
    world.say("runner", results);
    CHECK(world.out->take<wire::ResultAck>("runner").back().jobs.size() == jobs.size());
    jobs = world.out->take_jobs("runner");
  };
  finish(Outcome::kSuccess);
  CHECK(jobs.size() == kRunnerCapacity + kBriefPrefill);
  CHECK(world.out->of("job.started").empty());
  CHECK(world.out->of("job.finished").empty());
  CHECK(world.out->of("element.state").empty());

  SECTION("one that is lost is given again") {
    const std::set<std::uint64_t> lost = [&] {
      std::set<std::uint64_t> ids;
      for (const auto& job : jobs) ids.insert(job.id.job);
      return ids;
    }();
    world.start();
    world.hello("runner");
    jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == lost.size());
    for (const auto& job : jobs) {
      CHECK(lost.contains(job.id.job));
      CHECK(job.id.attempt == 2);
    }
  }
  SECTION("one that fails is said, and named at the end") {
    fails = jobs.front().id;
    finish(Outcome::kSuccess);
    const auto failed = world.out->of("job.finished");
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].outcome == "failure");
    while (!jobs.empty()) finish(Outcome::kSuccess);
    CHECK(world.outcome() == "failure");
    const auto finished = world.out->of("run.finished").at(0);
    CHECK(queue(finished, "Empty").processed == 399);
    CHECK(finished.failures->size() == 1);
  }
}

TEST_CASE("messages that are taken together have one write of the journal") {
  std::vector<ElementSpec> many;
  for (int i = 0; i < 300; ++i) many.push_back({"e" + std::to_string(i) + ".bst", {}, {}});
  World world;
  world.hello("runner");
  wire::RunArguments arguments;
  arguments.verb = Action::kEmpty;
  arguments.snapshot_file = world.write(make_snapshot(many, {}));
  for (std::uint32_t e = 0; e < 300; ++e) arguments.selection.push_back(e);
  world.run(arguments);
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() > 10);
  const std::size_t before = world.journal.size();
  for (std::size_t i = 0; i < 10; ++i) {
    wire::Results results;
    results.results.emplace_back().id = jobs[i].id;
    results.results.back().status = Outcome::kSuccess;
    world.core->take_message("runner", {std::string(wire::Results::kName), wire::encode(results)});
  }
  CHECK(world.journal.size() == before);
  CHECK(world.out->take<wire::ResultAck>("runner").empty());
  world.core->react();
  CHECK(world.journal.size() == before + 20);  // their ends, and those that follow
  CHECK(world.out->take<wire::ResultAck>("runner").size() == 10);
  CHECK(world.out->take<wire::JobBatch>("runner").size() == 1);
}

TEST_CASE("no new jobs while records wait to be acknowledged") {
  World world;
  world.hello("runner");
  world.out->full = true;
  world.run(world.build(world.write(make_snapshot({{"a", {}, {}}}, {"a"}))));
  CHECK(world.out->take_jobs("runner").empty());
  world.out->full = false;
  world.core->tick();
  CHECK(world.out->take_jobs("runner").size() == 1);
}

TEST_CASE("a journal that can't be written stops everything before it happens") {
  World world;
  world.hello("runner");
  world.run(world.build(world.write(make_snapshot({{"a", {}, {}}, {"b", {"a"}, {}}}, {"b"}))));
  const auto jobs = world.out->take_jobs("runner");
  const auto events = world.out->events.size();
  world.out->disk_full = true;
  world.finish("runner", jobs[0]);
  CHECK(world.out->take<wire::ResultAck>("runner").empty());
  CHECK(world.out->events.size() == events);
  // The next process goes on from what the journal has.
  world.start();
  world.hello("runner", 2, {}, {}, {jobs[0].id});
  world.say("runner", wire::Results{{world.result_of(jobs[0])}});
  CHECK(world.out->take<wire::ResultAck>("runner").size() == 1);
  CHECK(world.work("runner") == Names{"build:b"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("100,000 elements run in linear time") {
  World world;
  std::vector<ElementSpec> specs{{"0", {}, {}}};
  for (int i = 1; i < 100'000; ++i)
    specs.push_back({std::to_string(i), {std::to_string(i - 1)}, {}});
  // A chain, cached but for its end.
  for (int i = 0; i < 99'000; ++i) world.store.add(std::to_string(i));
  world.hello("runner", 4);
  world.run(world.build(world.write(make_snapshot(specs, {"99999"})), "all"));
  CHECK(world.work("runner").size() == 1000);
  CHECK(world.outcome() == "success");
}

}  // namespace sluice::scheduler
