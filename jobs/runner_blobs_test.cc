// The runner that has a store of its own, without sockets, helper and processes.
#include <algorithm>
#include <map>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "jobs/inputs.h"
#include "jobs/runner.h"
#include "jobs/test_support.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;
using wire::HelperReply;
using wire::HelperVerb;

namespace {

struct Fake final : RunnerOutputs {
  std::vector<std::pair<std::string, std::string>> sent;
  std::vector<std::string> published;
  std::vector<JobStart> started;
  std::vector<std::string> calls;
  std::map<std::uint64_t, std::vector<wire::JobInput>> fetched;

  void send(std::string_view name, std::string body) override {
    sent.emplace_back(name, std::move(body));
  }
  std::uint64_t publish(std::string_view, std::string event, std::string_view) override {
    published.push_back(std::move(event));
    return published.size();
  }
  std::uint64_t acknowledged() const override { return published.size(); }
  Status start(const JobStart& start) override {
    started.push_back(start);
    return {};
  }
  void cancel(const wire::JobId& id, Duration) override { call("cancel", id); }
  Result<std::string> scratch_root(const std::string& builddir) override { return builddir; }
  Status freeze() override { return {}; }
  void thaw() override {}
  void fetch(const wire::JobId& id, std::vector<wire::JobInput> inputs) override {
    call("fetch", id);
    fetched[id.job] = std::move(inputs);
  }
  void prefetch(const wire::JobId& id, std::vector<wire::JobInput>) override {
    call("prefetch", id);
  }
  void upload(const wire::JobId& id, std::string ref, std::string log) override {
    call("upload", id);
    uploaded = {std::move(ref), std::move(log)};
  }
  void cancel_transfers(const wire::JobId& id) override { call("drop", id); }
  void forget_blobs() override { calls.push_back("forget"); }
  std::pair<std::string, std::string> uploaded;

  void call(const char* what, const wire::JobId& id) {
    calls.push_back(std::string(what) + " " + std::to_string(id.job));
  }
  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& [name, body] : sent) {
      if (name == T::kName) found.push_back(wire::decode<T>(body).value());
    }
    return found;
  }
  std::vector<wire::JobResult> results() const {
    std::vector<wire::JobResult> found;
    for (auto& message : all<wire::Results>())
      found.insert(found.end(), message.results.begin(), message.results.end());
    return found;
  }
};

model::Digest digest(char c) { return {std::string(64, c), 1}; }

struct Bench {
  TestDirectory directory{0755};
  FakeClock clock;
  Fake fake;
  std::unique_ptr<Runner> runner;

  explicit Bench(std::uint32_t slots = 1, std::uint32_t processors = 3, bool storage = false) {
    RunnerOptions options;
    options.hello.instance = "far";
    options.host = "host-b";
    options.slots = slots;
    options.processors = processors;
    options.place = RemotePlace{.cachedir = directory / "cache",
                                .sourcedir = directory / "sources",
                                .builddir = directory / "build",
                                .logdir = directory / "logs"};
    if (storage) {
      options.place->storage.emplace();
      options.place->storage->url = "https://cache:11001";
    }
    runner = std::make_unique<Runner>(clock, fake, Outbox::open(directory / "outbox.log").value(),
                                      options);
    runner->on_connected();
    const auto hello = fake.all<wire::RunnerHello>().back();
    CHECK(hello.remote);
    CHECK(hello.processors == processors);
    say(wire::Welcome{.session = "s",
                      .epoch = 1,
                      .peer_epoch = hello.hello.epoch,
                      .connection = hello.connection});
  }
  template <typename T>
  void say(const T& message) {
    runner->on_message(T::kName, wire::encode(message));
  }
  static std::string element(const model::ElementBody& body) {
    wire::JobElement element;
    element.body.bytes = wire::pack_body(body);
    return wire::encode(element);
  }
  static wire::Job job(std::uint64_t number, model::Action action = model::Action::kBuild) {
    model::Settings settings;
    settings.cachedir = "/session/cache";
    settings.builddir = "/session/build";
    settings.logdir = "/session/logs";
    settings.sourcedir = "/session/sources";
    settings.workspacedir = "/session/workspaces";
    settings.max_jobs = 64;
    settings.builders = 64;
    settings.error_lines = 2;
    wire::Job job;
    job.id = {number, 1};
    job.action = action;
    job.settings.bytes = wire::pack_settings(settings);
    job.context.bytes = wire::pack_section("job", wire::JobSection{});
    job.element.bytes = element({});
    job.log_file = "p/e/" + std::to_string(number) + ".log";
    model::ArtifactRef dependency;
    dependency.files = digest('a');
    dependency.public_data = digest('b');
    dependency.low_diversity_meta = digest('c');
    job.dependencies = {dependency, dependency};
    job.sources = digest('d');
    job.inputs = {{"tree", {}, digest('e')}};
    return job;
  }
  void give(std::vector<wire::Job> jobs) { say(wire::JobBatch{std::move(jobs)}); }
  void ended(std::uint64_t number, HelperVerb verb, const HelperReply& reply = {}) {
    runner->on_transfer({number, 1}, verb, reply);
  }
  void build_ends(std::uint64_t number, wire::JobResult result) {
    JobEvent event;
    event.kind = "result";
    event.result = std::move(result);
    runner->on_job_event({number, 1}, event);
    runner->on_job_end({number, 1});
  }
  static wire::JobResult built() {
    wire::JobResult result;
    result.artifact.emplace();
    result.artifact->project = "p";
    result.artifact->element = "e.bst";
    result.artifact->key = "k";
    return result;
  }
  static HelperReply failed(std::string reason) {
    HelperReply reply;
    reply.error = wire::ErrorBody{"remote", std::move(reason), "It went wrong"};
    return reply;
  }
};

using Calls = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "A job whose inputs are elsewhere: fetched, run here, uploaded, told (J80, J81, J85, J89)") {
  Bench b;
  b.give({b.job(1)});
  // It has started: the slot is taken.
  REQUIRE(b.fake.all<wire::Started>().size() == 1);
  CHECK(b.fake.calls == Calls{"fetch 1"});
  CHECK(b.fake.started.empty());
  std::vector<std::string> asked;
  for (const auto& input : b.fake.fetched[1])
    asked.push_back(input.kind + " " + input.digest.hash.substr(0, 1));
  CHECK(asked == Calls{"tree a", "blob b", "blob c", "tree d", "tree e"});

  HelperReply came;
  came.bytes = 1000;
  b.ended(1, HelperVerb::kFetch, came);
  REQUIRE(b.fake.started.size() == 1);
  const JobStart& start = b.fake.started[0];
  CHECK(start.job.inputs.empty());
  CHECK(start.cachedir == b.directory / "cache");
  const auto settings = wire::unpack_settings(start.job.settings.bytes).value();
  CHECK(settings.cachedir == b.directory / "cache");
  CHECK(settings.builddir == b.directory / "build");
  CHECK(settings.logdir == b.directory / "logs");
  CHECK(settings.sourcedir == b.directory / "sources");
  CHECK(settings.workspacedir.empty());
  CHECK(settings.max_jobs == 3);
  CHECK(settings.builders == 1);

  const std::string log = b.directory / "logs/p/e/1.log";
  const auto& running = b.runner->running().at({1, 1});
  CHECK(running.section.log_file == "/session/logs/p/e/1.log");
  CHECK(running.log_path == log);
  REQUIRE(make_directories(b.directory / "logs/p/e"));
  REQUIRE(write_file_atomic(log, "one\ntwo\nthree\n"));
  b.build_ends(1, b.built());
  CHECK(b.fake.calls.back() == "upload 1");
  CHECK(b.fake.uploaded == std::pair<std::string, std::string>{"p/e/k", log});
  CHECK(b.fake.results().empty());
  // Its lease goes on meanwhile.
  b.runner->on_beat();
  CHECK(b.fake.all<wire::RunnerBeat>().back().running == std::vector<wire::JobId>{{1, 1}});

  HelperReply went;
  went.bytes = 500;
  went.artifact = digest('1');
  went.log = digest('2');
  b.ended(1, HelperVerb::kUpload, went);
  const auto results = b.fake.results();
  REQUIRE(results.size() == 1);
  CHECK(results[0].status == model::Outcome::kSuccess);
  CHECK(results[0].artifact_message == digest('1'));
  CHECK(results[0].log == digest('2'));
  CHECK(results[0].log_tail == "two\nthree");
  CHECK(results[0].fetched == 1000);
  CHECK(results[0].uploaded == 500);
  // Paths are the session's; the file here is no use any more.
  CHECK(results[0].log_file == "/session/logs/p/e/1.log");
  CHECK_FALSE(path_exists(log));
}

TEST_CASE(
    "The next job's inputs come while one runs, and its slot is free during an upload (J81)") {
  Bench b;
  b.give({b.job(1), b.job(2), b.job(3)});
  CHECK(b.fake.calls == Calls{"fetch 1", "prefetch 2"});
  b.ended(1, HelperVerb::kFetch);
  HelperReply ahead;
  ahead.bytes = 70;
  b.ended(2, HelperVerb::kPrefetch, ahead);
  b.build_ends(1, b.built());
  CHECK(b.fake.calls == Calls{"fetch 1", "prefetch 2", "fetch 2", "prefetch 3", "upload 1"});
  b.ended(2, HelperVerb::kFetch);
  b.ended(1, HelperVerb::kUpload);
  b.build_ends(2, b.built());
  b.ended(2, HelperVerb::kUpload);
  CHECK(b.fake.results().back().fetched == 70);
}

TEST_CASE("What can't be fetched or uploaded is an error of the attempt, by name (J87)") {
  Bench b(2);
  b.give({b.job(1), b.job(2), b.job(3)});
  b.ended(1, HelperVerb::kFetch, b.failed("missing-input"));
  REQUIRE(b.fake.results().size() == 1);
  CHECK(b.fake.results()[0].status == model::Outcome::kError);
  CHECK(b.fake.results()[0].error->reason == "missing-input");
  CHECK(b.fake.calls.back() == "fetch 3");

  b.ended(2, HelperVerb::kFetch);
  b.build_ends(2, b.built());
  b.ended(2, HelperVerb::kUpload, b.failed("denied"));
  CHECK(b.fake.results()[1].status == model::Outcome::kError);
  CHECK(b.fake.results()[1].error->reason == "denied");
  CHECK_FALSE(b.fake.results()[1].artifact);

  // Inputs that were here and are no more are this machine's fault.
  b.ended(3, HelperVerb::kFetch);
  wire::JobResult lost;
  lost.status = model::Outcome::kError;
  lost.error = wire::ErrorBody{"cas", "missing-blob", "gone"};
  b.build_ends(3, lost);
  CHECK(std::count(b.fake.calls.begin(), b.fake.calls.end(), "forget") == 1);
  b.ended(3, HelperVerb::kUpload);
  CHECK(b.fake.results()[2].error->domain == "remote");
  CHECK(b.fake.results()[2].error->reason == "inputs-lost");
}

TEST_CASE("A transfer is cancelled at once, whatever the helper does (J88)") {
  Bench b;
  b.give({b.job(1), b.job(2)});
  SECTION("while it fetches") {
    b.say(wire::Cancel{{{1, 1}}, 5000});
    CHECK(b.fake.calls == Calls{"fetch 1", "prefetch 2", "drop 1", "fetch 2"});
  }
  SECTION("while it uploads") {
    b.ended(1, HelperVerb::kFetch);
    b.build_ends(1, b.built());
    b.say(wire::Cancel{{{1, 1}}, 5000});
    CHECK(b.fake.calls.back() == "drop 1");
  }
  REQUIRE(b.fake.results().size() == 1);
  CHECK(b.fake.results()[0].status == model::Outcome::kKilled);
  // What the helper says too late is nothing.
  b.ended(1, HelperVerb::kFetch);
  b.ended(1, HelperVerb::kUpload);
  CHECK(b.fake.results().size() == 1);
}

TEST_CASE("Inputs that come while the session is suspended wait for its resumption (J88)") {
  Bench b;
  b.give({b.job(1)});
  b.say(wire::Suspend{});
  b.ended(1, HelperVerb::kFetch);
  CHECK(b.fake.started.empty());
  b.say(wire::Resume{});
  CHECK(b.fake.started.size() == 1);
}

TEST_CASE("The session's end ends transfers (J88)") {
  Bench b(2);
  b.give({b.job(1), b.job(2)});
  b.ended(2, HelperVerb::kFetch);
  b.runner->end(std::chrono::seconds(1));
  CHECK_FALSE(b.runner->idle());
  b.runner->on_job_end({2, 1});
  CHECK(b.runner->idle());
}

TEST_CASE("That the session's store is away is said once for a job (J87)") {
  Bench b;
  b.give({b.job(1)});
  b.runner->on_transfer_waits({1, 1}, "UNAVAILABLE");
  b.runner->on_transfer_waits({1, 1}, "UNAVAILABLE");
  REQUIRE(b.fake.published.size() == 1);
  const auto event = wire::decode_event(b.fake.published[0]);
  REQUIRE(event);
  CHECK(event->level == "warn");
  CHECK(event->detail == "UNAVAILABLE");
}

TEST_CASE("What came from the storage service is said in the log and the result (J97, J98)") {
  Bench b(1, 3, true);
  b.give({b.job(1), b.job(2)});
  HelperReply came;
  came.bytes = 10;
  came.storage_bytes = 1000;
  came.warnings = {"Storage service https://cache:11001 gave what was refused"};
  HelperReply ahead;
  ahead.storage_bytes = 70;
  b.ended(2, HelperVerb::kPrefetch, ahead);
  b.ended(1, HelperVerb::kFetch, came);
  REQUIRE(b.fake.started.size() == 1);
  const auto& remarks = b.fake.started[0].remarks;
  REQUIRE(remarks.size() == 2);
  CHECK(remarks[0].level == "warn");
  CHECK(remarks[0].text == came.warnings[0]);
  CHECK(remarks[1].level == "info");
  CHECK(remarks[1].text ==
        "Fetched 1000 bytes <- https://cache:11001, 10 bytes <- the session's store");
  // The process says these; nothing was said beside it.
  CHECK(b.fake.published.empty());
  b.build_ends(1, b.built());
  HelperReply went;
  went.bytes = 20;
  went.storage_bytes = 15;
  went.warnings = {"Storage service https://cache:11001 doesn't keep what this runner gives it"};
  b.ended(1, HelperVerb::kUpload, went);
  const auto results = b.fake.results();
  REQUIRE(results.size() == 1);
  CHECK(results[0].status == model::Outcome::kSuccess);
  CHECK(results[0].fetched == 10);
  CHECK(results[0].storage_fetched == 1000);
  CHECK(results[0].uploaded == 20);
  CHECK(results[0].storage_uploaded == 15);
  REQUIRE(b.fake.published.size() == 1);
  CHECK(wire::decode_event(b.fake.published[0])->text == went.warnings[0]);

  // What was fetched ahead counts for the job; where nothing travelled nothing is said.
  b.ended(2, HelperVerb::kFetch);
  REQUIRE(b.fake.started.size() == 2);
  REQUIRE(b.fake.started[1].remarks.size() == 1);
  CHECK(b.fake.started[1].remarks[0].text.starts_with("Fetched 70 bytes <- https://cache:11001"));
  b.give({b.job(3)});
  b.build_ends(2, b.built());
  b.ended(3, HelperVerb::kFetch);
  REQUIRE(b.fake.started.size() == 3);
  CHECK(b.fake.started[2].remarks.empty());
}

TEST_CASE("J87: what this machine's own store or disk can't is no fault of the element's") {
  for (const HelperVerb verb : {HelperVerb::kFetch, HelperVerb::kUpload}) {
    CAPTURE(static_cast<int>(verb));
    Bench b;
    b.give({b.job(1)});
    if (verb == HelperVerb::kUpload) {
      b.ended(1, HelperVerb::kFetch);
      b.build_ends(1, b.built());
    }
    HelperReply reply;
    reply.error = wire::ErrorBody{"util", "erofs", "/cache/cas: Read-only file system"};
    b.ended(1, verb, reply);
    REQUIRE(b.fake.results().size() == 1);
    CHECK(b.fake.results()[0].status == model::Outcome::kError);
    CHECK(b.fake.results()[0].error->domain == "remote");
    CHECK(b.fake.results()[0].error->reason == "erofs");
    CHECK(b.fake.results()[0].error->message == "/cache/cas: Read-only file system");
  }
}

TEST_CASE("Only builds are done elsewhere (J80)") {
  Bench b;
  b.give({b.job(1, model::Action::kFetch)});
  REQUIRE(b.fake.results().size() == 1);
  CHECK(b.fake.results()[0].error->reason == "not-here");
  CHECK(b.fake.calls.empty());
}

TEST_CASE("J100: a session reaches nothing of a runner's machine but its store and its sandboxes") {
  const auto refused = [](const std::function<void(wire::Job&)>& change) {
    Bench b;
    wire::Job job = b.job(1);
    change(job);
    b.give({job});
    const auto results = b.fake.results();
    if (results.size() != 1) return std::string("nothing");
    CHECK(b.fake.calls.empty());
    CHECK(results[0].status == model::Outcome::kError);
    CHECK(results[0].error->domain == "remote");
    CHECK(results[0].error->reason == "not-here");
    return results[0].error->message;
  };
  for (const std::string log : {"../../home/u/.bashrc", "/etc/passwd", "p/../../x.log", "..", ".",
                                "p//e.log", "p/./e.log", "p/e/", "../x", "./p.log"}) {
    CAPTURE(log);
    CHECK(refused([&](wire::Job& job) { job.log_file = log; }).find("no log file") !=
          std::string::npos);
  }
  CHECK(refused([](wire::Job& job) {
          job.log_file = std::string("p/e\0.log", 8);
        }).find("no log file") != std::string::npos);
  CHECK(refused([](wire::Job& job) { job.log_file = "p/..e/...log"; }) == "nothing");

  model::ElementBody body;
  body.plugin.file = "/home/u/plugin.py";
  CHECK(refused([&](wire::Job& job) { job.element.bytes = Bench::element(body); }) ==
        "The plugin /home/u/plugin.py is on the session's machine");
  body = {};
  body.sources.emplace_back().plugin.file = "/home/u/source.py";
  CHECK(refused([&](wire::Job& job) { job.element.bytes = Bench::element(body); }) ==
        "The sources' plugin /home/u/source.py is on the session's machine");
  CHECK(refused([&](wire::Job& job) {
          job.dependency_sources.push_back({wire::pack_sources(wire::pack_body(body)).value()});
        }) == "The sources' plugin /home/u/source.py is on the session's machine");

  // Programs and services that settings name are another machine's.
  Bench b;
  wire::Job job = b.job(1);
  auto settings = wire::unpack_settings(job.settings.bytes).value();
  settings.plugins.sandbox = false;
  settings.plugins.python = "/tmp/evil";
  settings.storage_service.emplace().url = "https://evil";
  settings.remote_execution.execution.emplace().url = "https://evil";
  job.settings.bytes = wire::pack_settings(settings);
  b.give({job});
  b.ended(1, HelperVerb::kFetch);
  REQUIRE(b.fake.started.size() == 1);
  const auto taken = wire::unpack_settings(b.fake.started[0].job.settings.bytes).value();
  CHECK_FALSE(taken.plugins.enabled);
  CHECK(taken.plugins.sandbox);
  CHECK(taken.plugins.python.empty());
  CHECK_FALSE(taken.storage_service);
  CHECK_FALSE(taken.remote_execution.execution);
}
