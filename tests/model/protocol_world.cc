#include "tests/model/protocol_world.h"

#include <algorithm>

#include <fmt/format.h>

#include "wire/snapshot.h"

namespace sluice::search {

using std::chrono::seconds;

// ---- Host: what a runner does to the world -------------------------------------

void Host::send(std::string_view message, std::string body) {
  if (!world_.core_) return;  // there is no connection
  to_scheduler.push_back({std::string(message), std::move(body)});
}

std::uint64_t Host::publish(std::string_view, std::string, std::string_view) {
  ++published;
  if (!world_.setup_.broker_lags) acknowledged_upto = published;
  return published;
}

Status Host::start(const jobs::JobStart& start) {
  if (frozen) world_.wrong("a process starts though the session is suspended");
  Process process;
  process.job = start.job;
  processes.emplace(start.job.id, std::move(process));
  return {};
}

void Host::cancel(const wire::JobId& id, Duration) {
  if (const auto found = processes.find(id); found != processes.end())
    found->second.cancelled = true;
}

// ---- World ---------------------------------------------------------------------

World::World(const Setup& setup, const std::string& snapshot_file) : setup_(setup) {
  for (unsigned n = 0; n < setup.runners; ++n)
    hosts_.push_back(std::make_unique<Host>(*this, n, n + setup.far >= setup.runners));
  start_scheduler();
  wire::RunArguments arguments;
  arguments.verb = model::Action::kBuild;
  arguments.snapshot_file = snapshot_file;
  arguments.deps = "run";
  if (setup.caches) {
    model::Remote remote;
    remote.url = "http://cache";
    remote.push = true;
    arguments.remotes = {{{remote}, {}}};
  }
  if (!core_->run(arguments)) wrong("the run doesn't start");
}

void World::wrong(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

void World::start_scheduler() {
  scheduler::CoreOptions options{.session = "s", .verb = "build", .epoch = ++epoch_};
  options.listens = setup_.far > 0 && setup_.mutation != Mutation::kNoPatience;
  core_ = std::make_unique<scheduler::Core>(clock_, store_, *this, std::move(options));
  const std::vector<std::string> records = journal_;
  core_->begin_replay(0);
  for (const auto& record : records) {
    if (auto followed = core_->replay(record); !followed)
      return wrong("the journal can't be followed: " + followed.error().str());
  }
  if (setup_.mutation == Mutation::kNone && !model_at_death_.empty() &&
      digest_of(core_->model()) != model_at_death_) {
    wrong("the journal makes another model than the one that died");
  }
  if (auto recovered = core_->recovered(); !recovered)
    return wrong("no recovery: " + recovered.error().str());
  if (epoch_ > 1) restarted_ = clock_.monotonic();
  for (auto& host : hosts_) {
    if (host->runner) host->to_runner.push_back({});  // J1
  }
}

void World::start(Host& host) {
  ++host.epoch;
  jobs::RunnerOptions options;
  options.hello.protocol = "jobs/1";
  options.hello.role = "runner";
  options.hello.instance = host.name;
  options.hello.epoch = host.epoch;
  options.host = host.far ? "host-of-" + host.name : "here";
  options.slots = setup_.builders;
  if (host.far) {
    options.offer.machine = "machine-of-" + host.name;
    options.offer.platform = sandbox::host_platform();
    options.place = jobs::RemotePlace{.cachedir = "/far/cache",
                                      .sourcedir = "/far/sources",
                                      .builddir = "/far/build",
                                      .logdir = "/far/logs"};
  }
  // On no disk, but what the disk would have is in it: the heap is what outlives the process here.
  jobs::Outbox outbox;
  for (auto& result : host.disk) (void)outbox.add({std::move(result)});
  host.disk.clear();
  host.published = host.acknowledged_upto = 0;
  host.frozen = false;
  host.runner = std::make_unique<jobs::Runner>(clock_, host, std::move(outbox), options);
  if (core_) host.to_runner.push_back({});
}

Status World::journal(const std::vector<std::string_view>& records) {
  for (const auto record : records) {
    journal_.emplace_back(record);
    const std::string name = scheduler::change_name(record);
    if (name == scheduler::AttemptGiven::kName) {
      const auto change = read<scheduler::AttemptGiven>(record);
      work_of_[change.id.job] = {change.element, change.queue};
      if (applied_.contains({change.element, change.queue}))
        wrong(fmt::format("element {} had finished in {} and is given again", change.element,
                          change.queue));
      if (core_->suspended()) wrong("a job is given though the session is suspended");
      const auto host = std::find_if(hosts_.begin(), hosts_.end(),
                                     [&](const auto& each) { return each->name == change.runner; });
      open_[change.id].host = host == hosts_.end() ? nullptr : host->get();
      if (host != hosts_.end() && (*host)->rests != 0 &&
          core_->fleet().find(change.runner) != nullptr &&
          core_->fleet().find(change.runner)->epoch == (*host)->rests)
        wrong(fmt::format("{} rests and is given a job", change.runner));
    } else if (name == scheduler::AttemptStarted::kName) {
      open_[read<scheduler::AttemptStarted>(record).id].started = true;
    } else if (name == scheduler::AttemptLost::kName) {
      look_at_loss(read<scheduler::AttemptLost>(record));
    } else if (name == scheduler::AttemptEnded::kName) {
      const auto result = read<scheduler::AttemptEnded>(record).result;
      const Work& work = work_of_.at(result.id.job);
      if (open_.erase(result.id) == 0)
        wrong(fmt::format("attempt {}.{} has two ends", result.id.job, result.id.attempt));
      if (result.status == model::Outcome::kKilled) continue;
      if (!applied_.insert(work).second)
        wrong(fmt::format("two results of element {} in {} count", work.first, work.second));
      if (result.status == model::Outcome::kSuccess && !ended_well_.contains(result.id)) {
        wrong(fmt::format("attempt {}.{} succeeded, but never ended", result.id.job,
                          result.id.attempt));
      }
      const bool fine = result.status == model::Outcome::kSuccess ||
                        (result.status == model::Outcome::kSkipped && work.second == "Pull");
      if (!fine && !disturbed_)
        wrong(fmt::format("attempt {}.{} ended with {}", result.id.job, result.id.attempt,
                          text_of(result.status)));
    }
  }
  return {};
}

void World::publish(std::string_view type, std::string packed, std::uint64_t) {
  if (type != "run.finished") return;
  const auto event = wire::decode_event(packed);
  outcome_ = event ? event->outcome : "undecipherable";
  if (!disturbed_ && outcome_ != "success") wrong("the run ended with " + outcome_);
}

void World::send(const std::string& runner, std::string_view name, std::string body) {
  for (auto& host : hosts_) {
    if (host->name != runner || !host->runner) continue;
    if (setup_.mutation == Mutation::kLateUnanswered && answering_hello_ &&
        name == wire::Ending::kName)
      continue;
    // The scheduler's beats are said by beat(), where the runner's answer is looked for.
    if (name == wire::Heartbeat::kName) continue;
    host->to_runner.push_back({std::string(name), std::move(body)});
  }
}

void World::deliver_to_scheduler(Host& host) {
  Host::Message message = std::move(host.to_scheduler.front());
  host.to_scheduler.pop_front();
  if (setup_.mutation == Mutation::kNoFence && message.name == wire::Results::kName) {
    auto results = read<wire::Results>(message.body);
    for (auto& result : results.results) {
      const auto& attempts = core_->model()->attempts;
      if (const auto current = attempts.find(result.id.job); current != attempts.end())
        result.id = current->second.id;
    }
    message.body = wire::encode(results);
  }
  if (setup_.mutation == Mutation::kNoDedup && message.name == wire::Results::kName) {
    for (const auto& result : read<wire::Results>(message.body).results) {
      if (open_.contains(result.id)) continue;
      scheduler::AttemptEnded again;
      again.result = result;
      const std::string record = scheduler::pack_change(again);
      (void)journal({record});
    }
  }
  if (host.far) note_rest(host, message);
  answering_hello_ = message.name == wire::RunnerHello::kName;
  core_->on_message(host.name, {message.name, message.body});
  answering_hello_ = false;
  for (const wire::JobId& id : returned_) {
    const auto open = open_.find(id);
    if (open != open_.end() && !open->second.started && !disturbed_)
      wrong(fmt::format("attempt {}.{} was given back and isn't ready", id.job, id.attempt));
  }
  returned_.clear();
}

void World::deliver_to_runner(Host& host) {
  Host::Message message = std::move(host.to_runner.front());
  host.to_runner.pop_front();
  if (message.name.empty()) {
    host.runner->on_connected();
  } else if (message.name == wire::Cancel::kName) {
    hand_over(host, message);
  } else {
    host.runner->on_message(message.name, message.body);
  }
  look_for_end(host);
}

void World::look_for_end(Host& host) {
  if (host.over || !host.runner || !host.runner->ending() || !host.runner->idle()) return;
  if (host.leaving) {
    host.disk = jobs::RunnerState::outbox(*host.runner);
  } else {
    host.over = true;
  }
  host.leaving = false;
  host.runner.reset();
  host.transfers.clear();
  host.to_runner.clear();
}

// A beat's interval passes for one runner. `heard`: the scheduler's own beat came meanwhile.
void World::beat(Host& host, bool heard) {
  const std::size_t before = host.to_scheduler.size();
  if (heard) host.runner->on_message(wire::Heartbeat::kName, wire::encode(wire::Heartbeat{1}));
  for (int beats = 0; beats < 8 && host.to_scheduler.size() == before && !host.runner->ending();
       ++beats)
    host.runner->on_beat();
}

// Two seconds each step, in which nothing happens but beats and what they lead to.
void World::pass(int steps, const Host* silent, const Host* away) {
  silence_ = silent != nullptr;
  passing_ = true;
  for (int step = 0; step < steps; ++step) {
    clock_.advance(seconds(2));
    core_->tick();
    for (auto& host : hosts_) {
      if (!host->runner || host.get() == silent || host.get() == away) continue;
      beat(*host, core_->fleet().find(host->name) != nullptr);
      if (host->far) look_after(*host);
      while (!host->to_scheduler.empty() || (host->runner && !host->to_runner.empty())) {
        if (!host->to_scheduler.empty()) deliver_to_scheduler(*host);
        if (host->runner && !host->to_runner.empty()) deliver_to_runner(*host);
      }
    }
  }
  silence_ = passing_ = false;
}

void World::end_job(Host& host, const wire::JobId& id, std::optional<model::Outcome> status) {
  const wire::Job job = host.processes.at(id).job;
  const auto element = read<wire::JobElement>(job.element.bytes);
  host.processes.erase(id);
  if (status) {
    jobs::JobEvent message{.kind = "message", .level = "info", .text = "did something"};
    host.runner->on_job_event(id, message);
    jobs::JobEvent end{.kind = "result"};
    end.result.emplace();
    end.result->id = id;
    end.result->status = job.action == model::Action::kPull && status == model::Outcome::kSuccess
                             ? model::Outcome::kSkipped
                             : *status;
    // What was made elsewhere is to be brought home first.
    if (!host.far && status != model::Outcome::kKilled && job.action == model::Action::kBuild)
      store_.add(element.name, status == model::Outcome::kSuccess);
    if (!host.far && status == model::Outcome::kSuccess) ended_well_.insert(id);
    host.runner->on_job_event(id, end);
  } else if (const auto open = open_.find(id); open != open_.end()) {
    open->second.excused = true;
  }
  host.runner->on_job_end(id);
  look_for_end(host);
}

// ---- Actions -------------------------------------------------------------------

std::vector<Action> World::actions() const {
  std::vector<Action> out;
  const auto may = [&](Fault fault) { return budget(fault) > 0; };
  const auto add_fault = [&](Fault fault, unsigned host = 0, unsigned which = 0) {
    out.push_back(
        {Kind::kFault, fault, static_cast<std::uint8_t>(host), static_cast<std::uint8_t>(which)});
  };
  bool quiet = true;
  for (unsigned n = 0; n < hosts_.size(); ++n) {
    const Host& host = *hosts_[n];
    const auto add = [&](Kind kind, unsigned which = 0) {
      out.push_back({kind, {}, static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(which)});
    };
    quiet = quiet && !host.death_notice && !host.leaving && host.to_scheduler.empty() &&
            host.to_runner.empty();
    if (!host.to_scheduler.empty() && core_) add(Kind::kToScheduler);
    if (host.far) far_actions(n, out);
    if (core_ && host.death_notice) add(Kind::kDeathNotice);
    if (!host.runner) {
      if (runner_wanted_ && !host.far && !host.over && !ending_) {
        add(Kind::kStartRunner);
        quiet = false;  // the supervisor needs no lease for it
      }
      continue;
    }
    if (!host.to_runner.empty()) add(Kind::kToRunner);
    if (ending_ && !core_) add(Kind::kSupervisorEnds);
    unsigned which = 0;
    for (const auto& [id, process] : host.processes) {
      if (!host.frozen) add(Kind::kJobDone, which);
      if (process.cancelled) add(Kind::kJobKilled, which);
      if (may(Fault::kJobDies) && !process.cancelled) add_fault(Fault::kJobDies, n, which);
      if (may(Fault::kJobFails) && !process.cancelled && !host.frozen)
        add_fault(Fault::kJobFails, n, which);
      ++which;
    }
    if (host.published > host.acknowledged_upto) add(Kind::kAcknowledged);
    // One that lives reads before it beats; what it has not read when it does is what is sent
    // after.
    if (host.to_scheduler.empty() && host.to_runner.empty()) {
      add(Kind::kBeat);
    } else if (may(Fault::kEarlyBeat)) {
      add_fault(Fault::kEarlyBeat, n);
    }
    if (may(Fault::kRunnerDies)) {
      add_fault(Fault::kRunnerDies, n);
      if (!host.to_scheduler.empty()) add_fault(Fault::kRunnerDies, n, 1);
    }
    if (may(Fault::kDisconnects) && core_) {
      add_fault(Fault::kDisconnects, n);
      if (!host.to_scheduler.empty()) add_fault(Fault::kDisconnects, n, 1);
    }
    if (may(Fault::kDuplicate) && !host.to_scheduler.empty()) add_fault(Fault::kDuplicate, n);
  }
  if (!core_) {
    if (!ending_) out.push_back({Kind::kStartScheduler});
    return out;
  }
  if (quiet) {
    out.push_back({Kind::kTime});
    if (std::any_of(open_.begin(), open_.end(),
                    [&](const auto& each) { return awaited(each.first); }))
      out.push_back({Kind::kLongTime});
    for (unsigned n = 0; n < hosts_.size(); ++n) {
      if (may(Fault::kSilence) && hosts_[n]->runner) add_fault(Fault::kSilence, n);
    }
  }
  if (!core_->running() && !ending_) out.push_back({Kind::kCommandEnds});
  if (core_->suspended()) out.push_back({Kind::kResume});
  if (may(Fault::kSchedulerDies)) {
    add_fault(Fault::kSchedulerDies);
  }
  if (may(Fault::kUserEnds) && !ending_) add_fault(Fault::kUserEnds);
  if (core_->running() && !ending_) {
    if (may(Fault::kUserKills)) add_fault(Fault::kUserKills);
    if (may(Fault::kUserQuits)) add_fault(Fault::kUserQuits);
    if (may(Fault::kUserSuspends) && !core_->suspended()) add_fault(Fault::kUserSuspends);
  }
  return out;
}

void World::apply(const Action& action) {
  act(action);
  look_at_hands();
  if (setup_.mutation != Mutation::kNoOutbox) return;
  for (auto& host : hosts_) {
    for (const auto& message : host->to_scheduler) {
      if (message.name != wire::Results::kName || !host->runner) continue;
      wire::ResultAck forget;
      for (const auto& result : read<wire::Results>(message.body).results)
        forget.jobs.push_back(result.id);
      host->runner->on_message(wire::ResultAck::kName, wire::encode(forget));
    }
  }
}

void World::act(const Action& action) {
  Host& host = *hosts_.at(action.runner);
  const auto id_of = [&] { return std::next(host.processes.begin(), action.which)->first; };
  switch (action.kind) {
    case Kind::kStartScheduler: return start_scheduler();
    case Kind::kStartRunner: return start(host);
    case Kind::kToScheduler: return deliver_to_scheduler(host);
    case Kind::kToRunner: return deliver_to_runner(host);
    case Kind::kDeathNotice:
      host.death_notice = false;
      return core_->runner_died(host.name, host.epoch - (host.runner ? 1 : 0));
    case Kind::kJobDone: return end_job(host, id_of(), model::Outcome::kSuccess);
    case Kind::kJobKilled: return end_job(host, id_of(), model::Outcome::kKilled);
    case Kind::kAcknowledged:
      host.acknowledged_upto = host.published;
      return host.runner->on_acknowledged();
    case Kind::kBeat:
      return beat(host,
                  core_ && host.to_runner.empty() && core_->fleet().find(host.name) != nullptr);
    case Kind::kTime: return pass(6, nullptr);
    case Kind::kCommandEnds: ending_ = true; return core_->end();
    case Kind::kResume: return core_->resume();
    case Kind::kSupervisorEnds: host.runner->end(seconds(2)); return look_for_end(host);
    case Kind::kTransferred:
    case Kind::kLeaves:
    case Kind::kGone:
    case Kind::kAway:
    case Kind::kLongTime: return act_far(action);
    case Kind::kFault: return fault(action);
  }
}

void World::fault(const Action& action) {
  Host& host = *hosts_.at(action.runner);
  const auto id_of = [&] { return std::next(host.processes.begin(), action.which)->first; };
  --budget(action.fault);
  switch (action.fault) {
    case Fault::kSchedulerDies:
      model_at_death_ = digest_of(core_->model());
      core_.reset();
      for (auto& each : hosts_) {
        each->to_runner.clear();
        each->death_notice = false;
        each->rests = 0;
        each->to_scheduler.clear();
      }
      if (setup_.mutation == Mutation::kAckFirst) {
        const auto last = std::find_if(journal_.rbegin(), journal_.rend(), [](const auto& record) {
          return scheduler::change_name(record) == scheduler::AttemptEnded::kName;
        });
        if (last != journal_.rend()) journal_.erase(std::next(last).base(), journal_.end());
      }
      return;
    case Fault::kRunnerDies:
      if (setup_.mutation != Mutation::kOutboxDies)
        host.disk = jobs::RunnerState::outbox(*host.runner);
      excuse(host);
      host.runner.reset();
      host.leaving = false;
      host.processes.clear();
      host.transfers.clear();
      host.to_runner.clear();
      if (action.which == 0) host.to_scheduler.clear();
      host.death_notice = core_ != nullptr && !host.far;
      return;
    case Fault::kJobDies: return end_job(host, id_of(), std::nullopt);
    case Fault::kJobFails:
      disturbed_ = true;
      return end_job(host, id_of(), model::Outcome::kFailure);
    case Fault::kDisconnects:
      host.to_runner.clear();
      if (action.which == 0) host.to_scheduler.clear();
      if (host.runner) host.to_runner.push_back({});
      return;
    case Fault::kSilence: excuse(host); return pass(6, &host);
    case Fault::kDuplicate: host.to_scheduler.push_front(host.to_scheduler.front()); return;
    case Fault::kEarlyBeat: return beat(host, false);
    case Fault::kUserEnds: ending_ = disturbed_ = true; return core_->end();
    case Fault::kUserKills:
      disturbed_ = true;
      (void)core_->kill();
      return;
    case Fault::kUserQuits:
      disturbed_ = true;
      (void)core_->quit();
      return;
    case Fault::kUserSuspends: return core_->suspend([](Status) {});
    case Fault::kTransferFails:
    case Fault::kTerminated:
    case Fault::kDrainRunner:
    case Fault::kStopRunner:
    case Fault::kGivesUp: return fault_far(action);
    case Fault::kCount: return;
  }
}

bool World::finished() const {
  for (const auto& host : hosts_) {
    if (host->runner) return false;
  }
  if (!disturbed_ && applied_.size() != setup_.elements.size() * (setup_.caches ? 3 : 1))
    return false;
  return core_ ? core_->ended() : ending_;
}

}  // namespace sluice::search
