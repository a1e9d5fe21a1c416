// Runners from elsewhere: who may do what, what is waited for, who is given it (spec/jobs.md, J70
// to J75, J99).
#include "scheduler/elsewhere_world.h"

namespace sluice::scheduler {

TEST_CASE("J70: builds go to runners of their platform, to emulators where there is none") {
  World world(listens);
  world.hello("runner");
  world.join("arm", 4, [](auto& m) { m.platform = "linux/aarch64"; });
  world.join("emulator", 4, [](auto& m) { m.emulates = {"linux/aarch64", "linux/rv64g"}; });
  world.join("old", 4, [](auto& m) { m.platform = "linux/x86-32"; });
  world.run(world.build(world.write(
      make_snapshot({{.name = "arm-1", .platform = "linux/aarch64"},
                     {.name = "arm-2", .platform = "linux/aarch64"},
                     {.name = "narrow", .platform = "linux/aarch32"},
                     {.name = "risc", .platform = "linux/rv64g"},
                     {.name = "any", .platform = ""},
                     {.name = "all", .build = {"arm-1", "arm-2", "narrow", "risc", "any"}}},
                    {"all"}))));
  const auto arm = names(world.out->take_jobs("arm"));
  CHECK(arm.contains("arm-1"));
  CHECK(arm.contains("arm-2"));
  CHECK(arm.contains("narrow"));
  const auto emulator = names(world.out->take_jobs("emulator"));
  CHECK(emulator.contains("risc"));
  CHECK_FALSE(emulator.contains("arm-1"));
  CHECK_FALSE(emulator.contains("arm-2"));
  for (const char* const name : {"runner", "old"}) {
    for (const std::string& element : names(world.out->take_jobs(name))) CHECK(element == "any");
  }
}

TEST_CASE("J70: an emulator does it as long as no native runner has joined, and no longer") {
  World world(listens);
  world.hello("runner", 8);
  world.join("emulator", 1, [](auto& m) { m.emulates = {"linux/aarch64"}; });
  std::vector<ElementSpec> specs;
  ElementSpec all{.name = "all"};
  for (int i = 0; i < 8; ++i) {
    specs.push_back({.name = "e" + std::to_string(i), .platform = "linux/aarch64"});
    all.build.push_back(specs.back().name);
  }
  specs.push_back(all);
  world.run(world.build(world.write(make_snapshot(specs, {"all"}))));
  const auto first = world.out->take_jobs("emulator");
  REQUIRE(first.size() == 1 + kPrefill);
  CHECK(world.out->take_jobs("runner").empty());
  world.join("arm", 4, [](auto& m) { m.platform = "linux/aarch64"; });
  world.core->tick();
  CHECK(world.out->take_jobs("arm").size() == 5);
  world.finish("emulator", first[0]);
  CHECK(world.out->take_jobs("emulator").empty());
}

TEST_CASE("J71: a runner has all labels that an element wants") {
  World world(listens);
  world.hello("runner");
  world.join("some", 4, [](auto& m) { m.labels = {"gpu"}; });
  world.join("both", 4, [](auto& m) { m.labels = {"gpu", "big"}; });
  world.run(world.build(world.write(make_snapshot({{.name = "one", .labels = {"big"}},
                                                   {.name = "two", .labels = {"big", "gpu"}},
                                                   {.name = "all", .build = {"one", "two"}}},
                                                  {"all"}))));
  CHECK(names(world.out->take_jobs("both")) == std::set<std::string>{"one", "two"});
  CHECK(world.out->take_jobs("some").empty());
  CHECK(world.out->take_jobs("runner").empty());
}

TEST_CASE("J11, J71: what can be no platform or label is refused") {
  World world(listens);
  const auto refused = [&](const std::function<void(wire::RunnerHello&)>& change) {
    world.join("odd", 1, change);
    const auto answers = world.out->take<wire::Refused>("odd");
    return answers.empty() ? std::string() : answers[0].reason;
  };
  CHECK(refused([](auto& m) { m.labels = {"two words"}; }) == "labels");
  CHECK(refused([](auto& m) { m.labels = {""}; }) == "labels");
  CHECK(refused([](auto& m) { m.labels.assign(65, "x"); }) == "labels");
  CHECK(refused([](auto& m) { m.labels = {std::string(65, 'x')}; }) == "labels");
  CHECK(refused([](auto& m) { m.platform = "linux/\x1b[2J"; }) == "platform");
  CHECK(refused([](auto& m) { m.emulates = {"a,b"}; }) == "platform");
  CHECK(refused([](auto& m) { m.machine = std::string(65, 'x'); }) == "machine");
  CHECK(refused([](auto&) {}).empty());
}

TEST_CASE("J71: where nobody can come from elsewhere, what builds want says nothing") {
  World world;
  world.hello("runner", 4);
  world.run(world.build(world.write(
      make_snapshot({{.name = "a", .platform = "linux/aarch64", .labels = {"big"}}}, {"a"}))));
  CHECK(names(world.out->take_jobs("runner")) == std::set<std::string>{"a"});
  CHECK(waiting(world).empty());
}

TEST_CASE("J72: what touches sources or caches is the session's own; its runner is asked for") {
  World world(listens);
  world.join("far", 4);
  world.run(world.build(world.write(make_snapshot({{.name = "a", .sources = true}}, {"a"}))));
  CHECK(world.out->runners_started == 1);
  CHECK(world.out->take_jobs("far").empty());
  world.pass(seconds(70));
  CHECK(world.outcome().empty());
  world.hello("runner");
  CHECK(world.work("runner").at(0) == "fetch:a");
}

TEST_CASE("J73: what no runner fits is said at once, and fails after a minute") {
  World world(listens);
  world.hello("runner");
  world.join("near", 2, [](auto& m) { m.labels = {"gpu"}; });
  (void)world.core->take_status_changed();
  world.run(world.build(world.write(
      make_snapshot({{.name = "a", .platform = "linux/aarch64", .labels = {"big", "gpu"}},
                     {.name = "b"},
                     {.name = "all", .build = {"a", "b"}}},
                    {"all"}))));
  CHECK(world.core->take_status_changed());
  CHECK(waiting(world) == "a waits for a runner: linux/aarch64 with the labels big, gpu");
  world.work("runner");
  world.work("near");
  pass(world, seconds(59), {"runner", "near"});
  CHECK(world.outcome().empty());
  SECTION("nobody comes") {
    pass(world, seconds(2), {"runner", "near"});
    CHECK(world.outcome() == "failure");
    const auto finished = world.out->of("job.finished");
    const auto& last = finished.back();
    REQUIRE(last.error);
    CHECK(last.error->reason == "no-runner");
    CHECK(last.error->message ==
          "No runner for it came within 60 seconds. It needs linux/aarch64 with the labels big, "
          "gpu");
    CHECK(last.detail.find("near: linux/x86-64 with the label gpu") != std::string::npos);
    CHECK(last.detail.find("runner: linux/x86-64") != std::string::npos);
    CHECK(waiting(world).empty());
  }
  SECTION("one comes") {
    world.join("far", 2, [](auto& m) {
      m.platform = "linux/aarch64";
      m.labels = {"big", "gpu"};
    });
    CHECK(world.work("far") == std::vector<std::string>{"build:a"});
    CHECK(waiting(world).empty());
  }
  SECTION("the time of a suspended session doesn't count") {
    world.core->suspend([](const Status&) {});
    world.pass(seconds(100));
    world.core->resume();
    pass(world, seconds(59), {"runner", "near"});
    CHECK(world.outcome().empty());
    pass(world, seconds(2), {"runner", "near"});
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("J74: what is built of something is built where that was made") {
  World world(listens);
  world.hello("runner", 1);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("one", 4, big);
  world.join("two", 4, big);
  const std::vector<std::string> labels{"big"};
  world.run(
      world.build(world.write(make_snapshot({{.name = "x", .labels = labels},
                                             {.name = "y", .labels = labels},
                                             {.name = "of-x", .build = {"x"}, .labels = labels},
                                             {.name = "of-y", .build = {"y"}, .labels = labels},
                                             {.name = "all", .build = {"of-x", "of-y"}}},
                                            {"all"}))));
  std::map<std::string, wire::Job> at;
  for (const char* const name : {"one", "two"}) {
    const auto jobs = world.out->take_jobs(name);
    REQUIRE(jobs.size() == 1);
    at[name] = jobs[0];
  }
  // The other one would be the first of equals both times.
  for (const char* const name : {"two", "one"}) {
    world.started(name, at[name].id);
    auto result = world.result_of(at[name]);
    result.artifact.emplace();
    result.uploaded = 1 << 20;
    result.storage_fetched = 1 << 10;
    result.storage_uploaded = 1 << 11;
    world.say(name, wire::Results{{result}});
    const auto next = world.out->take_jobs(name);
    REQUIRE(next.size() == 1);
    CHECK(name_of(next[0]) == "of-" + name_of(at[name]));
  }
  const auto list = world.core->runners();
  CHECK(info(list, "one")->done == 1);
  CHECK(info(list, "one")->uploaded == 1 << 20);
  CHECK(info(list, "one")->storage_fetched == 1 << 10);
  CHECK(info(list, "one")->storage_uploaded == 1 << 11);
  CHECK(info(list, "one")->waiting == 1);
}

TEST_CASE("J75: builders are this machine's; runners from elsewhere bring their slots") {
  World world(listens);
  auto snapshot = wide_snapshot(40);
  snapshot.settings.builders = 2;
  const auto file = world.write(std::move(snapshot));
  world.hello("runner", 2);
  world.join("far", 8);
  world.run(world.build(file));
  const auto far = world.out->take_jobs("far");
  const auto here = world.out->take_jobs("runner");
  CHECK(far.size() == 8 + kPrefill);
  CHECK(here.size() == 2 + kPrefill);
  // What somebody has set is for all of them.
  REQUIRE(world.core->set_limits({.builders = 3}));
  CHECK(world.out->take<wire::JobLimits>("far").empty());
  CHECK(world.out->take<wire::JobLimits>("runner").size() == 1);
  world.started("far", far.at(0).id);
  std::size_t held = world.core->model()->attempts.size();
  CHECK(held == 3);
}

TEST_CASE("J75, J99: what a machine that is cut off has in hand leaves our own slots free") {
  World world(listens);
  auto snapshot = wide_snapshot(40);
  snapshot.settings.builders = 4;
  const auto file = world.write(std::move(snapshot));
  world.join("cut", 16);
  world.run(world.build(file));
  const auto cut = world.out->take_jobs("cut");
  REQUIRE(cut.size() == 16 + kPrefill);
  const bool again = GENERATE(false, true);
  CAPTURE(again);
  if (again) {
    world.start();
  } else {
    world.core->disconnected("cut");
  }
  world.hello("runner", 4);
  // Those of the cut machine are in doubt: they are nobody else's.
  auto own = world.out->take_jobs("runner");
  REQUIRE(own.size() == 4 + kPrefill);
  for (std::size_t i = 0; i < 4; ++i) world.started("runner", own[i].id);
  CHECK(world.out->take<wire::Cancel>("runner").empty());
}

TEST_CASE("J75, J99: what is asked back for a slot is given to it") {
  World world(listens);
  auto snapshot = wide_snapshot(20);
  snapshot.settings.builders = 4;
  const auto file = world.write(std::move(snapshot));
  world.join("cut", 15);
  world.run(world.build(file));
  REQUIRE(world.out->take_jobs("cut").size() == 17);
  world.join("far", 1);
  const auto far = world.out->take_jobs("far");
  REQUIRE(far.size() == 3);
  world.started("far", far[0].id);
  world.core->disconnected("cut");
  world.hello("runner", 4);
  const auto asked = world.out->take<wire::Cancel>("far");
  REQUIRE(asked.size() == 1);
  REQUIRE(asked[0].jobs.size() == 2);
  for (const wire::JobId& id : asked[0].jobs) {
    wire::JobResult result;
    result.id = id;
    result.status = Outcome::kKilled;
    world.say("far", wire::Results{{result}});
  }
  CHECK(world.out->take_jobs("runner").size() == 2);
  CHECK(world.out->take_jobs("far").empty());
  CHECK(world.out->take<wire::Cancel>("far").empty());
}

TEST_CASE("J75, J99: our own runner's slots beyond the settings' builders are none that are free") {
  World world(listens);
  auto snapshot = wide_snapshot(6);
  snapshot.settings.builders = 1;
  const auto file = world.write(std::move(snapshot));
  // It was started when there were eight.
  world.hello("runner", 8);
  world.join("far", 1);
  world.run(world.build(file));
  const auto own = world.out->take_jobs("runner");
  const auto far = world.out->take_jobs("far");
  REQUIRE(own.size() == 1 + kPrefill);
  REQUIRE(far.size() == 1 + kPrefill);
  world.started("runner", own[0].id);
  world.started("far", far[0].id);
  CHECK(world.out->take<wire::Cancel>("runner").empty());
  CHECK(world.out->take<wire::Cancel>("far").empty());
  // What waits there waits as anywhere else.
  world.join("free", 4);
  const auto from_own = world.out->take<wire::Cancel>("runner");
  const auto from_far = world.out->take<wire::Cancel>("far");
  REQUIRE(from_own.size() == 1);
  CHECK(from_own[0].jobs == std::vector<wire::JobId>{own[2].id, own[1].id});
  REQUIRE(from_far.size() == 1);
  CHECK(from_far[0].jobs == std::vector<wire::JobId>{far[2].id, far[1].id});
}

TEST_CASE("J99: what waits at a runner goes to one that is free") {
  World world(listens);
  world.join("one", 1);
  world.run(world.build(world.write(wide_snapshot(3))));
  const auto first = world.out->take_jobs("one");
  REQUIRE(first.size() == 3);
  world.started("one", first[0].id);
  CHECK(world.out->take<wire::Cancel>("one").empty());
  const auto killed = [&](const wire::JobId& id) {
    wire::JobResult result;
    result.id = id;
    result.status = Outcome::kKilled;
    result.error = wire::ErrorBody{.domain = "job", .reason = "killed", .message = "killed"};
    world.say("one", wire::Results{{result}});
  };

  // One slot is free, so that one is asked for: the last. It is asked for once.
  world.join("two", 1);
  auto asked = world.out->take<wire::Cancel>("one");
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].unstarted);
  CHECK(asked[0].jobs == std::vector<wire::JobId>{first[2].id});
  world.say("one", wire::RunnerBeat{.running = {first[0].id}});
  CHECK(world.out->take<wire::Cancel>("one").empty());
  CHECK(world.out->take_jobs("two").empty());

  SECTION("it comes back, and is no loss") {
    for (std::uint32_t attempt = 1; attempt < 2 * kMaxGiven; ++attempt) {
      killed({first[2].id.job, attempt});
      const auto second = world.out->take_jobs("two");
      REQUIRE(second.size() == 1);
      CHECK(second[0].id == wire::JobId{first[2].id.job, attempt + 1});
      // It waits at the first again, and the second has a free slot again.
      world.say("two", wire::Drain{.why = "rests", .now = false, .returned = {second[0].id}});
      const auto third = world.out->take_jobs("one");
      REQUIRE(third.size() == 1);
      CHECK(third[0].id == wire::JobId{first[2].id.job, attempt + 2});
      ++attempt;
      world.say("two", wire::Goodbye{"rests"});
      world.join("two", 1, [&](auto& m) { m.hello.epoch = attempt + 1; });
      REQUIRE(world.out->take<wire::Cancel>("one").size() == 1);
    }
    CHECK(world.outcome().empty());
    CHECK(world.out->of("job.finished").empty());
  }
  SECTION("the connection breaks before it is read: it is asked for again") {
    const auto lists = [&](std::uint64_t connection) {
      world.join("one", 1, [&](auto& m) {
        m.connection = connection;
        m.running = {first[0].id};
        m.waiting = {first[1].id, first[2].id};
      });
    };
    lists(2);
    asked = world.out->take<wire::Cancel>("one");
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].unstarted);
    CHECK(asked[0].jobs == std::vector<wire::JobId>{first[2].id});
    // On the same one it is on its way.
    lists(2);
    CHECK(world.out->take<wire::Cancel>("one").empty());
    killed(first[2].id);
    CHECK(world.out->take_jobs("two").size() == 1);
  }
  SECTION("it has been started meanwhile, and stays") {
    world.started("one", first[2].id);
    CHECK(world.out->take_jobs("two").empty());
    // Now the other one may come, which still waits.
    asked = world.out->take<wire::Cancel>("one");
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].jobs == std::vector<wire::JobId>{first[1].id});
    killed(first[1].id);
    const auto second = world.out->take_jobs("two");
    REQUIRE(second.size() == 1);
    CHECK(second[0].id.job == first[1].id.job);
    // Whoever kills what it has started has lost it.
    killed(first[2].id);
    CHECK(world.core->model()->attempts.at(first[2].id.job).id.attempt == 2);
  }
  SECTION("not while builds are limited by somebody") {
    killed(first[2].id);
    REQUIRE(world.out->take_jobs("two").size() == 1);
    REQUIRE(world.core->set_limits({.builders = 2}));
    world.join("three", 4);
    for (const wire::Cancel& cancel : world.out->take<wire::Cancel>("one"))
      CHECK_FALSE(cancel.unstarted);
  }
}

TEST_CASE("J99: many that have nothing to give don't hide the one that has") {
  World world(listens);
  constexpr int kUploading = static_cast<int>(kLook) + 8;
  world.run(world.build(world.write(wide_snapshot(3 * kUploading + 3))));
  for (int i = 0; i < kUploading; ++i) {
    const std::string name = "a-" + std::to_string(i);
    world.join(name, 1);
    const auto jobs = world.out->take_jobs(name);
    REQUIRE(jobs.size() == 1 + kPrefill);
    // What has ended is being uploaded.
    for (const auto& job : jobs) world.started(name, job.id);
  }
  world.join("z-full", 1);
  const auto full = world.out->take_jobs("z-full");
  REQUIRE(full.size() == 1 + kPrefill);
  world.started("z-full", full[0].id);
  CHECK(world.out->take<wire::Cancel>("z-full").empty());
  world.join("z-free", 2);
  for (int i = 0; i < 3; ++i) world.core->tick();
  const auto asked = world.out->take<wire::Cancel>("z-full");
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].jobs == std::vector<wire::JobId>{full[2].id, full[1].id});
}

TEST_CASE("J99: it goes to nobody who may not do it") {
  World world(listens);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("one", 1, big);
  world.run(world.build(world.write(make_snapshot(
      {{.name = "a", .labels = {"big"}}, {.name = "b", .labels = {"big"}}, {"all", {"a", "b"}}},
      {"all"}))));
  REQUIRE(world.out->take_jobs("one").size() == 2);
  world.join("two", 4);
  CHECK(world.out->take<wire::Cancel>("one").empty());
  world.join("three", 4, big);
  CHECK(world.out->take<wire::Cancel>("one").size() == 1);
}

}  // namespace sluice::scheduler
