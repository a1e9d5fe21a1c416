// What is expected of a run, what is told of it, and what those who look are shown.
#include "scheduler/forecast.h"

#include <catch2/catch.hpp>

#include "scheduler/test_world.h"

using namespace sluice;
using namespace sluice::scheduler;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

JobDuration took(const std::string& element, std::int64_t seconds) {
  return {"test", element, model::Action::kBuild, seconds * kSecond};
}

wire::Event status(World& world, StatusOf of = StatusOf::kShown) {
  auto event = wire::decode_event(world.core->pack_status(of));
  REQUIRE(event);
  return *event;
}

// a and b are free, c is built with a, end with all.
std::string diamond(World& world, std::uint32_t builders) {
  auto snapshot = make_snapshot(
      {{"a", {}, {}}, {"b", {}, {}}, {"c", {"a"}, {}}, {"end", {"b", "c"}, {}}}, {"end"});
  snapshot.settings.builders = builders;
  return world.write(snapshot);
}

}  // namespace

TEST_CASE("the plan is said when the run starts, and what is expected when that is known") {
  World world;
  world.out->knows_durations = true;
  world.hello("runner", 2);
  world.run(world.build(diamond(world, 2)));
  const auto started = world.out->of("run.started");
  REQUIRE(started.size() == 1);
  REQUIRE(started[0].plan);
  REQUIRE(started[0].elements);
  REQUIRE(started[0].plan->dependencies.size() == started[0].elements->size());
  std::map<std::string, std::set<std::string>> needs;
  for (std::size_t i = 0; i < started[0].elements->size(); ++i) {
    for (const auto d : started[0].plan->dependencies[i])
      needs[(*started[0].elements)[i].name].insert((*started[0].elements)[d].name);
  }
  CHECK(needs == std::map<std::string, std::set<std::string>>{{"c", {"a"}}, {"end", {"b", "c"}}});
  CHECK(world.out->of("run.planned").empty());

  world.core->durations({took("a", 4), took("c", 6), took("end", 2)});
  const auto planned = world.out->of("run.planned");
  REQUIRE(planned.size() == 1);
  std::map<std::string, std::int64_t> expected;
  for (std::size_t i = 0; i < started[0].elements->size(); ++i)
    expected[(*started[0].elements)[i].name] = planned[0].plan->expected[i] / kSecond;
  CHECK(expected == std::map<std::string, std::int64_t>{{"a", 4}, {"b", 4}, {"c", 6}, {"end", 2}});
}

TEST_CASE("what is left is what the order of the run comes to with so many builders") {
  World world;
  world.out->knows_durations = true;
  const std::uint32_t builders = GENERATE(1u, 2u);
  world.hello("runner", builders);
  world.run(world.build(diamond(world, builders)));
  CHECK_FALSE(status(world).estimate);
  world.core->durations({took("a", 10), took("b", 8), took("c", 20), took("end", 5)});
  const auto estimate = status(world).estimate;
  REQUIRE(estimate);
  CHECK(estimate->critical == 35 * kSecond);
  CHECK(estimate->remaining == (builders == 1 ? 43 : 35) * kSecond);
  CHECK(estimate->low <= estimate->remaining);
  CHECK(estimate->high >= estimate->remaining);
  CHECK(estimate->guessed == 0);

  // What runs has that much less to go.
  for (const auto& job : world.out->take_jobs("runner")) {
    if (name_of(job) == "a") world.started("runner", job.id);
  }
  world.clock.advance(std::chrono::seconds(4));
  world.core->tick();
  CHECK(status(world).estimate->remaining == (builders == 1 ? 39 : 31) * kSecond);
}

TEST_CASE("a machine that is slower than the last time takes longer for the rest") {
  World world;
  world.out->knows_durations = true;
  world.hello("runner", 1);
  world.run(world.build(diamond(world, 1)));
  world.core->durations({took("a", 10), took("b", 10), took("c", 10), took("end", 10)});
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE_FALSE(jobs.empty());
  world.started("runner", jobs[0].id);
  auto result = world.result_of(jobs[0]);
  result.elapsed = 20 * kSecond;
  world.clock.advance(std::chrono::seconds(20));
  world.say("runner", wire::Results{{result}});
  const auto estimate = status(world).estimate;
  REQUIRE(estimate);
  CHECK(estimate->remaining == 60 * kSecond);
}

TEST_CASE("what was never built counts as the average, and makes the estimate wider") {
  World world;
  world.out->knows_durations = true;
  world.hello("runner", 1);
  world.run(world.build(diamond(world, 1)));
  world.core->durations({took("a", 10), took("b", 20)});
  const auto estimate = status(world).estimate;
  REQUIRE(estimate);
  CHECK(estimate->guessed == 2);
  CHECK(estimate->remaining == 60 * kSecond);
  CHECK(estimate->high > estimate->remaining * 13 / 10);
}

TEST_CASE("progress counts what is done, and what waits for a failure") {
  World world;
  world.store.add("b", true);
  world.hello("runner", 1);
  world.run(world.build(diamond(world, 1)));
  auto progress = status(world).progress;
  REQUIRE(progress);
  CHECK(progress->elements == 4);
  CHECK(progress->done == 1);
  CHECK(progress->cached == 1);
  CHECK(progress->built == 0);
  world.work("runner", {"c"});
  const auto finished = world.out->of("run.finished");
  REQUIRE(finished.size() == 1);
  progress = finished[0].progress;
  REQUIRE(progress);
  CHECK(progress->built == 1);
  CHECK(progress->failed == 1);
  CHECK(progress->blocked == 1);
  CHECK(progress->done == 2);
}

TEST_CASE("a job's end says where what it brought came from, and what it has used") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(diamond(world, 1)));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE_FALSE(jobs.empty());
  world.started("runner", jobs[0].id);
  auto result = world.result_of(jobs[0]);
  result.cpu = 3 * kSecond;
  result.memory = 1 << 20;
  result.bytes = 77;
  world.say("runner", wire::Results{{result}});
  const auto ended = world.out->of("job.finished");
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].origin == "built");
  REQUIRE(ended[0].usage);
  CHECK(ended[0].usage->cpu == 3 * kSecond);
  CHECK(ended[0].usage->memory == 1 << 20);
  CHECK(ended[0].usage->bytes == 77);
}

TEST_CASE("a job has started when its runner says, in all records") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(diamond(world, 1)));
  const auto jobs = world.out->take_jobs("runner");
  world.clock.advance(std::chrono::seconds(1));
  const std::int64_t said = world.clock.wall_ns() - 12'345;
  world.say("runner", wire::Started{{{jobs[0].id, 0, said}}});
  CHECK(world.out->of("job.started").front().job->started == said);
  SECTION("of one process") {}
  SECTION("of the one before") {
    world.start();
    world.hello("runner", 1, {jobs[0].id}, {}, {}, 2);
  }
  world.say("runner", wire::Results{{world.result_of(jobs[0])}});
  CHECK(world.out->of("job.finished").front().job->started == said);
}

TEST_CASE("idle builders are counted, and it is said what for") {
  World world;
  world.hello("runner", 2);
  world.run(world.build(diamond(world, 2)));
  CHECK_FALSE(status(world).idle);
  std::map<std::string, wire::Job> jobs;
  for (const auto& job : world.out->take_jobs("runner")) jobs[name_of(job)] = job;
  for (const auto& [name, job] : jobs) world.started("runner", job.id);
  world.finish("runner", jobs.at("b"));
  const auto idle = status(world).idle;
  REQUIRE(idle);
  CHECK(idle->builders == 1);
  CHECK(idle->why == "all else waits for a");
}

TEST_CASE(
    "J110, J112: runners say what jobs do while somebody looks, and of their own jobs alone") {
  World world;
  world.hello("runner", 1);
  world.join("far", 1);
  world.run(world.build(diamond(world, 1)));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE_FALSE(jobs.empty());
  world.started("runner", jobs[0].id);
  world.core->watch({});
  CHECK(world.out->take<wire::Watch>("runner").empty());

  world.core->watch({.steps = true, .lines = true});
  auto watches = world.out->take<wire::Watch>("runner");
  REQUIRE(watches.size() == 1);
  CHECK(watches[0].lines);
  CHECK(world.out->take<wire::Watch>("far").empty());
  world.core->watch({.steps = true, .lines = true});
  CHECK(world.out->take<wire::Watch>("runner").empty());

  (void)world.core->take_status_changed();
  world.say("far", wire::Progress{{{jobs[0].id, "lies", "lies"}}});
  CHECK(status(world).active->jobs[0].step.empty());
  world.say("runner", wire::Progress{{{jobs[0].id, "Running commands", std::string(10'000, 'x')}}});
  CHECK(world.core->take_status_changed());
  CHECK(status(world).active->jobs[0].step == "Running commands");
  CHECK(status(world).active->jobs[0].line.empty());
  const auto line = status(world, StatusOf::kLines).active->jobs[0].line;
  CHECK(line.starts_with("xxx"));
  CHECK(line.size() <= wire::kMostLine);

  // One that says HELLO again is told again, and nobody looks any more in the end.
  world.hello("runner", 1, {jobs[0].id});
  world.core->watch({.steps = true});
  watches = world.out->take<wire::Watch>("runner");
  REQUIRE(watches.size() == 1);
  CHECK_FALSE(watches[0].lines);
  world.core->watch({});
  watches = world.out->take<wire::Watch>("runner");
  REQUIRE(watches.size() == 1);
  CHECK_FALSE(watches[0].steps);
}
