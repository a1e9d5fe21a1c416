// Limits of builders, fetchers and pushers: kept by all runners together, also when they are set
// while a run goes on.
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

std::string wide_file(World& world, int elements, std::uint32_t builders) {
  auto snapshot = wide_snapshot(elements);
  snapshot.settings.builders = builders;
  return world.write(std::move(snapshot));
}

}  // namespace

TEST_CASE("limits: builders and fetchers are kept by all runners together") {
  World world;
  const auto file = wide_file(world, 50, 3);
  world.hello("one", 8);
  SECTION("two with many slots") {
    world.hello("two", 8);
    world.run(world.build(file));
    CHECK(world.out->take_jobs("one").size() + world.out->take_jobs("two").size() == 3);
  }
  SECTION("one keeps to it by itself, and has the next jobs in hand") {
    world.run(world.build(file));
    CHECK(world.out->take_jobs("one").size() == 3 + kPrefill);
  }
}

TEST_CASE(
    "limits are set while a run goes on: runners are told, credit follows, the next process "
    "knows") {
  World world;
  const auto file = wide_file(world, 20, 2);
  world.hello("one", 2);
  world.run(world.build(file));
  auto jobs = world.out->take_jobs("one");
  REQUIRE(jobs.size() == 2 + kPrefill);
  CHECK(world.out->take<wire::JobLimits>("one").empty());

  for (const std::uint32_t bad : {0u, wire::kMostJobs + 1}) {
    const auto refused = world.core->set_limits({bad, {}});
    REQUIRE(!refused);
    CHECK(refused.error().reason == "bad-arguments");
  }
  REQUIRE(world.core->set_limits({6, {}}));
  auto limits = world.out->take<wire::JobLimits>("one");
  REQUIRE(limits.size() == 1);
  CHECK(limits[0].builders == 6);
  CHECK(limits[0].fetchers == 0);
  // Not before the runner has said that it does so many.
  CHECK(world.out->take_jobs("one").empty());
  world.say("one", wire::JobLimits{6, 0, 6});
  auto more = world.out->take_jobs("one");
  CHECK(more.size() == 4);
  jobs.insert(jobs.end(), more.begin(), more.end());
  const auto said = world.out->of("session.limits");
  REQUIRE(said.size() == 1);
  CHECK(said[0].limits->builders == 6);

  // Fewer: nothing more until enough have ended.
  REQUIRE(world.core->set_limits({1, {}}));
  world.say("one", wire::JobLimits{1, 0, 1});
  for (std::size_t i = 0; i < 5; ++i) world.finish("one", jobs[i]);
  CHECK(world.out->take_jobs("one").empty());
  world.finish("one", jobs[5]);
  more = world.out->take_jobs("one");
  CHECK(more.size() == 1);  // two in hand and this one
  jobs.insert(jobs.end(), more.begin(), more.end());

  world.start();
  CHECK(wire::decode_event(world.core->pack_status(StatusOf::kShown))->limits->builders == 1);
  CHECK(wire::decode_event(world.core->pack_status(StatusOf::kShown))->limits->changed);
  world.hello("one", 2, {}, {jobs[6].id, jobs[7].id, jobs[8].id});
  limits = world.out->take<wire::JobLimits>("one");
  REQUIRE(limits.size() == 1);
  CHECK(limits[0].builders == 1);
  world.say("one", wire::JobLimits{1, 0, 1});
  CHECK(world.out->take_jobs("one").empty());
  for (std::size_t i = 6; i < 9; ++i) world.finish("one", jobs[i]);
  world.work("one");
  CHECK(world.outcome() == "success");
}

TEST_CASE("J54: what several runners have in hand beyond lower limits is taken back") {
  World world;
  const auto file = wide_file(world, 20, 8);
  world.hello("one", 3);
  world.hello("two", 3);
  world.run(world.build(file));
  const auto one = world.out->take_jobs("one"), two = world.out->take_jobs("two");
  REQUIRE(one.size() == 3 + kPrefill);
  REQUIRE(two.size() == 3 + kPrefill);
  for (int i = 0; i < 3; ++i) {
    world.started("one", one[i].id);
    if (i < 2) world.started("two", two[i].id);
  }
  const auto taken = [&](const std::string& runner) {
    std::vector<wire::JobId> ids;
    for (const auto& cancel : world.out->take<wire::Cancel>(runner))
      ids.insert(ids.end(), cancel.jobs.begin(), cancel.jobs.end());
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  const auto lower = [&](std::uint32_t builders) {
    REQUIRE(world.core->set_limits({builders, {}}));
    world.say("one", wire::JobLimits{builders, 0, builders});
    world.say("two", wire::JobLimits{builders, 0, builders});
  };
  SECTION("what has not started, the last that was given first") {
    lower(9);
    std::vector<wire::JobId> ids = taken("one");
    for (const auto& id : taken("two")) ids.push_back(id);
    REQUIRE(ids.size() == 1);
    CHECK(ids[0].job == 10);
    CHECK(world.out->take_jobs("one").empty());
    CHECK(world.out->take_jobs("two").empty());
  }
  SECTION("nothing of what runs; later all is done") {
    lower(2);
    const auto from_one = taken("one"), from_two = taken("two");
    CHECK(from_one == std::vector<wire::JobId>{one[3].id, one[4].id});
    CHECK(from_two == std::vector<wire::JobId>{two[2].id, two[3].id, two[4].id});
    // As runners say it; one had started in the meantime.
    world.started("two", two[2].id);
    CHECK(taken("two") == std::vector<wire::JobId>{two[2].id});
    for (const auto& id : from_one)
      world.say("one", wire::Results{{{.id = id, .status = Outcome::kKilled}}});
    for (const auto& id : from_two)
      world.say("two", wire::Results{{{.id = id, .status = Outcome::kKilled}}});
    CHECK(world.out->of("job.finished").empty());
    // Five run: nothing more until fewer than two do.
    for (int i = 0; i < 3; ++i) world.finish("one", one[i]);
    CHECK(world.out->take_jobs("one").empty());
    CHECK(world.out->take_jobs("two").empty());
    world.finish("two", two[0]);
    world.finish("two", two[1]);
    for (int turn = 0; turn < 20 && world.outcome().empty(); ++turn) {
      const auto more = world.out->take_jobs("one"), others = world.out->take_jobs("two");
      CHECK(more.size() + others.size() <= 2);
      for (const auto& job : more) world.finish("one", job);
      for (const auto& job : others) world.finish("two", job);
    }
    CHECK(world.outcome() == "success");
    CHECK(world.store.artifacts.size() == 21);
  }
  SECTION("the next process knows that it was taken back") {
    lower(5);
    const auto from_one = taken("one"), from_two = taken("two");
    CHECK(from_one.size() + from_two.size() == 5);
    world.start();
    // Their HELLOs were sent before CANCEL was read.
    const auto ids = [](const std::vector<wire::Job>& jobs, std::size_t from, std::size_t to) {
      std::vector<wire::JobId> out;
      for (std::size_t i = from; i < to; ++i) out.push_back(jobs[i].id);
      return out;
    };
    world.hello("one", 5, ids(one, 0, 3), ids(one, 3, 5));
    world.hello("two", 5, ids(two, 0, 2), ids(two, 2, 5));
    CHECK(taken("one") == from_one);
    CHECK(taken("two") == from_two);
    CHECK(world.out->take_jobs("one").empty());
    CHECK(world.out->take_jobs("two").empty());
  }
}

TEST_CASE("one runner keeps what it has in hand when limits are lowered") {
  World world;
  const auto file = wide_file(world, 8, 4);
  world.hello("one", 4);
  world.run(world.build(file));
  REQUIRE(world.out->take_jobs("one").size() == 4 + kPrefill);
  REQUIRE(world.core->set_limits({1, {}}));
  CHECK(world.out->take<wire::Cancel>("one").empty());
}

}  // namespace sluice::scheduler
