// Runners from elsewhere: who may do what, what is waited for, what is lost with a machine, who is
// sent away (spec/jobs.md, J40 and J70 to J79).
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

void listens(CoreOptions& options) { options.listens = true; }

std::set<std::string> names(const std::vector<wire::Job>& jobs) {
  std::set<std::string> out;
  for (const auto& job : jobs) out.insert(name_of(job));
  return out;
}

std::string waiting(const World& world) {
  return wire::decode_event(world.core->pack_status(false))->text;
}

// Time passes while these runners beat.
void pass(World& world, Duration time, const std::vector<std::string>& alive) {
  for (Duration gone{}; gone < time; gone += seconds(1)) {
    world.pass(seconds(1));
    for (const std::string& runner : alive) world.say(runner, wire::RunnerBeat{});
  }
}

const wire::RunnerInfo* info(const wire::RunnerList& list, const std::string& name) {
  for (const auto& runner : list.runners) {
    if (runner.name == name) return &runner;
  }
  return nullptr;
}

}  // namespace

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

TEST_CASE("J40: an attempt is lost with its machine: the second one ends it") {
  World world(listens);
  world.hello("runner");
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("one", 1, big);
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  const auto lose_at = [&](const std::string& runner) {
    const auto jobs = world.out->take_jobs(runner);
    REQUIRE(jobs.size() == 1);
    world.started(runner, jobs[0].id);
    world.say(runner, wire::Goodbye{"walltime"});
  };
  lose_at("one");
  CHECK(world.outcome().empty());
  SECTION("another machine") {
    world.join("two", 1, big);
    lose_at("two");
    CHECK(world.outcome() == "failure");
    const auto error = world.out->of("job.finished").back().error;
    REQUIRE(error);
    CHECK(error->reason == "runner-lost");
    CHECK(error->message == "The job was lost with 2 machines: host-of-one, host-of-two");
  }
  SECTION("the same machine, under other names, counts as ever") {
    for (const char* name : {"two", "three"}) {
      world.join(name, 1, [](auto& m) {
        m.labels = {"big"};
        m.machine = "machine-of-one";
      });
      CHECK(world.outcome().empty());
      lose_at(name);
    }
    CHECK(world.outcome() == "failure");
    CHECK(world.out->of("job.finished").back().error->message == "The job was lost 3 times");
  }
  SECTION("a scheduler that is started again knows") {
    world.start();
    world.hello("runner");
    world.join("two", 1, big);
    lose_at("two");
    CHECK(world.outcome() == "failure");
  }
}

TEST_CASE("J40: the machine is known of what a scheduler before gave, and of what has started") {
  World world(listens);
  world.hello("runner");
  world.join("one", 1, [](auto& m) { m.labels = {"big"}; });
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  world.started("one", world.out->take_jobs("one").at(0).id);
  world.start();
  world.pass(kReturn + seconds(1));  // nobody comes back (J96)
  world.hello("runner");
  world.join("two", 1, [](auto& m) { m.labels = {"big"}; });
  world.started("two", world.out->take_jobs("two").at(0).id);
  world.say("two", wire::Goodbye{});
  CHECK(world.outcome() == "failure");
  CHECK(world.out->of("job.finished").back().error->message ==
        "The job was lost with 2 machines: host-of-one, host-of-two");
}

TEST_CASE("J77: a runner whose first jobs all end in errors gets no more, and says why") {
  World world(listens);
  world.hello("runner", 1);
  world.join("bad", 4);
  auto snapshot = wide_snapshot(12);
  snapshot.settings.builders = 1;
  world.run(world.build(world.write(std::move(snapshot))));
  auto jobs = world.out->take_jobs("bad");
  REQUIRE(jobs.size() == 4 + kPrefill);
  for (int i = 0; i < 2; ++i)
    world.finish("bad", jobs[static_cast<std::size_t>(i)], Outcome::kError);
  CHECK(world.out->of("runner.quarantined").empty());
  for (auto& job : world.out->take_jobs("bad")) jobs.push_back(job);
  world.finish("bad", jobs[2], Outcome::kError);
  const auto said = world.out->of("runner.quarantined");
  REQUIRE(said.size() == 1);
  CHECK(said[0].level == "warn");
  REQUIRE(said[0].runner);
  CHECK(said[0].runner->name == "bad");
  CHECK(said[0].runner->why.find("Command failed") != std::string::npos);
  const auto list = world.core->runners();  // C22
  REQUIRE(info(list, "bad") != nullptr);
  CHECK(info(list, "bad")->quarantined == said[0].runner->why);
  // What it had not started is taken back, and nothing of what went wrong there has failed.
  CHECK_FALSE(world.out->take<wire::Cancel>("bad").empty());
  CHECK(world.out->take_jobs("bad").empty());
  CHECK(world.core->model()->failures.empty());
  // It comes back on another connection, and still gets nothing; another process may do better.
  world.join("bad", 4);
  world.core->tick();
  CHECK(world.out->take_jobs("bad").empty());
  world.work("runner");
  CHECK(world.outcome() == "success");
}

TEST_CASE("J74, J77: what a bad runner has lost goes to another, and never fails there alone") {
  const bool remote = GENERATE(false, true);
  const bool busy = GENERATE(false, true);  // the other one, until the last error
  CAPTURE(remote, busy);
  World world(listens);
  const auto with = [](const std::string& label) {
    return [label](wire::RunnerHello& m) { m.labels = {label}; };
  };
  std::vector<ElementSpec> specs{{.name = "before", .labels = {"other"}},
                                 {.name = "x", .build = {"before"}, .labels = {"big"}}};
  ElementSpec all{.name = "all", .build = {"x"}};
  for (int i = 0; i < 3 && busy; ++i) {
    specs.push_back({.name = "long-" + std::to_string(i), .labels = {"big"}});
    all.build.push_back(specs.back().name);
  }
  specs.push_back(all);
  world.hello("runner", 1);
  world.join("other", 1, with("other"));
  world.join("good", 1, with("big"));
  world.run(world.build(world.write(make_snapshot(specs, {"all"}))));
  const auto there = world.out->take_jobs("good");
  REQUIRE(there.size() == (busy ? 3 : 0));
  if (busy) world.started("good", there[0].id);
  // The first of equals.
  world.join("bad", 1, with("big"));
  if (busy) world.out->take<wire::Cancel>("good");
  world.work("other");
  int errors = 0;
  for (; errors < 5; ++errors) {
    const auto jobs = world.out->take_jobs("bad");
    if (jobs.empty()) break;
    REQUIRE(name_of(jobs[0]) == "x");
    world.started("bad", jobs[0].id);
    auto result = world.result_of(jobs[0], Outcome::kError);
    if (remote) {
      result.error = wire::ErrorBody{
          .domain = "remote", .reason = "unreachable", .message = "It can't be reached"};
    }
    world.say("bad", wire::Results{{result}});
  }
  CHECK(errors == (busy ? 3 : 1));
  CHECK(world.core->model()->failures.empty());
  for (const auto& job : there) world.finish("good", job);
  world.work("good");
  world.work("runner");
  CHECK(world.outcome() == "success");
}

TEST_CASE("J77: errors are the element's when they come twice, or from a runner that has built") {
  World world(listens);
  world.hello("runner", 1);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("one", 1, big);
  world.join("two", 1, big);
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  auto jobs = world.out->take_jobs("one");
  REQUIRE(jobs.size() == 1);
  world.finish("one", jobs[0], Outcome::kError);
  CHECK(world.outcome().empty());
  jobs = world.out->take_jobs("one");
  const std::string next = jobs.empty() ? "two" : "one";
  if (jobs.empty()) jobs = world.out->take_jobs("two");
  REQUIRE(jobs.size() == 1);
  // The error of another machine is told as it is.
  world.say(next, wire::Goodbye{});
  jobs = world.out->take_jobs(next == "one" ? "two" : "one");
  REQUIRE(jobs.size() == 1);
  world.finish(next == "one" ? "two" : "one", jobs[0], Outcome::kError);
  CHECK(world.outcome() == "failure");
  CHECK(world.out->of("job.finished").back().error->message == "Command failed");
}

TEST_CASE("J77: a machine without room gets no more, however much it has built") {
  for (const auto& [domain, reason] : {std::pair{"cas", "cache-too-full"},
                                       {"util", "enospc"},
                                       {"util", "edquot"},
                                       {"remote", "enospc"}}) {
    CAPTURE(reason);
    World world(listens);
    world.hello("runner", 1);
    world.join("full", 4);
    auto snapshot = wide_snapshot(12);
    snapshot.settings.builders = 1;
    world.run(world.build(world.write(std::move(snapshot))));
    auto jobs = world.out->take_jobs("full");
    REQUIRE(jobs.size() >= 4);
    world.finish("full", jobs[0]);
    for (std::size_t i = 1; i < 4; ++i) {
      CHECK(world.out->of("runner.quarantined").empty());
      world.started("full", jobs[i].id);
      auto result = world.result_of(jobs[i], Outcome::kError);
      result.error = wire::ErrorBody{.domain = domain, .reason = reason, .message = "No room"};
      world.say("full", wire::Results{{result}});
    }
    const auto said = world.out->of("runner.quarantined");
    REQUIRE(said.size() == 1);
    REQUIRE(said[0].runner);
    CHECK(said[0].runner->why == "its last 3 jobs ended in errors, the last one with: No room");
    // The session's own runner builds all of it.
    CHECK(world.core->model()->failures.empty());
    world.work("runner");
    CHECK(world.outcome() == "success");
  }
}

TEST_CASE("J102: of what a runner says no more is taken than anybody can read") {
  World world(listens);
  world.hello("runner", 1);
  world.join("far", 1);
  auto snapshot = make_snapshot({{.name = "a"}}, {"a"});
  snapshot.settings.builders = 1;
  world.run(world.build(world.write(std::move(snapshot))));
  auto jobs = world.out->take_jobs("far");
  const std::string name = jobs.empty() ? "runner" : "far";
  if (jobs.empty()) jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 1);
  world.started(name, jobs[0].id);
  auto result = world.result_of(jobs[0], Outcome::kFailure);
  result.artifact_message = {};
  result.error =
      wire::ErrorBody{"element", "command", std::string(9 << 20, 'm'), std::string(9 << 20, 'd')};
  result.log_tail = std::string(9 << 20, 't');
  world.say(name, wire::Results{{result}});
  REQUIRE(world.outcome() == "failure");
  const auto finished = world.out->of("job.finished");
  REQUIRE(finished.size() == 1);
  REQUIRE(finished[0].error);
  CHECK(finished[0].error->message.size() == wire::kMostErrorText);
  CHECK(finished[0].error->message.ends_with("mm[...]"));
  CHECK(finished[0].detail.size() <= wire::kMostErrorText);

  // A host that is none is refused, and so never becomes a part of records.
  for (const std::string& host : {std::string(256, 'h'), std::string("h\x1b[2J")}) {
    world.join("liar", 1, [&](auto& hello) { hello.host = host; });
    const auto refused = world.out->take<wire::Refused>("liar");
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].reason == "host");
  }
  world.join("liar", 1, [&](auto& hello) { hello.host = std::string(255, 'h'); });
  CHECK(world.out->take<wire::Refused>("liar").empty());
}

TEST_CASE("J45: what the session's store has lost is built again, and no runner's fault") {
  World world(listens);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.hello("runner", 1);
  world.join("one", 1, big);
  world.join("two", 1, big);
  world.join("third", 1, [](auto& m) { m.labels = {"base"}; });
  world.store.add("base");
  world.run(world.build(
      world.write(make_snapshot({{.name = "base", .labels = {"base"}},
                                 {.name = "x", .build = {"base"}, .labels = {"big"}},
                                 {.name = "y", .build = {"base"}, .labels = {"big"}},
                                 {.name = "all", .build = {"x", "y"}, .labels = {"big"}}},
                                {"all"}))));
  const auto missing = [&](const std::string& runner, const wire::Job& job) {
    world.started(runner, job.id);
    auto result = world.result_of(job, Outcome::kError);
    result.error = wire::ErrorBody{
        .domain = "remote", .reason = "missing-input", .message = "The session lacks it"};
    world.say(runner, wire::Results{{result}});
  };
  const auto runner = GENERATE(values<std::string>({"one", "two"}));
  const std::string other = runner == "one" ? "two" : "one";
  // More often than a machine may lose what it has started; and both miss it at a time.
  for (std::uint32_t attempt = 1; attempt <= kMaxAttempts + 1; ++attempt) {
    CAPTURE(attempt);
    const auto first = world.out->take_jobs(runner);
    const auto second = world.out->take_jobs(other);
    REQUIRE(first.size() == 1);
    REQUIRE(second.size() == 1);
    world.store.artifacts.erase(key_of("base"));
    missing(runner, first[0]);
    missing(other, second[0]);
    CHECK(world.out->take_jobs(runner).empty());
    CHECK(world.out->take_jobs(other).empty());
    CHECK(world.work("third") == std::vector<std::string>{"build:base"});
  }
  CHECK(world.core->model()->failures.empty());
  CHECK(world.out->of("runner.quarantined").empty());
  for (const char* const name : {"one", "two", "one", "two"}) world.work(name);
  CHECK(world.outcome() == "success");
}

TEST_CASE("J87: no runner is put in quarantine for what is wrong with the session's store") {
  World world(listens);
  const bool full = GENERATE(false, true);
  CAPTURE(full);
  world.hello("runner", 1);
  world.join("far", 4);
  auto snapshot = wide_snapshot(12);
  snapshot.settings.builders = 1;
  world.run(world.build(world.write(std::move(snapshot))));
  const auto jobs = world.out->take_jobs("far");
  REQUIRE(jobs.size() >= 4);
  for (std::size_t i = 0; i < 4; ++i) {
    world.started("far", jobs[i].id);
    auto result = world.result_of(jobs[i], full ? Outcome::kError : Outcome::kSuccess);
    if (full) {
      result.error = wire::ErrorBody{.domain = "remote", .reason = "full", .message = "No room"};
    } else {
      world.store.artifacts.erase(key_of(name_of(jobs[i])));
      result.artifact_message = {"no room here", 1};
    }
    world.say("far", wire::Results{{result}});
  }
  CHECK(world.out->of("runner.quarantined").empty());
  // What can't be taken for want of room here is said of the element, as when it were built here.
  CHECK(world.core->model()->failures.size() == (full ? 0 : 4));
  if (full) return;
  const auto finished = world.out->of("job.finished");
  REQUIRE_FALSE(finished.empty());
  REQUIRE(finished.back().error);
  CHECK(finished.back().error->reason == "enospc");
}

TEST_CASE("J78: what a runner gives back is given to another at once, and is no loss") {
  World world(listens);
  world.hello("runner", 1);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("one", 1, big);
  std::vector<ElementSpec> specs;
  for (int i = 0; i < 3; ++i) specs.push_back({.name = std::to_string(i), .labels = {"big"}});
  specs.push_back({.name = "all", .build = {"0", "1", "2"}});
  world.run(world.build(world.write(make_snapshot(specs, {"all"}))));
  for (int round = 0; round < 25; ++round) {
    const std::string name = round % 2 == 0 ? "one" : "two";
    const std::string other = round % 2 == 0 ? "two" : "one";
    auto jobs = world.out->take_jobs(name);
    REQUIRE(jobs.size() == 3);
    world.join(other, 1, [&](auto& m) {
      m.labels = {"big"};
      m.hello.epoch = static_cast<std::uint64_t>(round) + 2;
    });
    wire::Drain drain{.why = "walltime", .now = false, .returned = {}};
    for (const auto& job : jobs) drain.returned.push_back(job.id);
    drain.returned.push_back({77, 1});  // which it never had
    world.say(name, drain);
    world.say(name, wire::Goodbye{"walltime"});
    CHECK(world.out->of("runner.left").size() == static_cast<std::size_t>(round) + 1);
  }
  CHECK(world.core->model()->failures.empty());
  world.work("two");
  CHECK(world.outcome().empty());
  world.work("runner");
  CHECK(world.outcome() == "success");
}

TEST_CASE(
    "J78: one that drains finishes what it has begun; the session is told who comes and goes") {
  World world(listens);
  world.hello("runner", 1);
  world.join("one", 2, [](auto& m) { m.labels = {"big"}; });
  const auto joined = world.out->of("runner.joined");
  REQUIRE(joined.size() == 1);
  REQUIRE(joined[0].runner);
  CHECK(joined[0].runner->machine == "machine-of-one");
  CHECK(joined[0].runner->slots == 2);
  CHECK(joined[0].text == "Runner one joined: host-of-one, linux/x86-64, 2 slots");
  world.join("one", 2, [](auto& m) { m.labels = {"big"}; });  // the same again is no news
  CHECK(world.out->of("runner.joined").size() == 1);
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}},
                                                   {.name = "b", .labels = {"big"}},
                                                   {.name = "all", .build = {"a", "b"}}},
                                                  {"all"}))));
  const auto jobs = world.out->take_jobs("one");
  REQUIRE(jobs.size() == 2);
  world.started("one", jobs[0].id);
  // C23
  CHECK(world.core->send_away("nobody", false).error().message ==
        "There is no runner 'nobody': there are one");
  CHECK(world.core->send_away("runner", true).error().reason == "own-runner");
  REQUIRE(world.core->send_away("one", false));
  const auto told = world.out->take<wire::Drain>("one");
  REQUIRE(told.size() == 1);
  CHECK_FALSE(told[0].now);
  CHECK(info(world.core->runners(), "one")->draining);
  CHECK(waiting(world).empty());
  // It says so itself, gives back what it has not begun, and that too it may not give back.
  world.say("one", wire::Drain{.why = "", .now = false, .returned = {jobs[0].id, jobs[1].id}});
  CHECK(waiting(world) == "b waits for a runner: any platform with the label big");
  // The connection breaks: it is told again.
  world.join("one", 2, [&](auto& m) {
    m.labels = {"big"};
    m.running = {jobs[0].id};
  });
  CHECK(world.out->take<wire::Drain>("one").size() == 1);
  CHECK(world.out->take_jobs("one").empty());
  world.say("one", wire::Results{{world.result_of(jobs[0])}});
  CHECK(world.store.artifacts.size() == 1);
  world.say("one", wire::Goodbye{"drained"});
  const auto left = world.out->of("runner.left");
  REQUIRE(left.size() == 1);
  CHECK(left[0].runner->why == "drained");
  CHECK(info(world.core->runners(), "one") == nullptr);
  // One that is gone without a word is said, too.
  world.join("two", 2);
  world.pass(seconds(20));
  REQUIRE(world.out->of("runner.left").size() == 2);
  CHECK(world.out->of("runner.left")[1].text.starts_with("Runner two left: nothing was heard"));
}

TEST_CASE("J78: what ends with runners that are told to leave at once is no loss") {
  World world(listens);
  world.hello("runner", 1);
  const auto how = GENERATE(values<std::string>({"killed", "goodbye", "silence", "again"}));
  CAPTURE(how);
  const auto big = [](auto& m) { m.labels = {"big"}; };
  world.join("machine-0", 1, big);
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  // More machines than may die of it, and more attempts than may be lost.
  for (std::uint32_t i = 0; i < kMaxGiven + 5; ++i) {
    const std::string name = "machine-" + std::to_string(i);
    const auto jobs = world.out->take_jobs(name);
    REQUIRE(jobs.size() == 1);
    world.started(name, jobs[0].id);
    REQUIRE(world.core->send_away(name, true));
    if (how == "killed") {
      wire::JobResult result;
      result.id = jobs[0].id;
      result.status = Outcome::kKilled;
      result.error = wire::ErrorBody{.domain = "job", .reason = "killed", .message = "killed"};
      world.say(name, wire::Results{{result}});
    } else if (how == "goodbye") {
      world.say(name, wire::Goodbye{"stopped"});
    } else if (how == "silence") {
      world.core->disconnected(name);
      pass(world, seconds(12), {"runner"});
    } else {
      // Another process of that name comes before the lease has ended, and may die like any.
      world.join(name, 1, [&](auto& m) {
        big(m);
        m.hello.epoch = 2;
        m.draining = true;
      });
    }
    world.join("machine-" + std::to_string(i + 1), 1, big);
  }
  CHECK(world.core->model()->failures.empty());
  // Without having been told, the second machine ends it as ever.
  for (std::uint32_t i = kMaxGiven + 5; i < kMaxGiven + 7; ++i) {
    const std::string name = "machine-" + std::to_string(i);
    CHECK(world.outcome().empty());
    const auto jobs = world.out->take_jobs(name);
    REQUIRE(jobs.size() == 1);
    world.started(name, jobs[0].id);
    world.say(name, wire::Goodbye{"walltime"});
    world.join("machine-" + std::to_string(i + 1), 1, big);
  }
  CHECK(world.outcome() == "failure");
}

TEST_CASE("J78: one that says in its HELLO that it drains gets nothing") {
  World world(listens);
  world.hello("runner", 1);
  world.join("one", 2, [](auto& m) {
    m.labels = {"big"};
    m.draining = true;
  });
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  CHECK(world.out->take_jobs("one").empty());
  CHECK_FALSE(waiting(world).empty());
}

TEST_CASE("J76: who builds otherwise is refused with both fingerprints, unless that is allowed") {
  bool allowed = false;
  SECTION("refused") {}
  SECTION("allowed") { allowed = true; }
  World world([&](CoreOptions& options) {
    options.listens = true;
    options.allow_skew = allowed;
    options.fingerprint = [] { return std::string("rules 1, bubblewrap 0.8.0"); };
  });
  world.join("same", 1, [](auto& m) { m.fingerprint = "rules 1, bubblewrap 0.8.0"; });
  CHECK(world.out->take<wire::Welcome>("same").size() == 1);
  world.join("other", 1, [](auto& m) { m.fingerprint = "rules 1, bubblewrap \n0.4.1"; });
  const auto refused = world.out->take<wire::Refused>("other");
  REQUIRE(refused.size() == (allowed ? 0 : 1));
  if (!allowed) {
    CHECK(refused[0].reason ==
          "skew: other has rules 1, bubblewrap ?0.4.1, the session has rules 1, bubblewrap 0.8.0");
  }
  // The session's own runner is the same program on the same machine.
  world.hello("runner");
  CHECK(world.out->take<wire::Welcome>("runner").size() == 1);
}

TEST_CASE("J79: no clock of a runner's is compared with anybody else's") {
  World world(listens);
  world.hello("runner", 1);
  world.join("late", 1, [](auto& m) { m.labels = {"big"}; });
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  const auto job = world.out->take_jobs("late").at(0);
  const std::int64_t hour = Duration(hours(1)).count();
  world.say("late", wire::Started{{{job.id, 1, world.clock.wall_ns() - 3 * hour}}});
  for (int i = 0; i < 30; ++i) {
    world.pass(seconds(1));
    world.say("late", wire::RunnerBeat{{job.id}, false, {}});
  }
  CHECK(world.core->model()->attempts.size() == 1);
  const auto started = world.out->of("job.started");
  CHECK(started.back().job->started >= started.back().session->started);
  auto result = world.result_of(job);
  result.elapsed = -5 * hour;
  world.say("late", wire::Results{{result}});
  CHECK(world.outcome() == "success");
  CHECK(world.out->of("job.finished").back().elapsed == 0);
}

}  // namespace sluice::scheduler
