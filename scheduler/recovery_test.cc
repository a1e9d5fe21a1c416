// A scheduler that dies at any instant: the next one, on the same journal and store, ends where the
// first would have.
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

std::vector<ElementSpec> project() {
  return {{"base", {}, {}},
          {"lib", {"base"}, {}, true},
          {"data", {"base"}, {"base"}},
          {"bad", {"base"}, {}},
          {"app", {"base", "lib"}, {"data"}},
          {"needs-bad", {"bad"}, {}},
          {"all", {"app"}, {"app", "data"}},
          {"everything", {}, {"all", "needs-bad"}}};
}

struct Ended {
  int successes = 0;
  int failures = 0;
};

// By element and queue, how often an attempt ended in the journal.
std::map<std::string, Ended> ends(const std::vector<std::string>& journal) {
  std::map<std::uint64_t, std::string> names;
  std::map<std::string, Ended> out;
  for (const auto& record : journal) {
    if (change_name(record) == AttemptGiven::kName) {
      const auto change = wire::decode<AttemptGiven>(record);
      names[change->id.job] = change->queue + " " + std::to_string(change->element);
    } else if (change_name(record) == AttemptEnded::kName) {
      const auto change = wire::decode<AttemptEnded>(record);
      auto& ended = out[names.at(change->result.id.job)];
      ++(change->result.status == Outcome::kSuccess ? ended.successes : ended.failures);
    }
  }
  return out;
}

enum class RunnerFate { kDied, kRunning, kOutbox };

}  // namespace

TEST_CASE("recovery from every prefix of a journal: finished once, published at least once") {
  const auto fate = GENERATE(RunnerFate::kDied, RunnerFate::kRunning, RunnerFate::kOutbox);
  // One run without an accident, to have the journal and what was published when.
  World whole;
  const auto file = whole.write(make_snapshot(project(), {"everything"}));
  whole.hello("runner", 2);
  std::map<wire::JobId, wire::Job> given;
  whole.run(whole.build(file));
  for (;;) {
    const auto jobs = whole.out->take_jobs("runner");
    if (jobs.empty()) break;
    for (const auto& job : jobs) {
      given[job.id] = job;
      whole.finish("runner", job, name_of(job) == "bad" ? Outcome::kFailure : Outcome::kSuccess);
    }
  }
  REQUIRE(whole.outcome() == "failure");
  const auto expected = ends(whole.journal);
  REQUIRE(expected.size() == 8);

  for (std::size_t length = 1; length <= whole.journal.size(); ++length) {
    INFO("after record " << length << " of " << whole.journal.size());
    for (const std::uint64_t mark : {std::uint64_t{0}, static_cast<std::uint64_t>(length / 2),
                                     static_cast<std::uint64_t>(length)}) {
      World world;
      world.core.reset();
      world.epoch = 10;
      world.journal.assign(whole.journal.begin(),
                           whole.journal.begin() + static_cast<long>(length));
      if (mark > 0) world.journal.push_back(pack_change(Published{mark}));
      // The store has at least what the journal says, and what was under way may be in it.
      std::set<std::string> done_before;
      std::map<std::uint64_t, wire::JobId> in_flight;
      for (std::size_t i = 0; i < length; ++i) {
        const std::string& record = whole.journal[i];
        if (change_name(record) == AttemptGiven::kName) {
          const auto change = wire::decode<AttemptGiven>(record);
          in_flight[change->id.job] = change->id;
        } else if (change_name(record) == AttemptEnded::kName) {
          const auto change = wire::decode<AttemptEnded>(record);
          const auto& job = given.at(change->result.id);
          (void)world.result_of(job, name_of(job) == "bad" ? Outcome::kFailure : Outcome::kSuccess);
          done_before.insert(std::string(text_of(job.action)) + ":" + name_of(job));
          in_flight.erase(change->result.id.job);
        }
      }
      world.start();
      std::vector<wire::JobId> running;
      for (const auto& [job, id] : in_flight) running.push_back(id);
      std::vector<std::string> done;
      const auto finish = [&](const wire::Job& job) {
        done.push_back(std::string(text_of(job.action)) + ":" + name_of(job));
        world.finish("runner", job, name_of(job) == "bad" ? Outcome::kFailure : Outcome::kSuccess);
      };
      if (fate == RunnerFate::kDied) {
        world.core->runner_died("runner", 1);
        world.hello("runner", 2, {}, {}, {}, 2);
      } else if (fate == RunnerFate::kRunning) {
        world.hello("runner", 2, running);
        for (const auto& id : running) finish(given.at(id));
      } else {
        world.hello("runner", 2, {}, {}, running);
        for (const auto& id : running) finish(given.at(id));
      }
      for (;;) {
        const auto jobs = world.out->take_jobs("runner");
        if (jobs.empty()) break;
        for (const auto& job : jobs) finish(job);
      }
      // The run goes on by itself, if it had begun.
      bool begun = false;
      for (std::size_t i = 0; i < length; ++i)
        begun = begun || change_name(whole.journal[i]) == RunStarted::kName;
      if (!begun) {
        world.run(world.build(file));
        world.work("runner", {"bad"});
      }
      CHECK_FALSE(world.core->running());
      for (const auto& name : done) CHECK(done_before.count(name) == 0);
      if (begun) {
        const auto got = ends(world.journal);
        CHECK(got.size() == expected.size());
        for (const auto& [name, ended] : got) {
          INFO(name);
          CHECK(ended.successes == expected.at(name).successes);
          CHECK(ended.failures == expected.at(name).failures);
        }
        // What the first process had published up to the mark, and what the second says, are all
        // records; each end of a job once.
        std::map<std::string, int> told;
        const auto tell = [&](const wire::Event& event) {
          if (event.type == "job.finished") ++told[event.job->action + ":" + event.element->name];
          if (event.type == "run.started" || event.type == "run.finished") ++told[event.type];
        };
        for (std::size_t i = 0; i < whole.out->events.size(); ++i) {
          if (whole.out->ordinals[i] <= mark) tell(whole.out->events[i]);
        }
        for (const auto& event : world.out->events) tell(event);
        CHECK(told.size() == 10);
        for (const auto& [name, count] : told) {
          INFO(name);
          CHECK(count == 1);
        }
        if (!world.outcome().empty()) {
          const auto queues = *world.out->of("run.finished").back().queues;
          const auto original = *whole.out->of("run.finished").back().queues;
          for (std::size_t i = 0; i < queues.size(); ++i) {
            CHECK(queues[i].processed == original[i].processed);
            CHECK(queues[i].skipped == original[i].skipped);
            CHECK(queues[i].failed == original[i].failed);
            CHECK(queues[i].waiting == original[i].waiting);
          }
        }
      }
    }
  }
}

TEST_CASE("the store wins: what it lost since is built again, with what that needs") {
  World world;
  const auto file = world.write(make_snapshot(project(), {"all"}));
  world.hello("runner", 1);
  world.run(world.build(file));
  // base, then lib's sources, data, lib...
  std::vector<std::string> done;
  std::vector<wire::Job> left;
  while (std::find(done.begin(), done.end(), "build:lib") == done.end()) {
    for (const auto& job : world.out->take_jobs("runner")) left.push_back(job);
    REQUIRE_FALSE(left.empty());
    const wire::Job job = left.front();
    left.erase(left.begin());
    done.push_back(std::string(text_of(job.action)) + ":" + name_of(job));
    world.finish("runner", job);
  }
  world.store.artifacts.erase(key_of("lib"));
  world.store.artifacts.erase(key_of("base"));
  world.store.sources_there.clear();
  world.start();
  world.core->runner_died("runner", 1);
  world.hello("runner", 2, {}, {}, {}, 2);
  const auto again = world.work("runner");
  CHECK(again.front() == "build:base");
  for (const char* name : {"build:base", "fetch:lib", "build:lib", "build:app", "build:all"}) {
    INFO(name);
    CHECK(std::count(again.begin(), again.end(), name) == 1);
  }
  CHECK(world.outcome() == "success");
}

// J45.
TEST_CASE("what a job finds damaged is built again, and then the job is tried again") {
  World world;
  world.store.add("base");
  world.hello("runner", 1);
  world.run(
      world.build(world.write(make_snapshot({{"base", {}, {}}, {"top", {"base"}, {}}}, {"top"}))));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 1);
  REQUIRE(name_of(jobs[0]) == "top");
  // The job has removed a blob that wasn't what it should be.
  world.store.artifacts.erase(key_of("base"));
  world.started("runner", jobs[0].id);
  auto result = world.result_of(jobs[0], Outcome::kError);
  result.error = wire::ErrorBody{
      .domain = "cas", .reason = "missing-blob", .message = "Blob 123 was damaged in the store"};
  SECTION("and is there no more") {
    world.say("runner", wire::Results{{result}});
    CHECK(world.store.forgotten == 1);
    CHECK(world.work("runner") == std::vector<std::string>{"build:base", "build:top"});
    CHECK(world.outcome() == "success");
  }
  SECTION("but the store has all: trying again would end the same") {
    world.store.add("base");
    world.say("runner", wire::Results{{result}});
    CHECK(world.work("runner").empty());
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("a dependency that is gone when it is to be staged is built again") {
  World world;
  const std::vector<ElementSpec> elements{
      {"base", {}, {}}, {"mid", {"base"}, {}}, {"top", {"base", "mid"}, {}}};
  world.store.add("base");
  world.hello("runner", 1);
  world.run(world.build(world.write(make_snapshot(elements, {"mid"}))));
  world.work("runner");
  REQUIRE(world.outcome() == "success");
  world.start();                                // digests are forgotten,
  world.store.artifacts.erase(key_of("base"));  // and expiry took one
  world.hello("runner", 1);
  world.run(world.build(world.write(make_snapshot(elements, {"top"}))));
  CHECK(world.work("runner") == std::vector<std::string>{"build:base", "build:top"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("a dependency in whose place the store has a failure now is built again") {
  World world;
  const std::vector<ElementSpec> elements{
      {"base", {}, {}}, {"mid", {"base"}, {}}, {"top", {"base", "mid"}, {}}};
  world.store.add("base");
  world.hello("runner", 1);
  world.run(world.build(world.write(make_snapshot(elements, {"mid"}))));
  world.work("runner");
  REQUIRE(world.outcome() == "success");
  world.start();
  world.store.add("base", false);
  world.hello("runner", 1);
  world.run(world.build(world.write(make_snapshot(elements, {"top"}))));
  CHECK(world.work("runner") == std::vector<std::string>{"build:base", "build:top"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("a run that is refused leaves the session as it was") {
  World world;
  world.hello("runner", 1);
  const auto file = world.write(make_snapshot(project(), {"all"}));
  world.run(world.build(file));
  world.work("runner");
  REQUIRE(world.outcome() == "success");
  const std::string before = world.model();
  auto other = make_snapshot(project(), {"everything"});
  other.elements[3].sources_resolved = false;
  other.elements[3].has_sources = true;
  const auto refused = world.core->run(world.build(world.write(other)));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == "inconsistent-pipeline");
  CHECK(world.model() == before);
  CHECK(world.core->model()->loaded->file == file);
}

TEST_CASE("suspension and elapsed time survive the process") {
  World world;
  const auto file = world.write(make_snapshot(project(), {"all"}));
  world.hello("runner", 1);
  world.run(world.build(file));
  world.clock.advance(std::chrono::seconds(5));
  world.core->suspend([](Status) {});
  world.clock.advance(std::chrono::seconds(100));
  world.start();
  CHECK(world.core->suspended());
  auto status = wire::decode_event(world.core->pack_status(StatusOf::kShown));
  REQUIRE(status);
  CHECK(status->session->elapsed == 5'000'000'000);
  CHECK(status->session->state == "suspended");
  world.hello("runner", 1, {}, {}, {}, 2);
  CHECK(world.out->take_jobs("runner").empty());
  world.core->resume();
  world.clock.advance(std::chrono::seconds(1));
  // While nobody was there the jobs went on: that counts.
  world.start();
  status = wire::decode_event(world.core->pack_status(StatusOf::kShown));
  CHECK(status->session->elapsed == 6'000'000'000);
  world.core->runner_died("runner", 2);
  world.hello("runner", 1, {}, {}, {}, 3);
  world.work("runner");
  CHECK(world.outcome() == "success");
}

TEST_CASE("a run that is asked for again is the same run, also by the next process") {
  World world;
  const auto arguments = world.build(world.write(make_snapshot(project(), {"all"})));
  REQUIRE(world.core->run(arguments, "request-1")->run == 1);
  CHECK(world.core->run(arguments, "request-1")->run == 1);
  world.start();
  CHECK(world.core->run(arguments, "request-1")->run == 1);
  CHECK(world.core->run(arguments, "request-2").error().reason == "busy");
  world.hello("runner", 1);
  world.work("runner");
  CHECK(world.core->run(arguments, "request-1")->run == 1);
  CHECK(world.core->run(arguments, "request-2")->run == 2);
}

TEST_CASE("a journal that can't be followed is an error, not a crash") {
  World world;
  const auto file = world.write(make_snapshot(project(), {"all"}));
  world.hello("runner", 1);
  world.run(world.build(file));
  world.work("runner");
  const auto good = world.journal;
  world.tampered = true;
  SECTION("a record of no known kind") { world.journal.insert(world.journal.begin() + 1, "\x80"); }
  SECTION("a record that is missing") { world.journal.erase(world.journal.begin() + 2); }
  SECTION("no MessagePack at all") { world.journal[1] = "\xc1\xc1"; }
  SECTION("the snapshot is gone") { std::filesystem::remove(file); }
  SECTION("the snapshot is another one") {
    auto other = make_snapshot(project(), {"app"});
    REQUIRE(wire::write_snapshot(file, other));
  }
  CHECK_FALSE(world.try_start());
}

}  // namespace sluice::scheduler
