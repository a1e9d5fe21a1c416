// The jobs link (spec/jobs.md): each test says which SHALLs it checks.
#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::size_t finished(const World& world, const std::string& outcome) {
  std::size_t count = 0;
  for (const auto& event : world.out->of("job.finished")) count += event.outcome == outcome ? 1 : 0;
  return count;
}

std::vector<wire::JobId> results_of(const std::vector<wire::JobResult>& results) {
  std::vector<wire::JobId> out;
  for (const auto& result : results) out.push_back(result.id);
  return out;
}

std::vector<wire::JobId> ids(const std::vector<wire::Job>& jobs) {
  std::vector<wire::JobId> out;
  for (const auto& job : jobs) out.push_back(job.id);
  return out;
}

}  // namespace

TEST_CASE("J11, J12: who is welcomed and who is refused") {
  World world;
  wire::RunnerHello hello;
  hello.hello.protocol = "jobs/1";
  hello.hello.role = "runner";
  hello.hello.instance = "runner";
  hello.hello.epoch = 7;
  hello.slots = 2;
  world.say("runner", hello);
  const auto welcome = world.out->take<wire::Welcome>("runner");
  REQUIRE(welcome.size() == 1);
  CHECK(welcome[0].session == "s1");
  CHECK(welcome[0].epoch == world.epoch);
  CHECK(welcome[0].heartbeat_ms == 1000);
  CHECK(welcome[0].lease_ms == 10000);
  const auto refused = [&](auto&& change, const std::string& as = "runner") {
    auto wrong = hello;
    change(wrong);
    world.say(as, wrong);
    const auto answers = world.out->take<wire::Refused>(as);
    CHECK(world.out->take<wire::Welcome>(as).empty());
    return answers.empty() ? "" : answers[0].reason;
  };
  CHECK(refused([](auto& m) { m.hello.protocol = "jobs/2"; }) == "protocol");
  CHECK(refused([](auto& m) { m.hello.role = "client"; }) == "role");
  CHECK(refused([](auto& m) { m.slots = 0; }) == "slots");
  CHECK(refused([](auto& m) { m.hello.epoch = 6; }) == "stale-epoch");
  CHECK(refused([](auto& m) { m.hello.instance.clear(); }, "somebody else") == "instance");
  CHECK(refused([](auto& m) { m.hello.instance = std::string(65, 'x'); }, "somebody else") ==
        "instance");
  CHECK(refused([](auto& m) { m.hello.instance = "runner 3"; }, "somebody else") == "instance");
  CHECK(refused([](auto& m) { m.hello.instance = "runner-2"; }) == "instance");
  CHECK(refused([](auto& m) { m.hello.epoch = 6; }, "somebody else") == "stale-epoch");
}

TEST_CASE("J2, J15: what is malformed is dropped and counted; strangers are asked for HELLO") {
  World world;
  world.core->on_message("stranger", {"RESULT", "x"});
  CHECK(world.out->take<wire::Refused>("stranger").at(0).reason == wire::kNoHello);
  world.hello("runner");
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto jobs = world.out->take_jobs("runner");
  const auto before = world.core->malformed();
  world.core->on_message("runner", {});
  world.core->on_message("runner", {"RESULT"});
  world.core->on_message("runner", {"RESULT", "\xc1"});
  world.core->on_message("runner", {"RESULT", wire::encode(wire::Started{})});
  world.core->on_message("runner", {"DANCE", "\x80"});
  world.core->on_message("runner", {"HELLO", "\x80"});
  world.core->on_message("runner", {"RESULT", "\x80", "more"});
  CHECK(world.core->malformed() == before + 7);
  // Nothing has changed by it.
  world.finish("runner", jobs[0]);
  CHECK(world.work("runner") == std::vector<std::string>{"build:all"});
  CHECK(world.outcome() == "success");
}

TEST_CASE("J46: the scheduler asks each runner, a thousand of them half as often") {
  World world;
  const auto asked = [&](int runners) {
    for (int i = 0; i < runners; ++i) world.hello("runner-" + std::to_string(i));
    std::size_t beats = 0;
    for (int i = 0; i < 40; ++i) {
      world.clock.advance(milliseconds(250));
      for (int each = 0; each < runners; ++each)
        world.say("runner-" + std::to_string(each), wire::RunnerBeat{});
      world.core->tick();
      beats += world.out->take<wire::Heartbeat>("runner-0").size();
      world.out->sent.clear();
    }
    return beats;
  };
  CHECK(asked(2) == 10);
  CHECK(asked(500) == 10);
  CHECK(asked(1000) == 5);
  CHECK(asked(1500) == 5);
}

TEST_CASE("J17: a runner whose connection is gone gets nothing, and keeps what it has") {
  World world;
  world.hello("one", 1);
  world.run(world.build(world.write(wide_snapshot(8))));
  const auto first = world.out->take_jobs("one");
  REQUIRE(first.size() == 1 + kPrefill);
  world.started("one", first[0].id);
  world.hello("other", 1);
  world.core->disconnected("one");
  world.core->disconnected("somebody else");
  const auto done = world.work("other");
  CHECK(world.out->take_jobs("one").empty());
  CHECK(done.size() == 8 - first.size());
  CHECK(finished(world, "success") == done.size());
  SECTION("it connects again, and has lost nothing") {
    wire::RunnerHello hello;
    hello.hello.protocol = "jobs/1";
    hello.hello.role = "runner";
    hello.hello.instance = "one";
    hello.hello.epoch = 1;
    hello.slots = 1;
    hello.connection = 2;
    hello.running = {first[0].id};
    hello.waiting = {first[1].id, first[2].id};
    world.say("its new connection", hello);
    CHECK(world.out->take<wire::Cancel>("its new connection").empty());
    for (const auto& job : first)
      world.say("its new connection", wire::Results{{world.result_of(job)}});
    const auto last = world.out->take_jobs("its new connection");
    CHECK(world.work("other").size() + last.size() == 1);
    for (const auto& job : last)
      world.say("its new connection", wire::Results{{world.result_of(job)}});
  }
  SECTION("what could not be sent is given to others at once") {
    wire::JobBatch batch;
    batch.jobs = {first[1], first[2]};
    batch.jobs[1].id.attempt = 7;  // not current
    world.core->disconnected("one", wire::encode(batch));
    const auto again = world.out->take_jobs("other");
    REQUIRE(again.size() == 1);
    CHECK(again[0].id == wire::JobId{first[1].id.job, 2});
    world.finish("other", again[0]);
    world.pass(seconds(6));
    world.say("other", wire::RunnerBeat{});
    world.pass(seconds(6));
    CHECK(world.work("other").size() == first.size());
  }
  SECTION("it stays away") {
    // The leases end, and what it had is given again.
    world.pass(seconds(6));
    world.say("other", wire::RunnerBeat{});
    world.pass(seconds(6));
    CHECK(world.work("other").size() == first.size() + 1);
  }
  CHECK(world.outcome() == "success");
}

TEST_CASE("J17: what could not be sent is no loss, however often") {
  World world;
  world.run(world.build(world.write(wide_snapshot(1))));
  for (int i = 0; i < 25; ++i) {
    const std::string runner = "runner-" + std::to_string(i);
    world.hello(runner, 1);
    wire::JobBatch batch;
    batch.jobs = world.out->take_jobs(runner);
    REQUIRE(batch.jobs.size() == 1);
    world.core->disconnected(runner, wire::encode(batch));
  }
  world.hello("last", 1);
  CHECK(world.work("last").size() == 2);
  CHECK(world.outcome() == "success");
}

TEST_CASE("J22, J23: credit") {
  World world;
  world.hello("runner", 2);
  world.run(world.build(world.write(wide_snapshot(20))));
  CHECK(world.out->take_jobs("runner").size() == 2 + kPrefill);
}

TEST_CASE("J28: results that come twice, too late, or from somebody else change nothing") {
  World world;
  world.hello("runner");
  world.hello("other");
  world.run(world.build(world.write(wide_snapshot(1))));
  auto jobs = world.out->take_jobs("runner");
  const std::string owner = jobs.empty() ? "other" : "runner";
  const std::string thief = jobs.empty() ? "runner" : "other";
  if (jobs.empty()) jobs = world.out->take_jobs("other");
  REQUIRE(jobs.size() == 1);
  auto result = world.result_of(jobs[0]);
  world.say(thief, wire::Results{{result}});
  CHECK(finished(world, "success") == 0);
  CHECK(world.out->take<wire::ResultAck>(thief).at(0).jobs.size() == 1);
  world.say(owner, wire::Results{{result, result}});
  world.say(owner, wire::Results{{result}});
  CHECK(finished(world, "success") == 1);
  CHECK(world.out->take<wire::ResultAck>(owner).size() == 2);
  result.id = {4711, 1};
  world.say(owner, wire::Results{{result}});
  CHECK(world.out->take<wire::ResultAck>(owner).at(0).jobs == std::vector<wire::JobId>{{4711, 1}});
}

TEST_CASE("J29, J30: what a result must say") {
  World world;
  world.hello("runner");
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto jobs = world.out->take_jobs("runner");
  wire::JobResult result;
  result.id = jobs[0].id;
  SECTION("success without an artifact in the store") { result.status = Outcome::kSuccess; }
  SECTION("another status") {
    result.status = Outcome::kSkipped;
    std::string packed = wire::encode(result);
    packed.replace(packed.find("skipped"), 7, "another");
    result = wire::decode<wire::JobResult>(packed).value();
    CHECK(result.status == Outcome::kError);
  }
  world.say("runner", wire::Results{{result}});
  CHECK(finished(world, "error") == 1);
  CHECK(world.outcome() == "failure");
}

TEST_CASE("J13, J14: HELLO again adopts what it lists and loses what it does not") {
  World world;
  world.hello("runner", 2);
  world.run(world.build(world.write(wide_snapshot(4))));
  const auto jobs = world.out->take_jobs("runner");
  REQUIRE(jobs.size() == 4);
  world.started("runner", jobs[0].id);
  SECTION("without an outbox at once") {
    world.hello("runner", 2, {jobs[0].id}, {jobs[1].id, {99, 9}});
    CHECK(world.out->take<wire::Cancel>("runner").at(0).jobs == std::vector<wire::JobId>{{99, 9}});
    const auto again = world.out->take_jobs("runner");
    REQUIRE(again.size() == 2);
    CHECK(again[0].id == wire::JobId{jobs[2].id.job, 2});
    CHECK(again[1].id == wire::JobId{jobs[3].id.job, 2});
    world.finish("runner", jobs[0]);
    world.finish("runner", jobs[1]);
    world.finish("runner", again[0]);
    world.finish("runner", again[1]);
  }
  SECTION("what it has ended is not lost, though its result is still to come") {
    world.hello("runner", 2, {jobs[0].id}, {jobs[1].id}, {jobs[2].id});
    const auto again = world.out->take_jobs("runner");
    REQUIRE(again.size() == 1);
    CHECK(again[0].id == wire::JobId{jobs[3].id.job, 2});
    world.pass(seconds(8));
    world.say("runner", wire::RunnerBeat{{jobs[0].id}, false, {jobs[2].id}});
    world.pass(seconds(8));
    CHECK(world.out->take_jobs("runner").empty());
    world.say("runner", wire::Results{{world.result_of(jobs[2])}});
    world.finish("runner", jobs[0]);
    world.finish("runner", jobs[1]);
    world.finish("runner", again[0]);
  }
  SECTION("one that was said on the same connection before the jobs came loses nothing") {
    world.hello("other", 2);
    wire::RunnerHello hello;
    hello.hello = {.protocol = "jobs/1", .role = "runner", .instance = "other", .epoch = 1};
    hello.slots = 2;
    hello.connection = 2;
    world.say("other", hello);
    world.hello("runner", 2, {jobs[0].id}, {jobs[1].id, jobs[2].id});
    const auto given = world.out->take_jobs("other");
    REQUIRE(given.size() == 1);
    world.say("other", hello);
    CHECK(world.out->take_jobs("other").empty());
    hello.connection = 3;
    world.say("other", hello);
    const auto again = world.out->take_jobs("other");
    REQUIRE(again.size() == 1);
    CHECK(again[0].id == wire::JobId{given[0].id.job, given[0].id.attempt + 1});
    world.finish("other", again[0]);
    for (int i = 0; i < 3; ++i) world.finish("runner", jobs[i]);
  }
  SECTION("a STARTED that was lost is made up for") {
    world.hello("runner", 2, {jobs[0].id, jobs[1].id}, {jobs[2].id, jobs[3].id});
    CHECK(world.out->of("job.started").size() == 2);
    for (const auto& job : jobs) world.finish("runner", job);
  }
  CHECK(world.out->of("job.started").size() == 4);
  world.work("runner");
  world.work("other");
  CHECK(finished(world, "success") == 5);
  CHECK(world.outcome() == "success");
}

TEST_CASE("J40, J41, J42: leases, fencing, and what a runner that comes back is told") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto jobs = world.out->take_jobs("runner");
  world.started("runner", jobs[0].id);
  for (int i = 0; i < 30; ++i) {
    world.pass(seconds(1));
    world.say("runner", wire::RunnerBeat{{jobs[0].id}, false});
  }
  CHECK(world.out->of("job.message").empty());
  // Silent now. Its job goes to another runner, fenced by its attempt.
  world.pass(seconds(5));
  world.hello("other", 1);
  CHECK(world.out->take_jobs("other").empty());
  for (int i = 0; i < 6; ++i) {
    world.pass(seconds(1));
    world.say("other", wire::RunnerBeat{{}, false});
  }
  const auto again = world.out->take_jobs("other");
  REQUIRE(again.size() == 1);
  CHECK(again[0].id == wire::JobId{jobs[0].id.job, 2});
  // The first runner was only cut off. It says HELLO, is told, and its result is dropped.
  world.hello("runner", 1, {jobs[0].id});
  const auto cancels = world.out->take<wire::Cancel>("runner");
  REQUIRE_FALSE(cancels.empty());
  CHECK(cancels.back().jobs == std::vector<wire::JobId>{jobs[0].id});
  world.say("runner", wire::Results{{world.result_of(jobs[0], Outcome::kFailure)}});
  CHECK(finished(world, "failure") == 0);
  world.finish("other", again[0]);
  world.work("other");
  world.work("runner");
  CHECK(world.outcome() == "success");
  CHECK(finished(world, "success") == 2);
}

TEST_CASE(
    "J40: a job that is lost three times fails, with the reason; one that only waited is no "
    "party") {
  World world;
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto lose = [&](std::uint64_t epoch, bool start) {
    REQUIRE(world.outcome().empty());
    world.hello("runner", 1, {}, {}, {}, epoch);
    const auto jobs = world.out->take_jobs("runner");
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].id.attempt == epoch);
    if (start) world.started("runner", jobs[0].id);
    world.core->runner_died("runner", epoch);
  };
  SECTION("started") {
    for (std::uint64_t epoch = 1; epoch <= 4; ++epoch) lose(epoch, false);
    CHECK(world.out->of("job.message").empty());
    for (std::uint64_t epoch = 5; epoch < 5 + kMaxAttempts; ++epoch) lose(epoch, true);
    CHECK(world.out->of("job.message").size() == kMaxAttempts - 1);
  }
  SECTION("never started") {
    for (std::uint64_t epoch = 1; epoch <= kMaxGiven; ++epoch) lose(epoch, false);
  }
  // What the last process had, its successor hasn't.
  world.hello("runner", 1, {}, {}, {}, 99);
  CHECK(world.outcome() == "failure");
  CHECK(world.out->of("job.finished").at(0).error->reason == "runner-lost");
}

TEST_CASE("killed though nobody asked counts as lost") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto jobs = world.out->take_jobs("runner");
  world.finish("runner", jobs[0], Outcome::kKilled);
  CHECK(world.out->take_jobs("runner").at(0).id.attempt == 2);
}

TEST_CASE("J44: a scheduler that was stopped grants leases anew before it judges") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(world.write(wide_snapshot(1))));
  const auto jobs = world.out->take_jobs("runner");
  world.started("runner", jobs[0].id);
  world.clock.advance(seconds(60));
  world.core->tick();
  CHECK(world.out->of("job.message").empty());
  world.pass(seconds(9));
  CHECK(world.out->of("job.message").empty());
  // But a runner that is silent from then on is judged.
  world.pass(seconds(2));
  CHECK(world.out->of("job.message").size() == 1);
}

TEST_CASE("J50, J51: suspension freezes leases and time, and is confirmed by the runners") {
  World world;
  world.hello("runner", 1);
  world.run(world.build(world.write(wide_snapshot(2))));
  const auto jobs = world.out->take_jobs("runner");
  world.started("runner", jobs[0].id);
  world.pass(seconds(3));
  std::optional<Status> done;
  world.core->suspend([&](Status status) { done = status; });
  CHECK(world.out->take<wire::Suspend>("runner").size() == 1);
  CHECK_FALSE(done);
  world.say("runner", wire::Suspend{});
  REQUIRE(done);
  CHECK(done->has_value());
  world.pass(seconds(100));
  CHECK(world.out->of("job.message").empty());
  // J51: who comes meanwhile is told, and given nothing.
  world.hello("other", 4);
  CHECK(world.out->take<wire::Suspend>("other").size() == 1);
  CHECK(world.out->take_jobs("other").empty());
  // Twice is once.
  done.reset();
  world.say("other", wire::Suspend{});
  world.core->suspend([&](Status status) { done = status; });
  REQUIRE(done);
  CHECK(done->has_value());

  world.core->resume();
  CHECK(world.out->take<wire::Resume>("runner").size() == 1);
  world.pass(seconds(1));
  world.finish("runner", jobs[0]);
  const auto event = world.out->of("job.finished").at(0);
  CHECK(event.session->elapsed == 4'000'000'000);
  CHECK(world.out->of("session.suspended").size() == 1);
  CHECK(world.out->of("session.resumed").size() == 1);
  CHECK(world.out->of("session.suspended")[0].session->state == "suspended");
}

TEST_CASE("a runner that doesn't confirm the suspension is named after a deadline") {
  World world;
  world.hello("runner", 1);
  std::optional<Status> done;
  world.core->suspend([&](Status status) { done = status; });
  world.pass(kSuspendDeadline + seconds(1));
  REQUIRE(done);
  REQUIRE_FALSE(done->has_value());
  CHECK(done->error().message.find("runner") != std::string::npos);
}

TEST_CASE("J60: the end cancels what runs, tells the runners, and answers late registrations") {
  World world;
  world.hello("runner", 2);
  world.run(world.build(world.write(wide_snapshot(4))));
  const auto jobs = world.out->take_jobs("runner");
  world.started("runner", jobs[0].id);
  world.core->end();
  CHECK_FALSE(world.core->ended());
  CHECK(world.out->take<wire::Cancel>("runner").at(0).jobs == ids(jobs));
  // A runner that registers now.
  world.hello("late", 2);
  CHECK(world.out->take<wire::Ending>("late").size() == 1);
  CHECK(world.out->take<wire::Welcome>("late").empty());
  SECTION("when the jobs have ended") {
    for (const auto& job : jobs)
      world.say("runner", wire::Results{{world.result_of(job, Outcome::kKilled)}});
  }
  SECTION("when they had their time") { world.pass(kEndDeadline + seconds(1)); }
  CHECK(world.core->ended());
  CHECK(world.outcome() == "terminated");
  CHECK(world.out->take<wire::Ending>("runner").size() == 1);
  CHECK(world.out->events.back().type == "session.ended");
  CHECK_FALSE(world.core->run(world.build(world.write(wide_snapshot(1)))));
  // A process that is started again knows that it has ended.
  world.start();
  CHECK(world.core->ended());
}

TEST_CASE("an idle session ends at once") {
  World world;
  world.core->end();
  CHECK(world.core->ended());
}

TEST_CASE("random peers: whatever runners do, each job finishes once and the run ends") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    World world;
    std::srand(seed);
    world.hello("a", 2);
    world.hello("b", 1);
    world.run(world.build(world.write(wide_snapshot(12))));
    std::map<std::string, std::vector<wire::Job>> held;
    std::map<std::string, std::vector<wire::JobResult>> outbox;
    std::uint64_t runner_epoch = 1;
    for (int step = 0; step < 3000 && world.outcome().empty(); ++step) {
      const std::string runner = std::rand() % 2 != 0 ? "a" : "b";
      for (auto& job : world.out->take_jobs(runner)) held[runner].push_back(job);
      for (const auto& acknowledged : world.out->take<wire::ResultAck>(runner)) {
        // A lost acknowledgement now and then.
        if (std::rand() % 5 == 0) continue;
        for (const auto& id : acknowledged.jobs)
          std::erase_if(outbox[runner], [&](const auto& r) { return r.id == id; });
      }
      for (const auto& cancelled : world.out->take<wire::Cancel>(runner)) {
        for (const auto& id : cancelled.jobs)
          std::erase_if(held[runner], [&](const auto& j) { return j.id == id; });
      }
      auto& jobs = held[runner];
      switch (std::rand() % 8) {
        case 0:
          if (!jobs.empty())
            world.started(runner, jobs[static_cast<std::size_t>(std::rand()) % jobs.size()].id);
          break;
        case 1:
        case 2:
          if (!jobs.empty()) {
            outbox[runner].push_back(world.result_of(jobs.front()));
            jobs.erase(jobs.begin());
            if (std::rand() % 4 != 0) world.say(runner, wire::Results{{outbox[runner].back()}});
          }
          break;
        case 3: {
          std::vector<wire::JobId> running;
          for (const auto& job : jobs) running.push_back(job.id);
          world.say(runner, wire::RunnerBeat{running, false});
          break;
        }
        case 4: world.pass(seconds(1 + std::rand() % 3)); break;
        case 5: {  // the connection was lost, and with it what was on its way
          world.out->sent.clear();
          world.hello(runner, 2, ids(jobs), {}, results_of(outbox[runner]), runner_epoch);
          if (!outbox[runner].empty()) world.say(runner, wire::Results{outbox[runner]});
          break;
        }
        case 6:
          if (std::rand() % 10 == 0) {  // the process died
            jobs.clear();
            outbox[runner].clear();
            world.hello(runner, 2, {}, {}, {}, ++runner_epoch);
          }
          break;
        default:
          if (std::rand() % 10 == 0) {  // the scheduler died: everything says HELLO
            world.start();
            for (const std::string name : {"a", "b"}) {
              world.hello(name, 2, ids(held[name]), {}, results_of(outbox[name]), runner_epoch);
              if (!outbox[name].empty()) world.say(name, wire::Results{outbox[name]});
            }
          }
      }
    }
    INFO("seed " << seed);
    // Lost three times is a way to end, but never to be stuck.
    CHECK_FALSE(world.outcome().empty());
    std::map<std::uint64_t, int> ends;
    for (const auto& record : world.journal) {
      if (change_name(record) != AttemptEnded::kName) continue;
      const auto change = wire::decode<AttemptEnded>(record);
      REQUIRE(change);
      CHECK(++ends[change->result.id.job] == 1);
    }
  }
}

}  // namespace sluice::scheduler
