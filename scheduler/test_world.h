// A world for the core's tests: a store, runners, a clock and a journal that are plain data, and
// snapshots made from a few words.
#pragma once

#include <algorithm>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "base/clock.h"
#include "scheduler/core.h"
#include "tests/support/test_directory.h"
#include "wire/events.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

struct ElementSpec {
  std::string name;
  std::vector<std::string> build;
  std::vector<std::string> runtime;
  bool sources = false;  // that have to be fetched
  std::string platform = {};
  std::vector<std::string> labels = {};
};

inline std::string key_of(const std::string& name) {
  std::string key = name;
  std::replace(key.begin(), key.end(), '.', '-');
  key += "-";  // "1" and "10" differ also when filled up
  key.resize(64, '0');
  return key;
}

inline model::Snapshot make_snapshot(const std::vector<ElementSpec>& specs,
                                     const std::vector<std::string>& targets) {
  model::Snapshot snapshot;
  snapshot.projects.push_back({.name = "test", .directory = "/nowhere"});
  snapshot.settings.cachedir = "/nowhere/cache";
  snapshot.settings.logdir = "/nowhere/logs";
  snapshot.settings.on_error = "continue";
  snapshot.settings.network_retries = 0;
  std::map<std::string, ElementIndex> index;
  for (const auto& spec : specs) {
    model::Element element;
    element.name = element.full_name = spec.name;
    element.kind = "manual";
    element.keys.full = element.keys.strict = element.keys.weak = key_of(spec.name);
    element.has_sources = spec.sources;
    element.platform = spec.platform;
    element.labels = spec.labels;
    element.body = wire::pack_body({});
    if (spec.sources) element.sources_key = "s" + key_of(spec.name).substr(1);
    std::map<std::string, model::Dependency> dependencies;
    std::vector<std::string> order;
    const auto add = [&](const std::string& name) -> model::Dependency& {
      if (!dependencies.contains(name)) order.push_back(name);
      auto& dependency = dependencies[name];
      dependency.element = index.at(name);
      return dependency;
    };
    for (const auto& name : spec.build) add(name).build = true;
    for (const auto& name : spec.runtime) add(name).runtime = true;
    for (const auto& name : order) element.dependencies.push_back(dependencies[name]);
    index[spec.name] = static_cast<ElementIndex>(snapshot.elements.size());
    snapshot.elements.push_back(std::move(element));
  }
  for (const auto& target : targets) snapshot.targets.push_back(index.at(target));
  return snapshot;
}

// "e0" and so on, so many, which need nothing, and "all", the target, which is built of them.
inline model::Snapshot wide_snapshot(int count) {
  std::vector<ElementSpec> specs;
  ElementSpec all{.name = "all"};
  for (int i = 0; i < count; ++i) {
    specs.push_back({"e" + std::to_string(i)});
    all.build.push_back(specs.back().name);
  }
  specs.push_back(std::move(all));
  return make_snapshot(specs, {"all"});
}

// Outlives the processes, as a cache does.
struct FakeStore final : StoreView {
  std::map<std::string, CachedArtifact> artifacts;  // by key
  std::set<std::string> sources_there;              // by sources_key
  int queries = 0;
  std::function<void()> on_query;

  Status open(const model::Settings&) override { return {}; }
  Result<std::optional<CachedArtifact>> artifact(const ArtifactName& name) override {
    ++queries;
    if (on_query) on_query();
    const auto found = artifacts.find(std::string(name.key));
    if (found == artifacts.end()) return std::optional<CachedArtifact>{};
    return found->second;
  }
  std::vector<Result<std::optional<CachedArtifact>>> artifacts_of(
      const std::vector<ArtifactName>& names) override {
    std::vector<Result<std::optional<CachedArtifact>>> found;
    for (const ArtifactName& name : names) found.push_back(artifact(name));
    return found;
  }
  Result<std::optional<CachedArtifact>> committed(const ArtifactName& name) override {
    return artifact(name);
  }
  Result<std::optional<model::Digest>> sources(const std::string& key) override {
    if (!sources_there.contains(key)) return std::optional<model::Digest>{};
    return model::Digest{key, 1};
  }
  Status adopt(const Adoption& wanted, const model::Digest& message) override {
    adopted.push_back(wanted);
    if (message.hash == "no room here") return fail("util", "enospc", "No space left on device");
    if (message.hash != "good") return fail("remote", "bad-result", "It is another artifact");
    add(wanted.element, wanted.success);
    return {};
  }
  Status keep_log(const model::Digest& log, std::string_view tail,
                  const std::string& path) override {
    logs.push_back(path + ": " + (log.empty() ? std::string(tail) : log.hash));
    return {};
  }
  Result<std::optional<model::Digest>> message_of(const ArtifactName& name) override {
    if (!artifacts.contains(std::string(name.key))) return std::nullopt;
    return model::Digest{"message-" + std::string(name.key), 1};
  }
  std::vector<Adoption> adopted;
  std::vector<std::string> logs;
  Status replay_log(const CachedArtifact&, const std::string& path,
                    const std::string& last_line) override {
    replayed.push_back(path + ": " + last_line);
    return {};
  }
  std::string log_tail(const std::string&, std::uint32_t) override { return "the last line"; }
  void forget() override { ++forgotten; }
  std::string settle() override { return {}; }
  int forgotten = 0;

  void add(const std::string& name, bool success = true) {
    CachedArtifact artifact;
    artifact.success = success;
    artifact.files = {key_of(name), 1};
    artifact.key = key_of(name);
    if (!success) artifact.error = "Command failed";
    artifacts[key_of(name)] = artifact;
  }
  std::vector<std::string> replayed;
};

struct SentMessage {
  std::string runner, name, body;
};

// What one scheduler process does to the rest of the world.
struct FakeOutputs final : Outputs {
  std::vector<std::string>& log;  // the journal, which outlives the process
  std::deque<SentMessage> sent;
  std::vector<wire::Event> events;
  std::vector<std::uint64_t> ordinals;
  int runners_started = 0;
  bool disk_full = false;
  bool full = false;

  explicit FakeOutputs(std::vector<std::string>& journal_records) : log(journal_records) {}
  Status journal(const std::vector<std::string_view>& records) override {
    if (disk_full) return fail("util", "enospc", "no space");
    for (const auto record : records) log.emplace_back(record);
    return {};
  }
  void publish(std::string_view type, std::string packed, std::uint64_t ordinal) override {
    auto event = wire::decode_event(packed);
    REQUIRE(event);
    REQUIRE(event->type == type);
    REQUIRE(event->session);
    events.push_back(*event);
    ordinals.push_back(ordinal);
  }
  void send(const std::string& runner, std::string_view name, std::string body) override {
    sent.push_back({runner, std::string(name), std::move(body)});
  }
  void start_runner() override { ++runners_started; }
  void write_refs(std::uint64_t job, std::string arguments) override {
    auto decoded = wire::decode<wire::WriteRefs>(arguments);
    REQUIRE(decoded);
    refs.emplace_back(job, std::move(decoded->edits));
  }
  void reload(std::string arguments) override {
    auto decoded = wire::decode<wire::ReloadArguments>(arguments);
    REQUIRE(decoded);
    CHECK(decoded->snapshot_id.size() == 64);
    reloads.push_back(decoded->snapshot_file);
  }
  std::vector<std::pair<std::uint64_t, std::vector<wire::RefEdit>>> refs;
  std::vector<std::string> reloads;  // of the snapshots in these files
  bool congested() const override { return full; }
  bool want_durations(const std::string&, const std::vector<std::string>& projects) override {
    durations_of.push_back(projects);
    return knows_durations;
  }
  void took(JobDuration job) override { taken.push_back(std::move(job)); }
  bool knows_durations = false;
  std::vector<std::vector<std::string>> durations_of;
  std::vector<JobDuration> taken;

  // Messages of that name to that runner, taken out.
  template <typename T>
  std::vector<T> take(const std::string& runner) {
    std::vector<T> out;
    for (auto it = sent.begin(); it != sent.end();) {
      if (it->runner != runner || it->name != T::kName) {
        ++it;
        continue;
      }
      auto message = wire::decode<T>(it->body);
      REQUIRE(message);
      out.push_back(std::move(*message));
      it = sent.erase(it);
    }
    return out;
  }
  std::vector<wire::Job> take_jobs(const std::string& runner) {
    std::vector<wire::Job> out;
    for (auto& batch : take<wire::JobBatch>(runner)) {
      for (auto& job : batch.jobs) out.push_back(std::move(job));
    }
    return out;
  }
  std::vector<wire::Event> of(std::string_view type) const {
    std::vector<wire::Event> out;
    for (const auto& event : events) {
      if (event.type == type) out.push_back(event);
    }
    return out;
  }
};

inline std::string name_of(const wire::Job& job) {
  auto element = wire::decode<wire::JobElement>(job.element.bytes);
  REQUIRE(element);
  return element->name;
}

// A scheduler with its world. crash() and start() are another process on the same journal and
// store.
struct World {
  FakeClock clock;
  FakeStore store;
  std::vector<std::string> journal;
  std::unique_ptr<FakeOutputs> out;
  std::unique_ptr<Core> core;
  std::uint64_t epoch = 0;
  TestDirectory owned;
  const std::filesystem::path directory = owned.str();
  std::map<std::string, std::uint32_t> slots;
  int snapshots = 0;
  bool tampered = false;  // the journal, or a snapshot, isn't what was written
  std::function<void(CoreOptions&)> configure;

  explicit World(std::function<void(CoreOptions&)> options = {}) : configure(std::move(options)) {
    start();
  }
  ~World() { check_model(); }

  static std::string digest(const SessionModel& model) {
    StateDigest digest;
    model.add_to(digest);
    return digest.str();
  }
  std::string model() const { return digest(core->model()); }
  // Nothing but the changes in the journal has made the model what it is. Every test ends with
  // that, and every death of a scheduler.
  void check_model() {
    if (!core || tampered || out->disk_full) return;
    Effects none;
    Changes again(clock, *out, none);
    again.begin_replay(0);
    for (const auto& record : journal) {
      const auto followed = again.replay(record);
      INFO((followed ? std::string() : followed.error().str()));
      CHECK(followed);
    }
    CHECK(digest(again.model()) == model());
  }

  Status try_start() {
    check_model();
    core.reset();
    out = std::make_unique<FakeOutputs>(journal);
    CoreOptions options;
    options.session = "s1";
    options.verb = "build";
    options.epoch = ++epoch;
    options.platform = "linux/x86-64";
    if (configure) configure(options);
    core = std::make_unique<Core>(clock, store, *out, std::move(options));
    const std::vector<std::string> records = journal;
    std::uint64_t mark = 0;
    for (const auto& record : records) {
      if (change_name(record) == Published::kName) mark = wire::decode<Published>(record)->upto;
    }
    core->begin_replay(mark);
    for (const auto& record : records) {
      if (auto followed = core->replay(record); !followed) return followed;
    }
    return core->recovered();
  }
  void start() {
    auto started = try_start();
    INFO((started ? std::string() : started.error().str()));
    REQUIRE(started);
  }

  std::string write(model::Snapshot snapshot) {
    const std::string file = (directory / std::to_string(++snapshots)).string();
    REQUIRE(wire::write_snapshot(file, snapshot));
    return file;
  }
  wire::RunArguments build(const std::string& file, const std::string& deps = "run") {
    wire::RunArguments arguments;
    arguments.verb = Action::kBuild;
    arguments.snapshot_file = file;
    arguments.deps = deps;
    return arguments;
  }
  void run(const wire::RunArguments& arguments) {
    auto accepted = core->run(arguments);
    INFO((accepted ? std::string() : accepted.error().str()));
    REQUIRE(accepted);
  }

  template <typename T>
  void say(const std::string& runner, const T& message) {
    core->on_message(runner, {std::string(T::kName), wire::encode(message)});
  }
  void hello(const std::string& runner, std::uint32_t slot_count = 2,
             std::vector<wire::JobId> running = {}, std::vector<wire::JobId> waiting = {},
             std::vector<wire::JobId> outbox = {}, std::uint64_t runner_epoch = 1) {
    wire::RunnerHello message;
    message.hello.protocol = "jobs/1";
    message.hello.role = "runner";
    message.hello.instance = runner;
    message.hello.epoch = runner_epoch;
    message.host = "here";
    message.slots = slot_count;
    message.running = std::move(running);
    message.waiting = std::move(waiting);
    message.outbox = std::move(outbox);
    slots[runner] = slot_count;
    say(runner, message);
  }
  // A runner from elsewhere, on a machine of its own, for what `change` doesn't say otherwise.
  void join(const std::string& runner, std::uint32_t slot_count = 2,
            const std::function<void(wire::RunnerHello&)>& change = {}) {
    wire::RunnerHello message;
    message.hello.protocol = "jobs/1";
    message.hello.role = "runner";
    message.hello.instance = runner;
    message.hello.epoch = 1;
    message.host = "host-of-" + runner;
    message.slots = slot_count;
    message.remote = true;
    message.machine = "machine-of-" + runner;
    message.platform = "linux/x86-64";
    if (change) change(message);
    slots[runner] = message.slots;
    say(runner, message);
  }
  void started(const std::string& runner, const wire::JobId& id) {
    say(runner, wire::Started{{{id, 1, clock.wall_ns()}}});
  }
  // What a runner does when a job ends well (or not): the store first.
  wire::JobResult result_of(const wire::Job& job, Outcome status = Outcome::kSuccess) {
    const std::string name = name_of(job);
    if (job.action == Action::kBuild && status != Outcome::kKilled && status != Outcome::kError)
      store.add(name, status == Outcome::kSuccess);
    if (job.action == Action::kFetch && status == Outcome::kSuccess) {
      store.sources_there.insert(wire::decode<wire::JobElement>(job.element.bytes)->sources_key);
    }
    wire::JobResult result;
    result.id = job.id;
    result.status = status;
    result.elapsed = 1'000'000'000;
    // What a runner from elsewhere has uploaded, which others don't say.
    if (job.action == Action::kBuild) result.artifact_message = {"good", 1};
    if (status != Outcome::kSuccess && status != Outcome::kKilled) {
      result.error =
          wire::ErrorBody{.domain = "element", .reason = "command", .message = "Command failed"};
    }
    return result;
  }
  void finish(const std::string& runner, const wire::Job& job, Outcome status = Outcome::kSuccess) {
    started(runner, job.id);
    say(runner, wire::Results{{result_of(job, status)}});
  }
  // Does every job that the runner is given, in order; those named fail. The names, in the order
  // done.
  std::vector<std::string> work(const std::string& runner,
                                const std::set<std::string>& failing = {}) {
    std::vector<std::string> done;
    for (;;) {
      const auto jobs = out->take_jobs(runner);
      if (jobs.empty()) return done;
      for (const auto& job : jobs) {
        const std::string name = name_of(job);
        done.push_back(std::string(text_of(job.action)) + ":" + name);
        finish(runner, job, failing.contains(name) ? Outcome::kFailure : Outcome::kSuccess);
      }
    }
  }
  std::string outcome() const {
    const auto finished = out->of("run.finished");
    return finished.empty() ? "" : finished.back().outcome;
  }
  void pass(Duration time) {
    const Duration step = std::chrono::milliseconds(500);
    for (Duration gone{}; gone < time; gone += step) {
      clock.advance(std::min(step, time - gone));
      core->tick();
    }
  }
};

}  // namespace sluice::scheduler
