// The runner without sockets and processes: spec/jobs.md from its side.
#include "jobs/runner.h"

#include <algorithm>
#include <set>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "jobs/test_support.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

struct Fake final : RunnerOutputs {
  struct Sent {
    std::string name, body;
  };
  std::vector<Sent> sent;
  std::vector<std::string> published;
  std::uint64_t acknowledged_upto = 0;
  std::vector<JobStart> started;
  std::vector<wire::JobId> cancelled;
  bool frozen = false;
  bool refuse_start = false;
  bool watched = false;

  void send(std::string_view name, std::string body) override {
    sent.push_back({std::string(name), std::move(body)});
  }
  std::uint64_t publish(std::string_view, std::string event, std::string_view) override {
    published.push_back(std::move(event));
    return published.size();
  }
  std::uint64_t acknowledged() const override { return acknowledged_upto; }
  Status start(const JobStart& start) override {
    if (refuse_start) return fail("util", "enospc", "no space");
    started.push_back(start);
    return {};
  }
  void cancel(const wire::JobId& id, Duration) override { cancelled.push_back(id); }
  Result<std::string> scratch_root(const std::string&) override { return "/scratch"; }
  Status freeze() override {
    frozen = true;
    return {};
  }
  void thaw() override { frozen = false; }
  void on_watched(bool now) override { watched = now; }

  // The last message of that name, decoded.
  template <typename T>
  std::optional<T> last() const {
    for (auto message = sent.rbegin(); message != sent.rend(); ++message) {
      if (message->name == T::kName) return wire::decode<T>(message->body).value();
    }
    return std::nullopt;
  }
  std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::count_if(sent.begin(), sent.end(), [&](const Sent& s) { return s.name == name; }));
  }
};

struct Bench {
  TestDirectory directory{0755};
  FakeClock clock;
  Fake fake;
  std::unique_ptr<Runner> runner;
  std::uint32_t builders = 2, fetchers = 1;

  Bench() { restart(); }
  void restart() {
    runner.reset();
    RunnerOptions options;
    options.hello.instance = "runner";
    options.host = "host";
    options.slots = 2;
    runner = std::make_unique<Runner>(clock, fake, Outbox::open(directory / "outbox.log").value(),
                                      options);
    runner->on_connected();
    welcome();
  }
  template <typename T>
  void say(const T& message) {
    runner->on_message(T::kName, wire::encode(message));
  }
  void welcome(std::int64_t session_time = 0) {
    const auto hello = fake.last<wire::RunnerHello>();
    say(wire::Welcome{.session = "s",
                      .epoch = 1,
                      .peer_epoch = hello->hello.epoch,
                      .connection = hello->connection,
                      .time = session_time});
  }
  wire::Job job(std::uint64_t number, model::Action action = model::Action::kBuild) {
    model::Settings settings;
    settings.builders = builders;
    settings.fetchers = fetchers;
    settings.logdir = "/logs";
    wire::Job job;
    job.id = {number, 1};
    job.action = action;
    job.settings.bytes = wire::pack_settings(settings);
    wire::ElementSection element;
    element.name = "e.bst";
    wire::JobSection section;
    section.runner = "somebody else";
    const std::string a = wire::pack_section("element", element),
                      b = wire::pack_section("job", section);
    job.context.bytes = wire::join_maps({a, b});
    job.element.bytes = wire::encode(wire::JobElement{});
    job.log_file = "p/e/1.log";
    return job;
  }
  void give(const std::vector<wire::Job>& jobs) {
    wire::JobBatch batch;
    batch.jobs = jobs;
    say(batch);
  }
  void result(std::uint64_t number, model::Outcome status = model::Outcome::kSuccess) {
    JobEvent event;
    event.kind = "result";
    event.result.emplace();
    event.result->status = status;
    runner->on_job_event({number, 1}, event);
    runner->on_job_end({number, 1});
  }
  void message(std::uint64_t number, const std::string& text) {
    JobEvent event;
    event.kind = "message";
    event.level = "info";
    event.text = text;
    runner->on_job_event({number, 1}, event);
  }
  std::vector<std::uint64_t> started() const {
    std::vector<std::uint64_t> numbers;
    for (const auto& start : fake.started) numbers.push_back(start.job.id.job);
    return numbers;
  }
};

using Numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE(
    "brief jobs: an empty one is done at once, a spawned one takes a slot; neither is STARTED "
    "(J35, J36)") {
  Bench b;
  const auto brief = [](std::uint64_t number, model::Action action) {
    wire::Job job;
    job.id = {number, 1};
    job.action = action;
    return job;
  };
  b.give({brief(1, model::Action::kEmpty), brief(2, model::Action::kSpawn),
          brief(3, model::Action::kEmpty), brief(4, model::Action::kSpawn),
          brief(5, model::Action::kSpawn)});
  CHECK(b.started() == std::vector<std::uint64_t>{2, 4});
  auto results = b.fake.last<wire::Results>();
  REQUIRE(results);
  REQUIRE(results->results.size() == 2);
  CHECK(results->results[1].id.job == 3);
  CHECK(results->results[1].status == model::Outcome::kSuccess);
  b.result(2);
  CHECK(b.started() == std::vector<std::uint64_t>{2, 4, 5});
  // A result waits for the others of its kind, in the outbox.
  CHECK(b.fake.count(wire::Results::kName) == 1);
  b.runner->on_beat();
  CHECK(b.fake.last<wire::RunnerBeat>()->outbox.size() == 3);
  CHECK_FALSE(b.fake.last<wire::Started>());

  SECTION("results of spawned programs are said when none runs any more") {
    b.result(4);
    CHECK(b.fake.count(wire::Results::kName) == 1);
    b.result(5);
    CHECK(b.fake.count(wire::Results::kName) == 2);
    CHECK(b.fake.last<wire::Results>()->results.size() == 3);
  }
  SECTION("or when there are many") {
    std::vector<wire::Job> more;
    for (std::uint64_t n = 6; n < 20; ++n) more.push_back(brief(n, model::Action::kSpawn));
    b.give(more);
    for (std::uint64_t n = 4; n < 10; ++n) b.result(n);
    CHECK(b.fake.count(wire::Results::kName) == 1);
    b.result(10);
    CHECK(b.fake.count(wire::Results::kName) == 2);
    CHECK(b.fake.last<wire::Results>()->results.size() == 8);
  }

  SECTION("nothing is done while the session is suspended") {
    b.say(wire::Suspend{});
    b.give({brief(6, model::Action::kEmpty)});
    CHECK(b.fake.count(wire::Results::kName) == 1);
    b.say(wire::Resume{});
    CHECK(b.fake.last<wire::Results>()->results.back().id.job == 6);
  }
  SECTION("one that was cancelled is killed") {
    b.say(wire::Cancel{{{4, 1}}, 100});
    b.runner->on_job_end({4, 1});
    CHECK(b.fake.last<wire::Results>()->results.back().status == model::Outcome::kKilled);
  }
  SECTION("results outlive the runner") {
    b.restart();
    const auto hello = b.fake.last<wire::RunnerHello>();
    CHECK(hello->outbox.size() == 3);
  }
}

TEST_CASE("J25: jobs start in order, as many at a time as their resource allows") {
  Bench b;
  b.give({b.job(1), b.job(2), b.job(3), b.job(4, model::Action::kFetch),
          b.job(5, model::Action::kFetch)});
  CHECK(b.started() == Numbers{1, 2, 4});
  b.result(2);
  CHECK(b.started() == Numbers{1, 2, 4, 3});
  b.result(4);
  CHECK(b.started() == Numbers{1, 2, 4, 3, 5});
  // Each job has a slot of its own while it runs.
  std::set<std::uint32_t> slots;
  for (const auto& [id, job] : b.runner->running()) slots.insert(job.slot);
  CHECK(slots.size() == b.runner->running().size());
}

TEST_CASE("J52, J53: LIMITS count instead of the settings, and end nothing") {
  Bench b;
  b.give({b.job(1), b.job(2), b.job(3), b.job(4), b.job(5)});
  CHECK(b.started() == Numbers{1, 2});
  b.say(wire::JobLimits{.builders = 3});
  CHECK(b.started() == Numbers{1, 2, 3});
  REQUIRE(b.fake.count("LIMITS") == 1);
  b.say(wire::JobLimits{.builders = 1});
  CHECK(b.runner->running().size() == 3);
  b.result(1);
  b.result(2);
  CHECK(b.started() == Numbers{1, 2, 3});
  b.result(3);
  CHECK(b.started() == Numbers{1, 2, 3, 4});
  // The limits 0 say that nobody said anything about these.
  b.say(wire::JobLimits{.fetchers = 7});
  CHECK(b.started() == Numbers{1, 2, 3, 4, 5});
}

TEST_CASE("J24a: a runner whose clock is another tells times by the session's") {
  Bench b;
  const std::int64_t own = b.clock.wall_ns();
  const std::int64_t session = own + GENERATE(std::int64_t{0}, std::int64_t{1'500'000'000},
                                              std::int64_t{-7'200'000'000'000});
  const bool other = session < own;
  b.welcome(session);
  b.give({b.job(7)});
  b.message(7, "hello");
  const std::int64_t expected = other ? session : own;
  CHECK(b.fake.last<wire::Started>()->jobs.at(0).time == expected);
  const auto event = wire::decode_event(b.fake.published.at(0)).value();
  CHECK(event.job->started == expected);
  CHECK(event.time == (other ? session - own : 0));
}

TEST_CASE("J111: a runner that is watched says the step that runs, once") {
  Bench b;
  b.give({b.job(7)});
  b.runner->say_progress();
  CHECK(b.fake.count(wire::Progress::kName) == 0);
  b.say(wire::Watch{.steps = true});
  CHECK(b.fake.watched);
  JobEvent event;
  event.kind = "message";
  event.level = "start";
  event.text = "Running commands";
  b.runner->on_job_event({7, 1}, event);
  b.runner->say_progress();
  b.runner->say_progress();
  CHECK(b.fake.count(wire::Progress::kName) == 1);
  const auto progress = b.fake.last<wire::Progress>().value();
  REQUIRE(progress.jobs.size() == 1);
  CHECK(progress.jobs[0].id == wire::JobId{7, 1});
  CHECK(progress.jobs[0].step == "Running commands");
  CHECK(progress.jobs[0].line.empty());
  // Another scheduler may have nobody who looks.
  b.welcome();
  CHECK_FALSE(b.fake.watched);
  b.runner->on_job_event({7, 1}, event);
  b.runner->say_progress();
  CHECK(b.fake.count(wire::Progress::kName) == 1);
}

TEST_CASE("J24: messages carry the context, with what only the runner knows of the job") {
  Bench b;
  b.give({b.job(7)});
  b.message(7, "hello");
  REQUIRE(b.fake.published.size() == 1);
  const auto event = wire::decode_event(b.fake.published[0]).value();
  CHECK(event.type == "job.message");
  CHECK(event.text == "hello");
  CHECK(event.element->name == "e.bst");
  CHECK(event.job->id == 7);
  CHECK(event.job->runner == "runner");
  CHECK(event.job->host == "host");
  CHECK(event.job->log_file == "/logs/p/e/1.log");
  // The job section that came is not there a second time.
  CHECK(b.fake.published[0].find("somebody else") == std::string::npos);
}

TEST_CASE(
    "J26: a result waits until the broker has its job's records, and in the outbox until it is "
    "acknowledged") {
  Bench b;
  b.give({b.job(1)});
  b.message(1, "one");
  b.message(1, "two");
  b.result(1);
  CHECK(b.fake.count("RESULT") == 0);
  b.fake.acknowledged_upto = 1;
  b.runner->on_acknowledged();
  CHECK(b.fake.count("RESULT") == 0);
  // A new connection doesn't let the result through either.
  b.runner->on_connected();
  CHECK(b.fake.last<wire::RunnerHello>()->outbox == std::vector<wire::JobId>{{1, 1}});
  b.welcome();
  CHECK(b.fake.count("RESULT") == 0);
  b.fake.acknowledged_upto = 2;
  b.runner->on_acknowledged();
  REQUIRE(b.fake.count("RESULT") == 1);
  b.runner->on_acknowledged();
  CHECK(b.fake.count("RESULT") == 1);
  // Results are said again after each WELCOME, and by the next process.
  b.welcome();
  CHECK(b.fake.count("RESULT") == 2);
  b.restart();
  CHECK(b.fake.count("RESULT") == 3);
  CHECK(b.fake.last<wire::Results>()->results.at(0).id == wire::JobId{1, 1});
  b.say(wire::ResultAck{{{1, 1}, {99, 9}}});
  b.welcome();
  CHECK(b.fake.count("RESULT") == 3);
  b.restart();
  CHECK(b.fake.last<wire::RunnerHello>()->outbox.empty());
}

TEST_CASE("J26, J41: a beat lists what waits in the outbox") {
  Bench b;
  b.give({b.job(1)});
  b.message(1, "one");
  b.result(1);
  b.runner->on_beat();
  CHECK(b.fake.last<wire::RunnerBeat>()->running.empty());
  CHECK(b.fake.last<wire::RunnerBeat>()->outbox == std::vector<wire::JobId>{{1, 1}});
}

TEST_CASE("J16: jobs that were given before this connection's HELLO was read are not taken") {
  Bench b;
  b.runner->on_connected();
  // This answers the HELLO of the connection before.
  b.say(wire::Welcome{.session = "s", .epoch = 1, .connection = 1});
  b.give({b.job(1)});
  CHECK(b.fake.started.empty());
  b.welcome();
  b.give({b.job(2)});
  CHECK(b.fake.started.size() == 1);
  // Jobs of the same connection are taken, though a HELLO is on its way.
  b.say(wire::Refused{.reason = "no-hello"});
  b.give({b.job(3)});
  CHECK(b.fake.started.size() == 2);
}

TEST_CASE("J15: asked for HELLO by the answer to something older, a runner says it once") {
  Bench b;
  const auto before = b.fake.count("HELLO");
  b.runner->on_connected();
  CHECK(b.fake.count("HELLO") == before + 1);
  b.say(wire::Refused{.reason = "no-hello"});
  CHECK(b.fake.count("HELLO") == before + 1);
  b.welcome();
  b.say(wire::Refused{.reason = "no-hello"});
  CHECK(b.fake.count("HELLO") == before + 2);
}

TEST_CASE("J25: an attempt that is known is ignored; the next attempt of its job is another") {
  Bench b;
  b.builders = 1;
  b.give({b.job(1), b.job(1), b.job(2)});
  b.give({b.job(1), b.job(2)});
  CHECK(b.started() == Numbers{1});
  b.result(1);
  b.give({b.job(1)});
  CHECK(b.started() == Numbers{1, 2});
  auto second = b.job(1);
  second.id.attempt = 2;
  b.result(2);
  b.give({second});
  CHECK(b.fake.started.back().job.id == wire::JobId{1, 2});
}

TEST_CASE("J43: CANCEL of what waits, runs, is unknown") {
  Bench b;
  b.builders = 1;
  b.give({b.job(1), b.job(2)});
  b.say(wire::Cancel{{{2, 1}, {1, 1}, {5, 5}}, 100});
  CHECK(b.fake.cancelled == std::vector<wire::JobId>{{1, 1}});
  CHECK(b.fake.last<wire::Results>()->results.at(0).status == model::Outcome::kKilled);
  CHECK(b.fake.last<wire::Results>()->results.at(0).id == wire::JobId{2, 1});
  // The job was done before it was killed, and that is reported.
  b.result(1, model::Outcome::kSuccess);
  CHECK(b.fake.last<wire::Results>()->results.at(0).status == model::Outcome::kSuccess);
}

TEST_CASE("J99: CANCEL of what hasn't started leaves alone what has") {
  Bench b;
  b.builders = 1;
  b.give({b.job(1), b.job(2)});
  b.say(wire::Cancel{.jobs = {{2, 1}, {1, 1}, {5, 5}}, .unstarted = true});
  CHECK(b.fake.cancelled.empty());
  REQUIRE(b.fake.last<wire::Results>()->results.size() == 1);
  CHECK(b.fake.last<wire::Results>()->results.at(0).id == wire::JobId{2, 1});
  CHECK(b.fake.last<wire::Results>()->results.at(0).status == model::Outcome::kKilled);
  b.result(1, model::Outcome::kSuccess);
  CHECK(b.fake.last<wire::Results>()->results.at(0).id == wire::JobId{1, 1});
}

TEST_CASE("J50: nothing starts while suspended; the pause is left out") {
  Bench b;
  b.give({b.job(1)});
  b.say(wire::Suspend{});
  CHECK(b.fake.frozen);
  CHECK(b.fake.count("SUSPEND") == 1);
  b.give({b.job(2)});
  CHECK(b.started() == Numbers{1});
  b.runner->on_beat();
  CHECK(b.fake.last<wire::RunnerBeat>()->suspended);
  b.clock.advance(std::chrono::hours(1));
  b.say(wire::Suspend{});
  CHECK(b.fake.count("SUSPEND") == 2);
  b.say(wire::Resume{});
  CHECK_FALSE(b.fake.frozen);
  CHECK(b.started() == Numbers{1, 2});
  b.clock.advance(std::chrono::seconds(3));
  b.message(1, "late");
  CHECK(wire::decode_event(b.fake.published.back()).value().job->elapsed ==
        Duration(std::chrono::seconds(3)).count());
}

TEST_CASE("A job that can't be started is an error at once") {
  Bench b;
  b.fake.refuse_start = true;
  b.give({b.job(1)});
  REQUIRE(b.fake.last<wire::Results>());
  CHECK(b.fake.last<wire::Results>()->results.at(0).status == model::Outcome::kError);
  CHECK(b.fake.last<wire::Results>()->results.at(0).error->reason == "enospc");
  auto job = b.job(2);
  job.settings.bytes = "junk";
  b.give({job});
  CHECK(b.fake.last<wire::Results>()->results.at(0).id == wire::JobId{2, 1});
}

TEST_CASE("J46: the scheduler's beats are answered, and the runner beats by itself without them") {
  Bench b;
  b.give({b.job(1)});
  const auto beats = [&] { return b.fake.count("HEARTBEAT"); };
  const auto before = beats();
  b.say(wire::Heartbeat{1});
  CHECK(beats() == before + 1);
  CHECK(b.fake.last<wire::RunnerBeat>()->running == std::vector<wire::JobId>{{1, 1}});
  for (int i = 0; i < 3; ++i) b.runner->on_beat();
  CHECK(beats() == before + 1);
  b.runner->on_beat();
  CHECK(beats() == before + 2);
  b.runner->on_beat();
  CHECK(beats() == before + 3);
  // Whoever isn't welcome says HELLO, whatever the other end says.
  b.say(wire::Refused{"no-hello"});
  b.say(wire::Heartbeat{2});
  CHECK(beats() == before + 3);
}

TEST_CASE("It is known when the scheduler was last heard, whatever the runner says meanwhile") {
  Bench b;
  b.give({b.job(1)});
  b.clock.advance(std::chrono::seconds(7));
  b.say(wire::Heartbeat{1});
  const Duration heard = b.runner->heard_at();
  CHECK(heard == b.clock.monotonic());
  for (int i = 0; i < 20; ++i) {
    b.clock.advance(std::chrono::seconds(1));
    b.runner->on_beat();
    CHECK(b.runner->heard_at() == heard);
  }
}

TEST_CASE("Heartbeats, silence, refusals") {
  Bench b;
  b.give({b.job(1)});
  const auto hellos = b.fake.count("HELLO");
  for (int i = 0; i < 5; ++i) b.runner->on_beat();
  CHECK(b.fake.last<wire::RunnerBeat>()->running == std::vector<wire::JobId>{{1, 1}});
  CHECK(b.fake.count("HELLO") == hellos);
  b.runner->on_beat();
  CHECK(b.fake.count("HELLO") == hellos + 1);
  CHECK(b.fake.last<wire::RunnerHello>()->running == std::vector<wire::JobId>{{1, 1}});
  b.welcome();
  b.say(wire::Refused{"no-hello"});
  CHECK(b.fake.count("HELLO") == hellos + 2);
  CHECK_FALSE(b.runner->refused_for_good());
  b.say(wire::Refused{"stale-epoch"});
  CHECK(b.runner->refused_for_good());
}

TEST_CASE("J2: what can't be read is counted") {
  Bench b;
  b.runner->on_message("JOB", "\xc1");
  b.runner->on_message("CANCEL", "");
  b.runner->on_message("GOSSIP", "x");
  CHECK(b.runner->malformed() == 3);
}

TEST_CASE("J61: at the end nothing new is taken and all is cancelled") {
  Bench b;
  b.give({b.job(1)});
  b.say(wire::Ending{"s"});
  CHECK(b.runner->ending());
  CHECK(b.fake.cancelled.size() == 1);
  b.give({b.job(2)});
  CHECK(b.started() == Numbers{1});
  CHECK_FALSE(b.runner->idle());
  b.result(1, model::Outcome::kKilled);
  CHECK(b.runner->idle());
}

TEST_CASE(
    "a runner that drains gives back what waits, and leaves when the rest has ended (J92, J93)") {
  Bench bench;
  bench.give({bench.job(1), bench.job(2), bench.job(3), bench.job(4)});
  REQUIRE(bench.started() == Numbers{1, 2});
  bench.runner->drain("its lifetime is over");
  const auto drain = bench.fake.last<wire::Drain>();
  REQUIRE(drain.has_value());
  CHECK(drain->why == "its lifetime is over");
  REQUIRE(drain->returned.size() == 2);
  CHECK(drain->returned[0].job == 3);
  CHECK(drain->returned[1].job == 4);
  // What was under way to it comes back, too, and starts nothing.
  bench.give({bench.job(5)});
  CHECK(bench.fake.last<wire::Drain>()->returned == std::vector<wire::JobId>{{5, 1}});
  CHECK_FALSE(bench.runner->leave_if_drained());
  bench.result(1);
  CHECK_FALSE(bench.runner->leave_if_drained());
  bench.result(2);
  CHECK(bench.started() == Numbers{1, 2});
  // The results are still to be acknowledged.
  CHECK_FALSE(bench.runner->leave_if_drained());
  bench.say(wire::ResultAck{{{1, 1}, {2, 1}}});
  CHECK(bench.fake.count(wire::Goodbye::kName) == 0);
  CHECK(bench.runner->leave_if_drained());
  CHECK(bench.fake.count(wire::Goodbye::kName) == 1);
}

TEST_CASE("a runner drains when the scheduler says so, and its HELLO tells (J90, J92)") {
  Bench bench;
  bench.give({bench.job(1), bench.job(2), bench.job(3)});
  bench.say(wire::Drain{"the host is to be updated"});
  CHECK(bench.fake.last<wire::Drain>()->returned.size() == 1);
  CHECK_FALSE(bench.runner->told_to_leave());
  bench.runner->on_connected();
  CHECK(bench.fake.last<wire::RunnerHello>()->draining);
  wire::Drain now;
  now.now = true;
  bench.say(now);
  CHECK(bench.runner->told_to_leave());
}

TEST_CASE("J92: a runner that drains before its HELLO is answered gives back what that lists") {
  Bench bench;
  bench.give({bench.job(1), bench.job(2), bench.job(3)});
  REQUIRE(bench.started() == Numbers{1, 2});
  bench.runner->on_connected();
  const auto hello = bench.fake.last<wire::RunnerHello>();
  REQUIRE(hello->waiting == std::vector<wire::JobId>{{3, 1}});
  CHECK_FALSE(hello->draining);
  bench.runner->drain("its lifetime is over");
  CHECK(bench.fake.count(wire::Drain::kName) == 0);  // from whom isn't known yet
  bench.welcome();
  REQUIRE(bench.fake.count(wire::Drain::kName) == 1);
  CHECK(bench.fake.last<wire::Drain>()->returned == std::vector<wire::JobId>{{3, 1}});
  bench.runner->on_connected();
  bench.welcome();
  CHECK(bench.fake.count(wire::Drain::kName) == 1);
}

TEST_CASE("J101: results with long texts go in several messages, none longer than is taken") {
  Bench bench;
  wire::JobLimits limits;
  limits.builders = 200;
  bench.say(limits);
  std::vector<wire::Job> jobs;
  for (std::uint64_t i = 1; i <= 100; ++i) jobs.push_back(bench.job(i));
  bench.give(jobs);
  const auto before = bench.fake.count("RESULT");
  // Nobody is connected while they end.
  bench.runner->on_connected();
  for (std::uint64_t i = 1; i <= 100; ++i) {
    JobEvent event;
    event.kind = "result";
    event.result.emplace();
    event.result->status = model::Outcome::kFailure;
    event.result->error =
        wire::ErrorBody{"job", "command", std::string(1 << 20, 'm'), std::string(100'000, 'd')};
    bench.runner->on_job_event({i, 1}, event);
    bench.runner->on_job_end({i, 1});
  }
  REQUIRE(bench.fake.count("RESULT") == before);
  bench.fake.acknowledged_upto = ~std::uint64_t{0};
  bench.welcome();
  std::size_t results = 0;
  for (const auto& [name, body] : bench.fake.sent) {
    if (name != "RESULT") continue;
    CHECK(body.size() < (std::size_t{2} << 20));
    const auto message = wire::decode<wire::Results>(body).value();
    for (const auto& result : message.results) {
      ++results;
      REQUIRE(result.error);
      CHECK(result.error->message.size() == wire::kMostErrorText);
      CHECK(result.error->message.ends_with("m[...]"));
      CHECK(result.error->detail.size() == wire::kMostErrorText);
    }
  }
  CHECK(results == 100);
}

TEST_CASE("how long a runner was idle counts from the last time that it had something") {
  Bench bench;
  bench.clock.advance(std::chrono::seconds(5));
  CHECK(bench.runner->idle_for() == std::chrono::seconds(5));
  bench.give({bench.job(1)});
  CHECK(bench.runner->idle_for() == std::chrono::seconds(0));
  bench.runner->on_beat();
  bench.result(1);
  bench.clock.advance(std::chrono::seconds(2));
  CHECK(bench.runner->idle_for() == std::chrono::seconds(2));
  // A job that begins and ends between two beats is something, too.
  bench.give({bench.job(2)});
  bench.result(2);
  CHECK(bench.runner->idle_for() == std::chrono::seconds(0));
  // Nobody is idle who is suspended.
  bench.say(wire::Suspend{});
  bench.clock.advance(std::chrono::seconds(9));
  CHECK(bench.runner->idle_for() == std::chrono::seconds(0));
  bench.say(wire::Resume{});
  bench.clock.advance(std::chrono::seconds(3));
  CHECK(bench.runner->idle_for() == std::chrono::seconds(3));
}

TEST_CASE("An outbox with a torn tail keeps what is whole") {
  TestDirectory directory{0755};
  const std::string path = directory / "outbox.log";
  {
    auto outbox = Outbox::open(path).value();
    for (std::uint64_t i = 1; i <= 3; ++i) {
      wire::JobResult result;
      result.id = {i, 1};
      REQUIRE(outbox.add({result}));
    }
    REQUIRE(outbox.forget({{2, 1}}));
  }
  const auto text = read_text(path);
  REQUIRE(::truncate(path.c_str(), static_cast<off_t>(text.size() - 3)) == 0);
  auto outbox = Outbox::open(path).value();
  CHECK(outbox.results().size() == 3);  // the record that forgets one was torn
  CHECK(outbox.has({1, 1}));
  CHECK(outbox.has({3, 1}));
}
