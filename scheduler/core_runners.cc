// The scheduler's end of the jobs link (spec/jobs.md): what runners say, leases.

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "scheduler/core.h"

namespace sluice::scheduler {

namespace {

constexpr std::size_t kMostInstance = 255;  // bytes

}  // namespace

// One that is forgotten says HELLO again when it hears that it is.
void Core::send(const std::string& runner, std::string_view name, std::string body) {
  const auto known = runners_.find(runner);
  if (known != runners_.end()) tell(known->second.peer, name, std::move(body));
}

void Core::tell(const std::string& peer, std::string_view name, std::string body) {
  effects_.push_back({Effect::Kind::kSend, std::string(name), std::move(body), peer, 0});
}

void Core::on_message(const std::string& peer, const wire::Frames& frames) {
  take_message(peer, frames);
  drive();
}

void Core::take_message(const std::string& peer, const wire::Frames& frames) {
  if (broken_) return;
  if (frames.size() == 1 && frames[0].empty()) return;  // the probe of a peer that sets it too
  if (frames.size() != 2) {
    ++malformed_;
    return;
  }
  const std::string& name = frames[0];
  const std::string& body = frames[1];
  if (name == wire::RunnerHello::kName) {
    on_hello(peer, body);
    return;
  }
  const auto known = std::find_if(runners_.begin(), runners_.end(), [&](const auto& entry) { return entry.second.peer == peer; });
  if (known == runners_.end()) {
    if (ended_ || ending_) {
      tell(peer, wire::Ending{options_.session});
    } else {
      tell(peer, wire::Refused{std::string(wire::kNoHello)});
    }
    return;
  }
  const std::string instance = known->first;
  known->second.heard = clock_.monotonic();
  const auto with = [&]<typename T>(T, auto&& handle) {
    auto message = wire::decode<T>(body);
    if (!message) {
      ++malformed_;
      spdlog::warn("{} of {}: {}", T::kName, instance, message.error().str());
      return;
    }
    handle(std::move(*message));
  };
  if (name == wire::Results::kName) {
    with(wire::Results{}, [&](wire::Results message) { on_results(instance, std::move(message)); });
  } else if (name == wire::Started::kName) {
    with(wire::Started{}, [&](const wire::Started& message) { on_started(instance, message); });
  } else if (name == wire::RunnerBeat::kName) {
    with(wire::RunnerBeat{}, [&](const wire::RunnerBeat& message) { on_beat(instance, message); });
  } else if (name == wire::Suspend::kName) {
    known->second.suspended = true;
    check_suspended(false);
  } else if (name == wire::Resume::kName) {
    known->second.suspended = false;
  } else if (name == wire::JobLimits::kName) {
    with(wire::JobLimits{}, [&](const wire::JobLimits& message) {
      if (message.slots > 0) known->second.slots = message.slots;
    });
  } else {
    ++malformed_;
  }
}

void Core::on_hello(const std::string& peer, const std::string& body) {
  auto hello = wire::decode<wire::RunnerHello>(body);
  if (!hello) {
    ++malformed_;
    return;
  }
  if (ending_ || ended_) return tell(peer, wire::Ending{options_.session});
  const std::string& instance = hello->hello.instance;
  const auto refuse = [&](std::string reason) {
    spdlog::warn("runner {} is refused: {}", instance, reason);
    tell(peer, wire::Refused{std::move(reason)});
  };
  if (hello->hello.protocol != "jobs/1") return refuse("protocol");
  if (hello->hello.role != "runner") return refuse("role");
  const bool is_another = std::any_of(runners_.begin(), runners_.end(), [&](const auto& entry) {
    return entry.second.peer == peer && entry.first != instance;
  });
  if (instance.empty() || instance.size() > kMostInstance || is_another) return refuse("instance");
  if (hello->slots == 0 || hello->slots > 65536) return refuse("slots");
  const auto earlier = runners_.find(instance);
  if (earlier != runners_.end() && hello->hello.epoch < earlier->second.epoch) return refuse("stale-epoch");
  // The last words of a process that is dead.
  if (const auto died = died_.find(instance); died != died_.end() && hello->hello.epoch <= died->second) return refuse("stale-epoch");

  // On the same connection nothing gets lost: what this HELLO does not list is on its way to the runner, or back.
  const bool again = earlier != runners_.end() && hello->connection != 0 && hello->connection == earlier->second.connection &&
                     hello->hello.epoch == earlier->second.epoch;
  const Duration now = clock_.monotonic();
  Runner& runner = runners_[instance];
  // Whoever said it before has nothing more to say.
  runner.peer = peer;
  runner.host = hello->host;
  runner.epoch = hello->hello.epoch;
  runner.connection = hello->connection;
  runner.slots = hello->slots;
  runner.heard = now;
  runner.suspended = false;
  runner.given = {};
  wire::Welcome welcome;
  welcome.session = options_.session;
  welcome.epoch = options_.epoch;
  welcome.heartbeat_ms = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(options_.heartbeat()).count());
  welcome.lease_ms = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(options_.lease).count());
  welcome.peer_epoch = hello->hello.epoch;
  welcome.connection = hello->connection;
  send(instance, welcome);
  if (suspended_) send(instance, wire::Suspend{});
  send_limits(instance);

  // J13: what it lists and we know goes on, the rest is cancelled.
  std::set<wire::JobId> listed(hello->running.begin(), hello->running.end());
  listed.insert(hello->waiting.begin(), hello->waiting.end());
  std::vector<wire::JobId> unknown;
  for (const wire::JobId& id : listed) {
    Attempt* attempt = current(id, instance);
    if (attempt == nullptr || attempt->cancelled) unknown.push_back(id);
  }
  listed.insert(hello->outbox.begin(), hello->outbox.end());
  std::vector<wire::JobId> running, missing;
  for (auto& [job, attempt] : attempts_) {
    if (attempt.runner != instance) continue;
    ++runner.given[static_cast<std::size_t>(attempt.traits().resource)];
    attempt.lease_until = now + options_.lease;
    if (!listed.contains(attempt.id)) {
      if (!again) missing.push_back(attempt.id);
      continue;
    }
    attempt.state = attempt.started ? AttemptState::kRunning : AttemptState::kGiven;
    if (!attempt.started) running.push_back(attempt.id);
  }
  cancel(instance, unknown);
  // A STARTED that was lost with the connection.
  const std::set<wire::JobId> runs(hello->running.begin(), hello->running.end());
  for (const wire::JobId& id : running) {
    if (runs.contains(id)) (void)commit(AttemptStarted{stamp(), id, 0, runner.host});
  }
  for (const wire::JobId& id : missing) lose(id, "Its runner does not have it");
}

void Core::on_started(const std::string& instance, const wire::Started& message) {
  std::vector<wire::JobId> unknown;
  const std::string host = runners_.at(instance).host;
  for (const wire::StartedJob& job : message.jobs) {
    Attempt* attempt = current(job.id, instance);
    if (attempt == nullptr) {
      unknown.push_back(job.id);
      continue;
    }
    attempt->lease_until = clock_.monotonic() + options_.lease;
    if (attempt->state == AttemptState::kInDoubt) attempt->state = AttemptState::kRunning;
    if (attempt->started) continue;
    (void)commit(AttemptStarted{stamp(), job.id, job.slot, host});
  }
  cancel(instance, unknown);
}

void Core::on_results(const std::string& instance, wire::Results message) {
  wire::ResultAck acknowledged;
  for (wire::JobResult& result : message.results) {
    acknowledged.jobs.push_back(result.id);
    // A job that was over before its STARTED came has started all the same.
    Attempt* attempt = current(result.id, instance);
    const bool says_start = attempt != nullptr && !attempt->traits().brief;
    if (says_start && !attempt->started && result.status != Outcome::kKilled) {
      (void)commit(AttemptStarted{stamp(), result.id, 0, runners_.at(instance).host});
    }
    take_result(instance, std::move(result));
  }
  // Goes out after the journal has them (J27).
  send(instance, acknowledged);
}

void Core::on_beat(const std::string& instance, const wire::RunnerBeat& message) {
  const Duration until = clock_.monotonic() + options_.lease;
  std::vector<wire::JobId> unwanted;
  const std::string host = runners_.at(instance).host;
  for (const wire::JobId& id : message.running) {
    Attempt* attempt = current(id, instance);
    if (attempt == nullptr) {
      unwanted.push_back(id);
      continue;
    }
    attempt->lease_until = until;
    if (attempt->cancelled) unwanted.push_back(id);
    if (attempt->state == AttemptState::kInDoubt) attempt->state = AttemptState::kRunning;
    if (!attempt->started) (void)commit(AttemptStarted{stamp(), id, 0, host});
  }
  // Results that wait there, for the broker as a rule. What is listed and not current was acknowledged meanwhile.
  for (const wire::JobId& id : message.outbox) {
    if (Attempt* attempt = current(id, instance)) attempt->lease_until = until;
  }
  for (auto& [job, attempt] : attempts_) {
    if (attempt.runner == instance && attempt.state == AttemptState::kGiven) attempt.lease_until = until;
  }
  cancel(instance, unwanted);
  Runner& runner = runners_.at(instance);
  if (suspended_ && message.suspended) {
    runner.suspended = true;
    check_suspended(false);
  } else if (suspended_) {
    send(instance, wire::Suspend{});
  } else if (message.suspended) {
    send(instance, wire::Resume{});
  }
}

void Core::judge_leases() {
  const Duration now = clock_.monotonic();
  std::vector<std::pair<std::string, wire::JobId>> expired;
  for (const auto& [job, attempt] : attempts_) {
    if (attempt.lease_until < now) expired.emplace_back(attempt.runner, attempt.id);
  }
  for (const auto& [instance, id] : expired) {
    spdlog::warn("the lease of job {} attempt {} at {} has expired", id.job, id.attempt, instance);
    lose(id, fmt::format("Nothing was heard of it at {} for {} seconds", instance,
                         std::chrono::duration_cast<std::chrono::seconds>(options_.lease).count()));
    if (runners_.contains(instance)) cancel(instance, {id});
  }
  // A runner that is silent gets no more jobs: it would lose them all again.
  for (auto runner = runners_.begin(); runner != runners_.end();) {
    const bool silent = runner->second.heard + options_.lease < now;
    const auto& given = runner->second.given;
    const bool idle = std::all_of(given.begin(), given.end(), [](std::uint32_t jobs) { return jobs == 0; });
    if (silent && (idle || runner->second.heard + options_.forget() < now)) {
      runner = runners_.erase(runner);
    } else {
      ++runner;
    }
  }
}

// A runner keeps to fewer by itself, and starts what it has in hand as its own jobs end. What several have in hand
// would be more than they may do together: it is taken back (J54), the last that was given first.
void Core::take_back() {
  if (!run_ || runners_.size() < 2) return;
  for (const Resource resource : {Resource::kProcess, Resource::kDownload}) {
    const auto of_resource = [&](const auto& entry) { return entry.second.traits().resource == resource; };
    auto held = static_cast<std::uint64_t>(std::count_if(attempts_.begin(), attempts_.end(), of_resource));
    std::map<std::string, std::vector<wire::JobId>> surplus;
    for (auto found = attempts_.rbegin(); found != attempts_.rend() && held > limit(resource); ++found) {
      const Attempt& attempt = found->second;
      if (!of_resource(*found) || attempt.started || attempt.cancelled || attempt.state != AttemptState::kGiven) continue;
      surplus[attempt.runner].push_back(attempt.id);
      --held;
    }
    for (const auto& [instance, ids] : surplus) {
      for (const wire::JobId& id : ids) lose(id, "Fewer jobs at once were asked for");
      if (runners_.contains(instance)) cancel(instance, ids);
    }
  }
}

// Until somebody sets them, the settings in the jobs say it.
void Core::send_limits(const std::string& instance) {
  wire::JobLimits limits;
  limits.builders = limits_[static_cast<std::size_t>(Resource::kProcess)];
  limits.fetchers = limits_[static_cast<std::size_t>(Resource::kDownload)];
  if (limits.builders != 0 || limits.fetchers != 0) send(instance, limits);
}

void Core::runner_died(const std::string& instance, std::uint64_t epoch) {
  died_[instance] = std::max(died_[instance], epoch);
  if (const auto known = runners_.find(instance); known != runners_.end() && known->second.epoch > epoch) return;
  // Its outbox has outlived it: what it had done is not lost. Its successor's HELLO says what is.
  for (auto& [job, attempt] : attempts_) {
    if (attempt.runner != instance) continue;
    attempt.state = AttemptState::kInDoubt;
    attempt.lease_until = clock_.monotonic() + options_.lease;
  }
  runners_.erase(instance);
  check_suspended(false);
  drive();
}

}  // namespace sluice::scheduler
