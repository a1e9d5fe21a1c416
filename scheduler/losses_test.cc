// Runners from elsewhere: what is lost with a machine, what counts against whom, who is sent away
// (spec/jobs.md, J40, J45, J76 to J79, J87, J102).
#include <limits>

#include "scheduler/elsewhere_world.h"

namespace sluice::scheduler {

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
  const std::int64_t hour = Duration(hours(1)).count();
  // Nobody adds up what no job can take.
  const auto [said, taken] = GENERATE_COPY(table<std::int64_t, std::int64_t>(
      {{-5 * hour, 0}, {std::numeric_limits<std::int64_t>::max(), 30 * 24 * hour}}));
  World world(listens);
  world.hello("runner", 1);
  world.join("late", 1, [](auto& m) { m.labels = {"big"}; });
  world.run(world.build(world.write(make_snapshot({{.name = "a", .labels = {"big"}}}, {"a"}))));
  const auto job = world.out->take_jobs("late").at(0);
  world.say("late", wire::Started{{{job.id, 1, world.clock.wall_ns() - 3 * hour}}});
  for (int i = 0; i < 30; ++i) {
    world.pass(seconds(1));
    world.say("late", wire::RunnerBeat{{job.id}, false, {}});
  }
  CHECK(world.core->model()->attempts.size() == 1);
  const auto started = world.out->of("job.started");
  CHECK(started.back().job->started >= started.back().session->started);
  auto result = world.result_of(job);
  result.elapsed = result.cpu = said;
  world.say("late", wire::Results{{result}});
  CHECK(world.outcome() == "success");
  const auto finished = world.out->of("job.finished").back();
  CHECK(finished.elapsed == taken);
  REQUIRE(finished.usage);
  CHECK(finished.usage->cpu == taken);
}

}  // namespace sluice::scheduler
