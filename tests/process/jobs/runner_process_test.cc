// The real sluice-runner against spec/jobs.md, with the scheduler's side scripted here, over
// real sockets, with a real broker and real sandboxes.
#include <csignal>
#include <deque>
#include <map>
#include <set>

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/process_tree.h"
#include "jobs/test_support.h"
#include "tests/support/mini_session.h"
#include "wire/events.h"
#include "wire/live.h"

using namespace sluice;
using namespace sluice::testing;
using jobs::testing::wait_until;
using jobs::testing::World;

namespace {

// Binds the endpoint that the scheduler would; speaks only when told.
class Scheduler {
 public:
  Scheduler(wire::Context& context, const std::string& endpoint) {
    wire::SocketOptions options;
    options.probe_router = true;
    options.router_mandatory = true;
    auto socket = wire::Socket::create(context, wire::SocketKind::kRouter, options);
    REQUIRE(socket);
    socket_.emplace(std::move(*socket));
    REQUIRE(socket_->bind(endpoint));
  }

  void send(std::string_view name, const std::string& body) {
    REQUIRE(socket_->send_to(peer_, name, body));
  }
  template <typename T>
  void say(const T& message) {
    send(T::kName, wire::encode(message));
  }

  // The next message of that name; others are kept for later. A runner that heard nothing for a
  // while (this thread was busy or not scheduled) says HELLO again and is welcomed again, as a
  // scheduler does.
  std::optional<std::string> next(std::string_view name,
                                  Duration limit = std::chrono::seconds(30)) {
    std::optional<std::string> found;
    wait_until(
        [&] {
          while (auto frames = socket_->receive()) {
            if (frames->size() != 3) continue;
            peer_ = frames->front();
            if (welcomed_ && name != wire::RunnerHello::kName &&
                (*frames)[1] == wire::RunnerHello::kName) {
              const auto hello = wire::decode<wire::RunnerHello>((*frames)[2]);
              REQUIRE(hello);
              welcomed_->connection = hello->connection;
              say(*welcomed_);
            } else {
              kept_.emplace_back((*frames)[1], (*frames)[2]);
            }
          }
          for (auto message = kept_.begin(); message != kept_.end(); ++message) {
            if (message->first != name) continue;
            found = message->second;
            kept_.erase(message);
            return true;
          }
          return false;
        },
        limit);
    return found;
  }
  template <typename T>
  T expect() {
    auto body = next(T::kName);
    if (!body) FAIL("no " << T::kName);
    auto message = wire::decode<T>(*body);
    REQUIRE(message);
    return *message;
  }
  wire::RunnerHello welcome() {
    const auto hello = expect<wire::RunnerHello>();
    wire::Welcome welcome;
    welcome.session = "test";
    welcome.epoch = 1;
    welcome.heartbeat_ms = 200;
    welcome.lease_ms = 10000;
    welcome.peer_epoch = hello.hello.epoch;
    welcome.connection = hello.connection;
    say(welcome);
    welcomed_ = welcome;
    return hello;
  }
  wire::JobResult result() {
    auto results = expect<wire::Results>();
    REQUIRE(results.results.size() == 1);
    return results.results.front();
  }

 private:
  std::optional<wire::Socket> socket_;
  std::optional<wire::Welcome> welcomed_;
  std::string peer_;  // the runner that was heard last
  std::deque<std::pair<std::string, std::string>> kept_;
};

struct Setup {
  World world;
  MiniSession session;
  wire::Context context;
  std::optional<Scheduler> scheduler;
  Process runner;
  UniqueFd line;
  std::uint64_t epoch = 0;

  Setup() {
    session.start_broker();
    scheduler.emplace(context, session.endpoint("jobs"));
  }
  ~Setup() {
    if (!runner.pidfd) return;
    (void)send_signal(runner, SIGKILL);
    wait_for(runner);
  }
  void start_runner() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    line.reset(fds[0]);
    UniqueFd theirs(fds[1]);
    SpawnOptions options;
    options.argv = {find_program("sluice-runner"),
                    "--session",
                    session.paths().id,
                    "--instance",
                    "runner",
                    "--epoch",
                    std::to_string(++epoch),
                    "--supervisor",
                    "3"};
    options.keep_fds = {{theirs.get(), 3}};
    options.die_with_parent = true;
    auto process = spawn(options);
    REQUIRE(process);
    runner = std::move(*process);
  }
  // Sleeps are the builds' own: they stand for work.
  wire::Job job(const std::string& name, const std::vector<std::string>& commands) {
    World::Element element;
    element.name = name;
    element.dependencies = {world.base()};
    model::Node list = model::Node::make_list();
    for (const auto& command : commands) list.list.push_back(model::Node::make_scalar(command));
    element.config.set("build-commands", std::move(list));
    wire::Job job = world.job(element).job;
    wire::ElementSection section;
    section.name = name;
    section.brief = "12345678";
    wire::JobSection own;
    own.action = "build";
    const std::string packed_element = wire::pack_section("element", section),
                      packed_job = wire::pack_section("job", own);
    job.context.bytes = wire::join_maps({packed_element, packed_job});
    return job;
  }
  void give(const std::vector<wire::Job>& jobs) {
    wire::JobBatch batch;
    batch.jobs = jobs;
    scheduler->say(batch);
  }
  std::set<pid_t> processes() const {
    std::set<pid_t> all;
    for (const auto& process : descendants(runner.pid)) all.insert(process.pid);
    return all;
  }
  // All messages of jobs that the broker's log has.
  std::vector<wire::Event> records() {
    RawPeer reader(context, session.endpoint("records"));
    reader.greet(session.hello("records/1", "collector", "reader"));
    std::vector<wire::Event> events;
    wire::Next next;
    for (;;) {
      reader.say(next);
      auto batch = reader.expect<wire::Batch>();
      if (batch.records.empty()) return events;
      for (const auto& record : batch.records) {
        auto event = wire::decode_event(record.bytes);
        REQUIRE(event);
        events.push_back(std::move(*event));
      }
      next.cursor = batch.next;
    }
  }
};

// A field of /proc/PID/stat, counted from 1 as proc(5) does; "" when there is no such process.
std::string stat_field(pid_t pid, int number) {
  const std::string stat = jobs::testing::read_text(fmt::format("/proc/{}/stat", pid));
  const auto close = stat.rfind(')');
  if (close == std::string::npos) return {};
  std::string rest = stat.substr(close + 2);
  for (int i = 3; i < number; ++i) rest.erase(0, rest.find(' ') + 1);
  return rest.substr(0, rest.find(' '));
}

// The processes of these that still run; one whose number went to another process is gone.
struct Living {
  std::map<pid_t, std::string> started;
  explicit Living(const std::set<pid_t>& pids) {
    for (const pid_t pid : pids) started[pid] = stat_field(pid, 22);
  }
  std::string who() const {
    std::string names;
    for (const auto& [pid, start] : started) {
      const std::string state = stat_field(pid, 3);
      if (state.empty() || state == "Z" || state == "X" || stat_field(pid, 22) != start) continue;
      names += fmt::format("{} {} {}; ", pid, state,
                           jobs::testing::read_text(fmt::format("/proc/{}/comm", pid)));
    }
    return names;
  }
};

bool all_gone(const Living& living) {
  const bool gone = wait_until([&] { return living.who().empty(); }, std::chrono::seconds(10));
  if (!gone) UNSCOPED_INFO("left: " << living.who());
  return gone;
}

// The processor times (utime and stime) of all these processes, as text.
std::string cpu_of(const std::set<pid_t>& pids) {
  std::string all;
  for (const pid_t pid : pids)
    all += fmt::format("{}: {} {}; ", pid, stat_field(pid, 14), stat_field(pid, 15));
  return all;
}

}  // namespace

TEST_CASE("J10, J24, J26: HELLO, a job, its records before its result, its acknowledgement") {
  Setup setup;
  setup.start_runner();
  const auto hello = setup.scheduler->welcome();
  CHECK(hello.hello.protocol == "jobs/1");
  CHECK(hello.hello.role == "runner");
  CHECK(hello.hello.epoch == 1);
  CHECK(hello.slots >= 1);
  CHECK(hello.running.empty());
  CHECK(hello.outbox.empty());
  const auto job = setup.job("one.bst", {"echo x > /buildstream-install/x"});
  setup.give({job});
  const auto started = setup.scheduler->expect<wire::Started>();
  REQUIRE(started.jobs.size() == 1);
  CHECK(started.jobs[0].id == job.id);
  const auto result = setup.scheduler->result();
  CHECK(result.id == job.id);
  REQUIRE(result.status == model::Outcome::kSuccess);
  CHECK(result.artifact);
  CHECK(result.elapsed > 0);
  // By now the broker has all of its messages, each with its whole context.
  const auto events = setup.records();
  REQUIRE_FALSE(events.empty());
  bool cached = false;
  for (const auto& event : events) {
    CHECK(event.type == "job.message");
    REQUIRE(event.job);
    CHECK(event.job->id == job.id.job);
    CHECK(event.job->runner == "runner");
    CHECK_FALSE(event.job->host.empty());
    CHECK(event.job->log_file == setup.world.settings.logdir + "/" + job.log_file);
    REQUIRE(event.element);
    CHECK(event.element->name == "one.bst");
    cached |= event.level == "success" && event.text == "Caching artifact";
  }
  CHECK(cached);
  setup.scheduler->say(wire::ResultAck{{job.id}});
  // A HELLO after it has nothing in hand any more.
  setup.scheduler->say(wire::Refused{"no-hello"});
  const auto again = setup.scheduler->welcome();
  CHECK(again.outbox.empty());
  CHECK(again.running.empty());
}

TEST_CASE("J2, J25: what is malformed is dropped, a job that comes twice is done once") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  setup.scheduler->send("JOB", "\xc1 no MessagePack");
  setup.scheduler->send("JOB", wire::encode(wire::Suspend{}));
  setup.scheduler->send("NONSENSE", "");
  setup.scheduler->send("CANCEL", "\x93");
  const auto job = setup.job("twice.bst", {"sleep 0.3; echo done"});
  setup.give({job, job});
  setup.give({job});
  CHECK(setup.scheduler->expect<wire::Started>().jobs.size() == 1);
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
  setup.give({job});  // not acknowledged yet: still known
  CHECK_FALSE(setup.scheduler->next("STARTED", std::chrono::milliseconds(500)));
  CHECK_FALSE(setup.scheduler->next("RESULT", std::chrono::milliseconds(100)));
}

TEST_CASE("J43: CANCEL ends a job with every process of it, and one that waits before it starts") {
  Setup setup;
  setup.world.settings.builders = 1;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto first = setup.job("first.bst", {"trap '' TERM; setsid sh -c \"trap '' TERM; while :; "
                                             "do sleep 1; done\" & while :; do sleep 1; done"});
  const auto second = setup.job("second.bst", {"true"});
  setup.give({first, second});
  CHECK(setup.scheduler->expect<wire::Started>().jobs.size() == 1);
  REQUIRE(wait_until([&] { return setup.processes().size() >= 6; }));
  wire::Cancel cancel;
  cancel.jobs = {second.id, {999, 1}};
  setup.scheduler->say(cancel);
  auto result = setup.scheduler->result();
  CHECK(result.id == second.id);
  CHECK(result.status == model::Outcome::kKilled);
  // The build ignores SIGTERM, so that the grace passes.
  cancel.jobs = {first.id};
  cancel.grace_ms = 300;
  setup.scheduler->say(cancel);
  result = setup.scheduler->result();
  CHECK(result.id == first.id);
  CHECK(result.status == model::Outcome::kKilled);
  // Only the process that jobs are forked from is left.
  CHECK(wait_until([&] { return setup.processes().size() == 1; }));
  CHECK(std::system(("test -z \"$(find " + setup.world.settings.builddir +
                     " -mindepth 2 ! -type d ! -name owner)\"")
                        .c_str()) == 0);
}

TEST_CASE(
    "J50: SUSPEND stops every process within a second, RESUME lets them go on, the pause doesn't "
    "count") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto job =
      setup.job("busy.bst", {"setsid sh -c 'while test ! -e stop; do :; done' & sh -c 'while test "
                             "! -e stop; do :; done' & sleep 0.5; touch stop; wait"});
  const auto next = setup.job("next.bst", {"true"});
  const Duration given = system_clock().monotonic();
  setup.give({job});
  setup.scheduler->expect<wire::Started>();
  REQUIRE(wait_until([&] { return setup.processes().size() >= 7; }));
  const Duration before = system_clock().monotonic();
  setup.scheduler->say(wire::Suspend{});
  setup.scheduler->expect<wire::Suspend>();
  const Duration stopped = system_clock().monotonic();
  CHECK(stopped - before < std::chrono::seconds(1));
  const auto all = setup.processes();
  const std::string used = cpu_of(all);
  setup.give({next});
  // HEARTBEATs go on, and say so; those that were sent before are read first.
  while (!setup.scheduler->expect<wire::RunnerBeat>().suspended)
    setup.scheduler->say(wire::Heartbeat{});
  for (int i = 0; i < 5; ++i) {
    setup.scheduler->say(wire::Heartbeat{});
    CHECK(setup.scheduler->expect<wire::RunnerBeat>().suspended);
  }
  CHECK(cpu_of(all) == used);
  CHECK_FALSE(setup.scheduler->next("STARTED", std::chrono::milliseconds(300)));
  setup.scheduler->say(wire::Suspend{});  // again: nothing new, but answered
  setup.scheduler->expect<wire::Suspend>();
  const Duration paused = system_clock().monotonic() - stopped;
  setup.scheduler->say(wire::Resume{});
  setup.scheduler->expect<wire::Resume>();
  // Both jobs end now, in either order.
  std::map<wire::JobId, wire::JobResult> results;
  while (results.size() < 2) {
    for (const auto& result : setup.scheduler->expect<wire::Results>().results)
      results[result.id] = result;
  }
  CHECK(results[next.id].status == model::Outcome::kSuccess);
  CHECK(results[job.id].status == model::Outcome::kSuccess);
  const Duration wall = system_clock().monotonic() - given;
  CHECK(Duration(results[job.id].elapsed) <= wall - paused);
}

TEST_CASE(
    "J26: results that nobody acknowledged are sent again to a scheduler that was started again") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto job = setup.job("kept.bst", {"true"});
  const auto running =
      setup.job("running.bst", {"while test ! -e /dev/shm/never; do sleep 0.1; done"});
  setup.give({job, running});
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
  setup.scheduler.reset();
  setup.scheduler.emplace(setup.context, setup.session.endpoint("jobs"));
  const auto hello = setup.scheduler->welcome();
  CHECK(hello.outbox.size() == 1);
  CHECK(hello.running == std::vector<wire::JobId>{running.id});
  const auto result = setup.scheduler->result();
  CHECK(result.id == job.id);
  CHECK(result.status == model::Outcome::kSuccess);
}

TEST_CASE(
    "S22: a runner that is killed leaves no process; the next one has its results and removes its "
    "scratch") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto done = setup.job("done.bst", {"true"});
  setup.give({done});
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
  const auto running =
      setup.job("running.bst",
                {"setsid sh -c 'while :; do sleep 1; done' & echo > scratch-file; sleep 1000"});
  setup.give({running});
  REQUIRE(wait_until([&] { return setup.processes().size() >= 6; }));
  const Living all(setup.processes());
  const auto scratch_count = [&] {
    return std::system(("test $(ls -d " + setup.world.settings.builddir + "/sluice-* | wc -l) = 1")
                           .c_str()) == 0;
  };
  CHECK(scratch_count());
  REQUIRE(send_signal(setup.runner, SIGKILL));
  wait_for(setup.runner);
  CHECK(all_gone(all));
  setup.start_runner();
  const auto hello = setup.scheduler->welcome();
  CHECK(hello.hello.epoch == 2);
  CHECK(hello.running.empty());
  CHECK(hello.outbox.size() == 1);
  const auto result = setup.scheduler->result();
  CHECK(result.id == done.id);
  setup.scheduler->say(wire::ResultAck{{done.id}});
  // The lost attempt is given again.
  auto again = setup.job("running.bst", {"true"});
  again.id = {running.id.job, 2};
  setup.give({again});
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
  CHECK(wait_until(scratch_count));
}

TEST_CASE("A job process that is killed is a result; the job server too") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto job = setup.job("victim.bst", {"sleep 1000"});
  setup.give({job});
  REQUIRE(wait_until([&] { return setup.processes().size() >= 5; }));
  const auto tree = descendants(setup.runner.pid);
  std::set<pid_t> below;
  for (std::size_t i = 1; i < tree.size(); ++i) below.insert(tree[i].pid);
  const Living jobs(below);
  SECTION("the job") { ::kill(tree[1].pid, SIGKILL); }
  SECTION("the job server") { ::kill(tree[0].pid, SIGKILL); }
  const auto result = setup.scheduler->result();
  CHECK(result.id == job.id);
  CHECK(result.status != model::Outcome::kSuccess);
  CHECK(result.error->reason == "job-died");
  CHECK(all_gone(jobs));
  const auto next = setup.job("next.bst", {"true"});
  setup.give({next});
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
}

TEST_CASE("A job that comes when the job server has just died is done by the next one") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  setup.give({setup.job("first.bst", {"true"})});
  CHECK(setup.scheduler->result().status == model::Outcome::kSuccess);
  const auto tree = descendants(setup.runner.pid);
  REQUIRE_FALSE(tree.empty());
  const auto gone = [](pid_t pid) {
    const std::string state = stat_field(pid, 3);
    return state.empty() || state == "Z";
  };
  // Stopped, the runner reads in one go what came in the meantime: the job and the end, in whatever
  // order.
  for (const char* name : {"second.bst", "third.bst", "fourth.bst"}) {
    const auto server = descendants(setup.runner.pid).front().pid;
    REQUIRE(send_signal(setup.runner, SIGSTOP));
    REQUIRE(wait_until([&] { return stat_field(setup.runner.pid, 3) == "T"; }));
    const auto job = setup.job(name, {"true"});
    setup.give({job});
    REQUIRE(::kill(server, SIGKILL) == 0);
    REQUIRE(wait_until([&] { return gone(server); }));
    REQUIRE(send_signal(setup.runner, SIGCONT));
    const auto result = setup.scheduler->result();
    CHECK(result.id == job.id);
    CHECK(result.status == model::Outcome::kSuccess);
    REQUIRE(wait_until([&] { return !descendants(setup.runner.pid).empty(); }));
  }
}

TEST_CASE("J61: on ENDING everything is killed, and nothing is left") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  setup.give({setup.job("long.bst", {"sleep 1000"}), setup.job("other.bst", {"sleep 1000"})});
  REQUIRE(wait_until([&] { return setup.processes().size() >= 9; }));
  const Living all(setup.processes());
  SECTION("by the scheduler") { setup.scheduler->say(wire::Ending{"test"}); }
  SECTION("by the supervisor") { REQUIRE(write_all(setup.line.get(), "end\n")); }
  SECTION("by SIGTERM") { REQUIRE(send_signal(setup.runner, SIGTERM)); }
  REQUIRE(wait_until([&] { return poll_exit(setup.runner).has_value(); }));
  setup.runner = Process{};
  CHECK(all_gone(all));
  CHECK(std::system(
            ("test -z \"$(ls -d " + setup.world.settings.builddir + "/sluice-* 2>/dev/null)\"")
                .c_str()) == 0);
}

TEST_CASE("S22: a runner whose supervisor is gone ends at once, with its jobs") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  setup.give({setup.job("long.bst", {"sleep 1000"})});
  REQUIRE(wait_until([&] { return setup.processes().size() >= 5; }));
  const Living all(setup.processes());
  setup.line.reset();
  REQUIRE(wait_until([&] { return poll_exit(setup.runner).has_value(); }, std::chrono::seconds(5)));
  setup.runner = Process{};
  CHECK(all_gone(all));
}

TEST_CASE("A job's log is published live while somebody listens") {
  Setup setup;
  setup.start_runner();
  setup.scheduler->welcome();
  const auto job = setup.job("talk.bst", {"while :; do echo still here; sleep 0.1; done"});
  setup.give({job});
  setup.scheduler->expect<wire::Started>();
  wire::Reactor reactor;
  std::string text;
  auto listener = wire::LiveSubscriber::create(
      setup.context, reactor, setup.session.endpoint("live-out"),
      {fmt::format("log/{}/", job.id.job)}, [&](std::string_view, std::string_view packed) {
        if (auto event = wire::decode_event(packed)) text += event->text;
      });
  REQUIRE(listener);
  CHECK(run_until(reactor, [&] { return text.find("still here") != std::string::npos; }));
  CHECK(text.find("START") != std::string::npos);  // what was before is told, too
  wire::Cancel cancel;
  cancel.jobs = {job.id};
  setup.scheduler->say(cancel);
  CHECK(setup.scheduler->result().status == model::Outcome::kKilled);
}
