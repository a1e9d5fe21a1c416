// The scheduler's core with a whole fleet of runners, without sockets.
//
// RUNNERS runners with SLOTS builds each beat once a second, SECONDS long, by a clock that is moved
// on by hand; then JOBS more builds are given as the ones before end, one message of a runner at a
// time. Prints what the core took of the processor: the part of one core for the beats, in percent,
// and microseconds for a job (its JOB, STARTED and RESULT, with the journal's records and those
// that are published).
//
// The messages are packed before, and what the core says is kept and read outside of the time that
// is measured.
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <time.h>

#include "base/clock.h"
#include "fleet_bench.h"
#include "scheduler/core.h"
#include "wire/snapshot.h"

namespace sluice::bench {

namespace {

using std::chrono::milliseconds;

// Processor time of this process, in nanoseconds.
std::int64_t spent() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// A store that has what was built, and nothing before.
class Store final : public scheduler::StoreView {
 public:
  Status open(const model::Settings&) override { return {}; }
  Result<std::optional<scheduler::CachedArtifact>> artifact(
      const scheduler::ArtifactName&) override {
    return std::nullopt;
  }
  std::vector<Result<std::optional<scheduler::CachedArtifact>>> artifacts_of(
      const std::vector<scheduler::ArtifactName>& names) override {
    return std::vector<Result<std::optional<scheduler::CachedArtifact>>>(names.size(),
                                                                         std::nullopt);
  }
  Result<std::optional<scheduler::CachedArtifact>> committed(
      const scheduler::ArtifactName& name) override {
    scheduler::CachedArtifact artifact;
    artifact.key = name.key;
    artifact.files = artifact.public_data = artifact.low_diversity_meta = {std::string(64, 'f'), 1};
    return artifact;
  }
  Result<std::optional<model::Digest>> sources(const std::string&) override { return std::nullopt; }
  Status replay_log(const scheduler::CachedArtifact&, const std::string&,
                    const std::string&) override {
    return {};
  }
  std::string log_tail(const std::string&, std::uint32_t) override { return {}; }
  void forget() override {}
  std::string settle() override { return {}; }
};

struct Message {
  std::string peer, name, body;
};

class Outputs final : public scheduler::Outputs {
 public:
  Status journal(const std::vector<std::string_view>& records) override {
    changes += records.size();
    return {};
  }
  void publish(std::string_view, std::string packed, std::uint64_t) override {
    published += packed.size();
  }
  void send(const std::string& peer, std::string_view name, std::string body) override {
    sent.push_back({peer, std::string(name), std::move(body)});
  }
  void start_runner() override {}

  std::size_t changes = 0, published = 0;
  std::vector<Message> sent;
};

class Fleet {
 public:
  Fleet(const std::string& directory, std::uint32_t runners, std::uint32_t slots,
        std::uint32_t jobs)
      : runners_(runners), slots_(slots) {
    core_ = std::make_unique<scheduler::Core>(
        clock_, store_, out_, scheduler::CoreOptions{.session = "bench", .verb = "build"});
    if (!core_->recovered()) die("no start");
    for (std::uint32_t number = 0; number < runners; ++number) {
      wire::RunnerHello hello;
      hello.hello.protocol = "jobs/1";
      hello.hello.role = "runner";
      hello.hello.instance = name(number);
      hello.hello.epoch = 1;
      hello.host = "host-" + std::to_string(number);
      hello.slots = slots;
      hello.connection = 1;
      say(number, hello);
    }
    run(directory + "/snapshot", runners * slots + jobs);
    read();
    // The jobs of the prefill wait at the runners.
    for (std::uint32_t number = 0; number < runners; ++number) start(number, slots);
  }

  // Percent of a core.
  double heartbeats(std::uint32_t seconds) {
    std::vector<wire::Frames> beats;
    for (std::uint32_t number = 0; number < runners_; ++number) {
      wire::RunnerBeat beat;
      const auto& hand = hands_[number];
      for (std::size_t i = 0; i < slots_; ++i) beat.running.push_back(hand.at(i));
      beats.push_back({std::string(wire::RunnerBeat::kName), wire::encode(beat)});
    }
    const std::size_t before = out_.changes;
    const std::int64_t began = spent();
    for (std::uint32_t second = 0; second < seconds; ++second) {
      for (std::uint32_t number = 0; number < runners_; ++number) {
        if (number % (runners_ / 4) == 0) {
          clock_.advance(milliseconds(250));
          core_->tick();
        }
        core_->on_message(peer(number), beats[number]);
      }
      // The status that a renderer subscribes to.
      if (core_->pack_status(scheduler::StatusOf::kShown).empty()) die("no status");
      out_.sent.clear();
    }
    const std::int64_t took = spent() - began;
    if (out_.changes != before) die("a beat has changed something");
    return 100.0 * static_cast<double>(took) / 1e9 / seconds;
  }

  // Microseconds for each of `jobs` more.
  double dispatch(std::uint32_t jobs) {
    std::int64_t took = 0;
    std::uint32_t done = 0;
    while (done < jobs) {
      std::vector<std::pair<std::uint32_t, wire::Frames>> results;
      for (std::uint32_t number = 0; number < runners_ && done < jobs; ++number, ++done) {
        auto& hand = hands_[number];
        if (hand.size() < slots_) die("a runner has less than it can do");
        wire::JobResult result;
        result.id = hand.front();
        result.status = model::Outcome::kSuccess;
        result.elapsed = 1'000'000'000;
        result.artifact.emplace();
        results.emplace_back(number, wire::Frames{std::string(wire::Results::kName),
                                                  wire::encode(wire::Results{{result}})});
        hand.erase(hand.begin());
      }
      clock_.advance(milliseconds(100));
      took += say(results);
      read();
      std::vector<std::pair<std::uint32_t, wire::Frames>> starts;
      for (const auto& [number, frames] : results)
        starts.emplace_back(number, started(number, slots_ - 1, slots_));
      took += say(starts);
    }
    return static_cast<double>(took) / 1000 / jobs;
  }

 private:
  static std::string name(std::uint32_t number) { return "runner-" + std::to_string(number + 2); }
  static std::string peer(std::uint32_t number) { return fmt::format("peer{:08}", number); }

  template <typename T>
  void say(std::uint32_t number, const T& message) {
    core_->on_message(peer(number), {std::string(T::kName), wire::encode(message)});
  }
  std::int64_t say(const std::vector<std::pair<std::uint32_t, wire::Frames>>& messages) {
    const std::int64_t began = spent();
    for (const auto& [number, frames] : messages) core_->on_message(peer(number), frames);
    return spent() - began;
  }
  wire::Frames started(std::uint32_t number, std::size_t from, std::size_t to) {
    wire::Started message;
    for (std::size_t i = from; i < to; ++i)
      message.jobs.push_back(
          {hands_[number].at(i), static_cast<std::uint32_t>(i), clock_.wall_ns()});
    return {std::string(wire::Started::kName), wire::encode(message)};
  }
  void start(std::uint32_t number, std::size_t count) {
    core_->on_message(peer(number), started(number, 0, count));
  }

  void run(const std::string& file, std::uint32_t elements) {
    model::Snapshot snapshot;
    snapshot.projects.push_back({.name = "fleet", .directory = "/nowhere"});
    snapshot.settings.cachedir = snapshot.settings.logdir = "/nowhere";
    snapshot.settings.on_error = "quit";
    snapshot.settings.builders = runners_ * slots_;
    for (std::uint32_t number = 0; number < elements; ++number) {
      model::Element element;
      element.name = element.full_name = fmt::format("components/element-{}.bst", number);
      element.kind = "manual";
      element.keys.full = element.keys.strict = element.keys.weak = fmt::format("{:064x}", number);
      snapshot.elements.push_back(std::move(element));
      snapshot.targets.push_back(number);
    }
    if (auto written = wire::write_snapshot(file, snapshot); !written) die(written.error().str());
    wire::RunArguments arguments;
    arguments.verb = model::Action::kBuild;
    arguments.snapshot_file = file;
    arguments.deps = "none";
    if (auto accepted = core_->run(arguments); !accepted) die(accepted.error().str());
  }

  // What each runner was given.
  void read() {
    hands_.resize(runners_);
    if (numbers_.empty()) {
      for (std::uint32_t number = 0; number < runners_; ++number)
        numbers_.emplace(peer(number), number);
    }
    for (const Message& message : out_.sent) {
      if (message.name != wire::JobBatch::kName) continue;
      auto batch = wire::decode<wire::JobBatch>(message.body);
      if (!batch) die(batch.error().str());
      for (const wire::Job& job : batch->jobs) hands_[numbers_.at(message.peer)].push_back(job.id);
    }
    out_.sent.clear();
  }

  const std::uint32_t runners_, slots_;
  FakeClock clock_;
  Store store_;
  Outputs out_;
  std::unique_ptr<scheduler::Core> core_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::vector<wire::JobId>> hands_;  // by runner, the first given first
};

}  // namespace

CoreCosts measure_core(const std::string& directory, std::uint32_t runners, std::uint32_t slots,
                       std::uint32_t seconds, std::uint32_t jobs) {
  Fleet fleet(directory, runners, slots, jobs + 2 * runners);
  CoreCosts costs;
  costs.beats_percent = fleet.heartbeats(seconds);
  costs.job_us = fleet.dispatch(jobs);
  return costs;
}

}  // namespace sluice::bench
