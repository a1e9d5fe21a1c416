// spec/jobs.md with the real sluice-scheduler and sluice-broker: a runner that the
// test plays by hand, well or badly.
#include <csignal>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "sandbox/fingerprint.h"
#include "store/artifact.h"
#include "tests/support/mini_session.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/live.h"
#include "wire/record_reader.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;
using sluice::testing::MiniSession;
using sluice::testing::run_until;

namespace {

// The scheduler's process, with the supervisor's part of its life.
class SchedulerProcess {
 public:
  explicit SchedulerProcess(MiniSession& session) : session_(session) {
    const std::string path = session.paths().socket_path("jobs");
    listening_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listening_.get(), 16) == 0);
  }
  ~SchedulerProcess() {
    if (process_.pid > 0) kill();
  }

  void start() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    line_ = std::make_unique<SupervisorLine>(pair[0]);
    const UniqueFd theirs(pair[1]);
    SpawnOptions options;
    options.argv = {find_program("sluice-scheduler"),
                    "--session",
                    session_.paths().id,
                    "--instance",
                    "scheduler",
                    "--epoch",
                    std::to_string(++epoch_),
                    "--supervisor",
                    "3",
                    "--listen",
                    "jobs=4"};
    options.keep_fds = {{theirs.get(), 3}, {listening_.get(), 4}};
    options.die_with_parent = true;
    auto process = spawn(options);
    REQUIRE(process);
    process_ = std::move(*process);
    INFO(log());
    REQUIRE(expect_line("ready"));
  }
  void kill() {
    (void)send_signal(process_, SIGKILL);
    (void)wait_for(process_);
    process_ = {};
  }
  bool expect_line(const std::string& wanted, Duration limit = 10s) {
    const Duration deadline = system_clock().monotonic() + limit;
    for (;;) {
      if (auto found = std::find(lines_.begin(), lines_.end(), wanted); found != lines_.end()) {
        lines_.erase(found);
        return true;
      }
      const Duration left = deadline - system_clock().monotonic();
      pollfd item{line_->fd(), POLLIN, 0};
      if (left <= 0s || ::poll(&item, 1, static_cast<int>(left / 1ms)) <= 0) return false;
      bool closed = false;
      for (auto& line : line_->receive(closed)) lines_.push_back(line);
      if (closed) return std::find(lines_.begin(), lines_.end(), wanted) != lines_.end();
    }
  }
  void say(const std::string& line) { REQUIRE(line_->send(line)); }
  void hang_up() { line_.reset(); }
  // The status, or 255 where the scheduler didn't end in time.
  int exit_code(Duration limit = 10s) {
    pollfd item{process_.pidfd.get(), POLLIN, 0};
    if (::poll(&item, 1, static_cast<int>(limit / 1ms)) <= 0) return 255;
    const int code = wait_for(process_).code;
    process_ = {};
    return code;
  }
  std::string log() const {
    return read_file(session_.paths().process_log("sluice-scheduler")).value_or("");
  }

 private:
  MiniSession& session_;
  UniqueFd listening_;
  Process process_;
  std::unique_ptr<SupervisorLine> line_;
  std::vector<std::string> lines_;
  std::uint64_t epoch_ = 0;
};

// A bare DEALER that speaks as an instance. Probes and heartbeats are kept apart.
class RawRunner {
 public:
  RawRunner(Context& context, const std::string& endpoint, const std::string& instance)
      : instance_(instance), socket_(std::move(*Socket::create(context, SocketKind::kDealer, {}))) {
    REQUIRE(socket_.connect(endpoint));
  }
  void send(const Frames& frames) { REQUIRE(socket_.send(frames)); }
  template <typename T>
  void say(const T& message) {
    send({std::string(T::kName), encode(message)});
  }
  void hello(std::vector<JobId> running = {}, std::vector<JobId> outbox = {},
             std::uint64_t epoch = 1) {
    RunnerHello message;
    message.hello = {.protocol = "jobs/1", .role = "runner", .instance = instance_, .epoch = epoch};
    message.host = "here";
    message.slots = 1;
    message.remote = remote;
    if (remote) message.fingerprint = sandbox::build_fingerprint();
    message.running = std::move(running);
    message.outbox = std::move(outbox);
    say(message);
  }
  Frames receive(Duration limit = 10s) {
    const Duration deadline = system_clock().monotonic() + limit;
    for (;;) {
      while (auto frames = socket_.receive()) {
        if (frames->size() == 1 && frames->front().empty()) {
          ++probes;
        } else if (frames->size() == 2 && frames->front() == Heartbeat::kName) {
          ++beats;
        } else {
          return *frames;
        }
      }
      if (system_clock().monotonic() >= deadline) return {};
      ::poll(nullptr, 0, 2);  // the deadline is the loop's
    }
  }
  template <typename T>
  T expect() {
    const Frames frames = receive();
    REQUIRE(frames.size() == 2);
    REQUIRE(frames[0] == T::kName);
    auto message = decode<T>(frames[1]);
    REQUIRE(message);
    return *message;
  }
  bool await_probe(int more_than) {
    const Duration deadline = system_clock().monotonic() + 10s;
    while (probes <= more_than && system_clock().monotonic() < deadline) (void)receive(50ms);
    return probes > more_than;
  }
  int probes = 0;
  int beats = 0;
  bool remote = false;  // it says that it has a store of its own

 private:
  std::string instance_;
  Socket socket_;
};

struct Fixture {
  MiniSession session;
  Context context;
  Reactor reactor;
  SchedulerProcess scheduler{session};
  std::unique_ptr<ControlClient> client;
  std::unique_ptr<RecordReader> reader;
  std::vector<Event> records;
  bool ended = false;
  std::string snapshot_file;

  Fixture() {
    session.start_broker();
    scheduler.start();
    auto made = ControlClient::create(context, reactor, session.endpoint("control"),
                                      session.hello("control/1", "client", "cli"));
    REQUIRE(made);
    client = std::move(*made);
    RecordReader::Settings settings;
    settings.endpoint = session.endpoint("records");
    settings.hello = session.hello("records/1", "collector", "test");
    auto reading = RecordReader::create(
        context, reactor, settings,
        [this](std::string_view packed) {
          auto event = decode_event(packed);
          REQUIRE(event);
          records.push_back(*event);
        },
        [this](bool) { ended = true; });
    REQUIRE(reading);
    reader = std::move(*reading);
    write_snapshot_of({{"a.bst", {}}, {"b.bst", {0}}, {"c.bst", {1}}});
  }

  void write_snapshot_of(
      const std::vector<std::pair<std::string, std::vector<std::uint32_t>>>& elements) {
    model::Snapshot snapshot;
    snapshot.projects.push_back({.name = "test", .directory = session.directory()});
    snapshot.settings.cachedir = session.directory() + "/cache";
    snapshot.settings.logdir = session.directory() + "/logs";
    char digit = 'a';
    for (const auto& [name, needs] : elements) {
      model::Element element;
      element.name = element.full_name = name;
      element.kind = "manual";
      element.body = pack_body({});
      element.keys.full = element.keys.strict = element.keys.weak = std::string(64, digit++);
      for (const std::uint32_t need : needs)
        element.dependencies.push_back({need, true, false, false});
      snapshot.elements.push_back(element);
    }
    snapshot.targets = {static_cast<std::uint32_t>(elements.size() - 1)};
    snapshot_file = session.paths().snapshot(1);
    REQUIRE(make_directories(session.paths().state + "/snapshots"));
    REQUIRE(write_snapshot(snapshot_file, snapshot));
  }

  Reply ask(std::string_view command, std::string arguments = {}) {
    std::optional<Reply> answer;
    client->request("scheduler", command, std::move(arguments), 10s,
                    [&](const Reply& reply) { answer = reply; });
    REQUIRE(run_until(reactor, [&] { return answer.has_value(); }));
    return *answer;
  }
  void build() {
    RunArguments arguments;
    arguments.verb = model::Action::kBuild;
    arguments.snapshot_file = snapshot_file;
    arguments.deps = "run";
    const Reply reply = ask("run", encode(arguments));
    INFO((reply.error ? reply.error->message : std::string()));
    REQUIRE(reply.status == "accepted");
    CHECK(decode<RunAccepted>(reply.result.bytes)->run == 1);
  }
  // What a runner does before it says that a build succeeded.
  JobResult built(const Job& job) {
    auto cas = store::Cas::open(session.directory() + "/cache");
    REQUIRE(cas);
    store::ArtifactInfo artifact;
    artifact.build_success = true;
    artifact.build_error = "succeeded";
    artifact.strong_key = artifact.strict_key = artifact.weak_key = job.keys.full;
    auto files = cas->add("");  // the empty directory
    REQUIRE(files);
    artifact.files = *files;
    store::ArtifactMeta meta;
    meta.public_data = model::Node::make_map();
    meta.sandbox_config = model::Node::make_map();
    REQUIRE(store::write_meta(*cas, meta, artifact));
    REQUIRE(store::Artifacts(*cas).commit("test", decode<JobElement>(job.element.bytes)->name,
                                          artifact));
    JobResult result;
    result.id = job.id;
    result.status = model::Outcome::kSuccess;
    result.elapsed = 1;
    return result;
  }
  Job next_job(RawRunner& runner) {
    const JobBatch batch = runner.expect<JobBatch>();
    REQUIRE(batch.jobs.size() == 1);
    return batch.jobs[0];
  }
  void finish(RawRunner& runner, const Job& job) {
    runner.say(Started{{{job.id, 0, 1}}});
    runner.say(Results{{built(job)}});
    CHECK(runner.expect<ResultAck>().jobs == std::vector<JobId>{job.id});
  }
  std::size_t count(const std::string& type, const std::string& outcome = {}) const {
    std::size_t out = 0;
    for (const auto& record : records)
      out += record.type == type && (outcome.empty() || record.outcome == outcome) ? 1 : 0;
    return out;
  }
  bool await(const std::string& type) {
    return run_until(reactor, [&] { return count(type) > 0; });
  }
};

}  // namespace

TEST_CASE(
    "runners from elsewhere: refused by fingerprint, listed, sent away (J76, J78, C22, C23)") {
  Fixture world;
  const auto hello = [&](const std::string& name, const std::string& fingerprint) {
    RunnerHello message;
    message.hello = {.protocol = "jobs/1", .role = "runner", .instance = name, .epoch = 1};
    message.host = "there";
    message.slots = 3;
    message.remote = true;
    message.machine = "m";
    message.platform = "linux/rv64g";
    message.labels = {"big"};
    message.fingerprint = fingerprint;
    return message;
  };
  RawRunner other(world.context, world.session.endpoint("jobs"), "other");
  other.say(hello("other", "rules 0, abacus"));
  CHECK(other.expect<Refused>().reason ==
        "skew: other has rules 0, abacus, the session has " + sandbox::build_fingerprint());
  RawRunner far(world.context, world.session.endpoint("jobs"), "far");
  far.say(hello("far", sandbox::build_fingerprint()));
  far.expect<Welcome>();
  REQUIRE(world.await("runner.joined"));
  CHECK(world.records.back().runner->platform == "linux/rv64g");
  const Reply listed = world.ask("runners");
  REQUIRE(listed.status == "done");
  const auto list = decode<RunnerList>(listed.result.bytes);
  REQUIRE(list);
  REQUIRE(list->runners.size() == 1);
  CHECK(list->runners[0].name == "far");
  CHECK(list->runners[0].host == "there");
  CHECK(list->runners[0].labels == std::vector<std::string>{"big"});
  CHECK(list->runners[0].slots == 3);
  const Reply unknown = world.ask("drain-runner", encode(RunnerArguments{"near"}));
  REQUIRE(unknown.status == "refused");
  CHECK(unknown.error->message == "There is no runner 'near': there are far");
  CHECK(world.ask("stop-runner", encode(RunnerArguments{"far"})).status == "done");
  CHECK(far.expect<Drain>().now);
  far.say(Goodbye{"told to"});
  REQUIRE(world.await("runner.left"));
  CHECK(world.records.back().runner->why == "told to");
}

TEST_CASE("a build from its request to the session's end (J10, J11, J20 to J27, J60)") {
  Fixture world;
  CHECK(world.ask("ping").status == "done");
  CHECK(world.ask("dance").status == "refused");
  world.build();
  CHECK(world.scheduler.expect_line("start runner"));
  RawRunner runner(world.context, world.session.endpoint("jobs"), "runner");
  runner.hello();
  CHECK(runner.expect<Welcome>().session == world.session.paths().id);
  for (const char* name : {"a.bst", "b.bst", "c.bst"}) {
    const Job job = world.next_job(runner);
    CHECK(decode<JobElement>(job.element.bytes)->name == name);
    CHECK(job.dependencies.size() == (std::string(name) == "a.bst" ? 0 : 1));
    world.finish(runner, job);
  }
  REQUIRE(world.await("run.finished"));
  CHECK(world.count("session.started") == 1);
  CHECK(world.count("job.started") == 3);
  CHECK(world.count("job.finished", "success") == 3);
  CHECK(world.records.back().outcome == "success");
  for (const auto& record : world.records) {
    REQUIRE(record.session);
    CHECK(record.src == "scheduler");
  }
  // The same RESULT again changes nothing.
  RunArguments again;
  again.verb = model::Action::kBuild;
  again.snapshot_file = world.snapshot_file;
  CHECK(world.ask("run", encode(again)).status == "accepted");
  REQUIRE(run_until(world.reactor, [&] { return world.count("run.finished") == 2; }));
  CHECK(world.count("job.started") == 3);

  world.scheduler.say("end");
  runner.expect<Ending>();
  CHECK(world.scheduler.expect_line("ended"));
  CHECK(world.scheduler.exit_code() == 0);
  CHECK(world.await("session.ended"));
}

TEST_CASE(
    "the scheduler is killed in the middle of a job: the job goes on, nothing runs twice (J13, "
    "J15, J27)") {
  Fixture world;
  world.build();
  RawRunner runner(world.context, world.session.endpoint("jobs"), "runner");
  runner.hello();
  runner.expect<Welcome>();
  world.finish(runner, world.next_job(runner));
  const Job job = world.next_job(runner);
  runner.say(Started{{{job.id, 0, 1}}});
  REQUIRE(run_until(world.reactor, [&] { return world.count("job.started") == 2; }));
  const int probes = runner.probes;
  world.scheduler.kill();
  SECTION("it runs on") {
    world.scheduler.start();
    // J1: the new connection is announced, J15: who says no HELLO is asked for it.
    REQUIRE(runner.await_probe(probes));
    runner.say(RunnerBeat{{job.id}, false});
    CHECK(runner.expect<Refused>().reason == kNoHello);
    runner.hello({job.id});
    runner.expect<Welcome>();
    runner.say(Results{{world.built(job)}});
  }
  SECTION("it ended while nobody listened") {
    const JobResult result = world.built(job);
    world.scheduler.start();
    REQUIRE(runner.await_probe(probes));
    runner.hello({}, {job.id});
    runner.expect<Welcome>();
    runner.say(Results{{result}});
  }
  CHECK(runner.expect<ResultAck>().jobs == std::vector<JobId>{job.id});
  const Job last = world.next_job(runner);
  CHECK(decode<JobElement>(last.element.bytes)->name == "c.bst");
  CHECK(last.id.job > job.id.job);
  world.finish(runner, last);
  REQUIRE(world.await("run.finished"));
  std::map<std::string, int> ends;
  for (const auto& record : world.records) {
    if (record.type == "job.finished") ++ends[record.element->name];
  }
  CHECK(ends.size() == 3);
  for (const auto& [name, count] : ends) CHECK(count == 1);
}

TEST_CASE(
    "a runner's successor is heard while the connection of its predecessor is still there (J3, "
    "J12, J15)") {
  Fixture world;
  world.build();
  RawRunner first(world.context, world.session.endpoint("jobs"), "runner");
  first.hello();
  first.expect<Welcome>();
  const Job lost = world.next_job(first);
  RawRunner second(world.context, world.session.endpoint("jobs"), "runner");
  second.hello({}, {}, 2);
  second.expect<Welcome>();
  const Job again = world.next_job(second);
  CHECK(again.id.attempt == lost.id.attempt + 1);
  // What the first connection says counts no more, nor can it come back.
  first.say(Results{{world.built(lost)}});
  CHECK(first.expect<Refused>().reason == kNoHello);
  first.hello({lost.id});
  CHECK(first.expect<Refused>().reason == "stale-epoch");
  world.finish(second, again);
  REQUIRE(world.await("job.finished"));
  CHECK(world.count("job.finished") == 1);
}

TEST_CASE("a runner that misbehaves harms nobody (J2, J12, J15, J28, J42)") {
  Fixture world;
  world.build();
  RawRunner runner(world.context, world.session.endpoint("jobs"), "runner");
  RawRunner bad(world.context, world.session.endpoint("jobs"), "bad");
  bad.say(Results{});
  CHECK(bad.expect<Refused>().reason == kNoHello);
  bad.send({"HELLO", "\xc1"});
  bad.send({"HELLO"});
  bad.send({"", "", ""});
  bad.send({std::string(1 << 20, 'x'), std::string(1 << 20, '\xff')});
  // to the last; the others are no messages at all
  CHECK(bad.expect<Refused>().reason == kNoHello);
  RunnerHello nameless;
  nameless.hello = {.protocol = "jobs/1", .role = "runner", .instance = "", .epoch = 99};
  nameless.slots = 4;
  bad.say(nameless);
  CHECK(bad.expect<Refused>().reason == "instance");

  runner.hello();
  runner.expect<Welcome>();
  const Job job = world.next_job(runner);
  bad.hello({job.id});
  bad.expect<Welcome>();
  CHECK(bad.expect<Cancel>().jobs == std::vector<JobId>{job.id});
  // Somebody else's job, without an artifact; unknown ones; deeply nested bytes.
  JobResult lie;
  lie.id = job.id;
  lie.status = model::Outcome::kSuccess;
  bad.say(Results{{lie, lie}});
  CHECK(bad.expect<ResultAck>().jobs.size() == 2);
  bad.send({"RESULT", std::string(100'000, '\x91')});
  bad.say(Started{{{{1u << 31, 7}, 3, -1}}});
  CHECK(bad.expect<Cancel>().jobs == std::vector<JobId>{{1u << 31, 7}});
  CHECK(world.count("job.finished") == 0);

  world.finish(runner, job);
  // It may be given work now. The first it denies to have, which loses it at once.
  bool denied = false;
  std::map<std::string, int> done;
  const Duration deadline = system_clock().monotonic() + 60s;
  while (world.count("run.finished") == 0 && system_clock().monotonic() < deadline) {
    for (RawRunner* peer : {&runner, &bad}) {
      const Frames frames = peer->receive(10ms);
      if (frames.size() != 2 || frames[0] != JobBatch::kName) continue;
      const auto batch = decode<JobBatch>(frames[1]);
      REQUIRE(batch);
      for (const Job& given : batch->jobs) {
        if (peer == &bad && !denied) {
          denied = true;
          bad.hello();
        } else {
          ++done[decode<JobElement>(given.element.bytes)->name];
          peer->say(Results{{world.built(given)}});
        }
      }
    }
    (void)run_until(
        world.reactor, [] { return false; }, 5ms);
  }
  CHECK(world.count("run.finished") == 1);
  CHECK(world.count("job.finished", "success") == 3);
  for (const auto& [name, times] : done) CHECK(times == 1);
}

TEST_CASE("suspend is done when the runners are (J50), status is live, and the broker may die") {
  Fixture world;
  world.build();
  RawRunner runner(world.context, world.session.endpoint("jobs"), "runner");
  runner.hello();
  runner.expect<Welcome>();
  const Job job = world.next_job(runner);
  runner.say(Started{{{job.id, 0, 1}}});
  std::vector<Event> statuses;
  auto live =
      LiveSubscriber::create(world.context, world.reactor, world.session.endpoint("live-out"),
                             {"status/"}, [&](std::string_view, std::string_view packed) {
                               statuses.push_back(*decode_event(packed));
                             });
  REQUIRE(live);
  REQUIRE(run_until(world.reactor, [&] {
    return !statuses.empty() && statuses.back().active && statuses.back().active->total == 1;
  }));
  CHECK(statuses.back().active->jobs.at(0).element == "a.bst");
  CHECK(statuses.back().queues->size() == 2);

  std::optional<Reply> answer;
  world.client->request("scheduler", "suspend", {}, 10s,
                        [&](const Reply& reply) { answer = reply; });
  REQUIRE(run_until(world.reactor, [&] {
    const Frames frames = runner.receive(1ms);
    return frames.size() == 2 && frames[0] == Suspend::kName;
  }));
  CHECK_FALSE(answer);
  runner.say(Suspend{});
  REQUIRE(run_until(world.reactor, [&] { return answer.has_value(); }));
  CHECK(answer->status == "done");
  CHECK(world.ask("resume").status == "done");
  runner.expect<Resume>();

  world.session.kill_broker();
  world.finish(runner, job);
  world.finish(runner, world.next_job(runner));
  world.session.start_broker();
  world.finish(runner, world.next_job(runner));
  REQUIRE(world.await("run.finished"));
  CHECK(world.count("job.finished", "success") == 3);
}

TEST_CASE("a scheduler whose supervisor is gone ends at once") {
  Fixture world;
  world.scheduler.hang_up();
  CHECK(world.scheduler.exit_code(2s) != 255);
}

// The attempts of an element of a runner that lies end as the liar's fault, and leave nothing in
// the session's store; one that doesn't is believed after that.
TEST_CASE("a runner from elsewhere that lies about its result (J82, J83, J85, J86, J87)") {
  Fixture world;
  world.write_snapshot_of({{"a.bst", {}}, {"b.bst", {0}}});
  world.build();
  CHECK(world.scheduler.expect_line("start runner"));
  RawRunner runner(world.context, world.session.endpoint("jobs"), "runner");
  runner.remote = true;
  runner.hello();
  runner.expect<Welcome>();
  auto cas = store::Cas::open(world.session.directory() + "/cache");
  REQUIRE(cas);
  const std::string refs = world.session.directory() + "/cache/artifacts/refs/test";

  // The artifact that the job is to make, as an upload leaves it: blobs, and no name.
  const auto message_of = [&](const Job& job, const std::string& key) {
    Job as = job;
    as.keys.full = key;
    (void)world.built(as);
    const std::string name = decode<JobElement>(job.element.bytes)->name;
    const std::string file = world.session.directory() + "/cache/artifacts/refs/" +
                             store::artifact_ref("test", name, key);
    const std::string bytes = *read_file(file);
    REQUIRE(::unlink(file.c_str()) == 0);
    auto digest = cas->add(bytes);
    REQUIRE(digest);
    return *digest;
  };
  const auto say = [&](const Job& job, const model::Digest& message) {
    JobResult result;
    result.id = job.id;
    result.status = model::Outcome::kSuccess;
    result.artifact_message = message;
    auto log = cas->add("all went well\n");
    REQUIRE(log);
    result.log = *log;
    runner.say(Started{{{job.id, 0, 1}}});
    runner.say(Results{{result}});
    CHECK(runner.expect<ResultAck>().jobs == std::vector<JobId>{job.id});
  };
  const Job first = world.next_job(runner);
  SECTION("the artifact of another element") {
    say(first, message_of(first, std::string(64, 'b')));
  }
  SECTION("one that isn't wholly there") {
    auto cut = message_of(first, first.keys.full);
    REQUIRE(cas->remove(cut));
    say(first, cut);
  }
  SECTION("something else") {
    auto noise = cas->add("this is no artifact");
    REQUIRE(noise);
    say(first, *noise);
  }
  SECTION("a digest that leads out of the store") { say(first, {"../../../../etc/passwd", 1}); }
  const Job second = world.next_job(runner);
  CHECK(second.id == JobId{first.id.job, 2});
  CHECK_FALSE(path_exists(refs + "/a/" + first.keys.full));
  CHECK_FALSE(path_exists(refs + "/a/" + std::string(64, 'b')));
  say(second, message_of(second, second.keys.full));
  CHECK(path_exists(refs + "/a/" + second.keys.full));
  const Job next = world.next_job(runner);
  REQUIRE(run_until(world.reactor, [&] { return world.count("job.finished", "success") == 1; }));
  bool said = false;
  for (const auto& record : world.records) {
    if (record.type == "job.message")
      said = said || record.text.find("was lost") != std::string::npos;
    if (record.type != "job.finished") continue;
    CHECK(read_file(record.job->log_file) == "all went well\n");
  }
  CHECK(said);
  REQUIRE(next.dependencies.size() == 1);
  CHECK(next.dependencies[0].key == second.keys.full);
}
