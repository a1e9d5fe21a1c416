#include "tests/model/protocol_world.h"

#include <algorithm>

#include <fmt/format.h>

#include "wire/snapshot.h"

namespace sluice {

namespace {

using Text = fmt::memory_buffer;

template <typename... Arguments>
void print(Text& out, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Arguments>(arguments)...);
}

void print(Text& out, const wire::JobId& id) { print(out, "{}.{},", id.job, id.attempt); }

template <typename T>
void print_ids(Text& out, const T& ids) {
  for (const wire::JobId& id : ids) print(out, id);
  print(out, ";");
}

// The scheduler's: what it is, without times. Leases are judged only after longer than one has
// passed, so that whether one is held is all that counts.
template <typename T>
std::string digest_of(const T& state) {
  scheduler::StateDigest digest;
  state.add_to(digest);
  return digest.str();
}

// What one of the two said or wrote.
template <typename T>
T read(std::string_view packed) {
  auto message = wire::decode<T>(packed);
  if (!message) throw std::runtime_error(message.error().str());
  return std::move(*message);
}

}  // namespace

namespace jobs {
struct RunnerState {
  static void print_to(Text& out, const Runner& runner) {
    print(out, "{} {}{}{}{}{} {} ", runner.connection_, +runner.greeted_,
          +runner.greeting_.welcomed(), +runner.suspended_, +runner.ending_, +runner.refused_,
          runner.silent_beats_);
    print(out, "{} {} {} ", runner.limits_.builders, runner.limits_.fetchers,
          runner.options_.slots);
    for (const auto& waiting : runner.waiting_) print(out, waiting.job.id);
    print(out, ";");
    for (const auto& [id, job] : runner.running_) {
      print(out, id);
      print(out, "{}{}", +job.cancelled, job.result.has_value());
    }
    print(out, ";");
    for (const auto& [id, result] : runner.outbox_.results()) {
      print(out, id);
      const auto record = runner.records_of_.find(id);
      print(out, "{}{} ", text_of(result.status),
            record != runner.records_of_.end() && record->second > runner.outputs_.acknowledged());
    }
    print_ids(out, runner.ready_);
  }
  static std::vector<wire::JobResult> outbox(const Runner& runner) {
    std::vector<wire::JobResult> results;
    for (const auto& [id, result] : runner.outbox_.results()) results.push_back(result);
    return results;
  }
};
}  // namespace jobs

namespace search {

using std::chrono::seconds;

namespace {

constexpr const char* kKinds[] = {"start the scheduler",
                                  "start",
                                  "the scheduler reads from",
                                  "reads",
                                  "death notice of",
                                  "job done at",
                                  "job killed at",
                                  "records acknowledged of",
                                  "beat of",
                                  "a lease passes",
                                  "the command ends the session",
                                  "resume",
                                  "the supervisor ends",
                                  "fault"};
constexpr const char* kFaults[] = {"scheduler dies",
                                   "runner dies",
                                   "job's process dies",
                                   "element fails",
                                   "disconnected",
                                   "stopped for a lease",
                                   "said twice",
                                   "beat before the last words were read",
                                   "the user ends the session",
                                   "the user kills the run",
                                   "the user quits the run",
                                   "the user suspends the session"};
static_assert(std::size(kFaults) == static_cast<std::size_t>(Fault::kCount));

// What of a message decides what follows; no times.
void print_message(Text& out, const Host::Message& message, bool of_runner) {
  print(out, "{}(", message.name);
  const std::string& body = message.body;
  if (message.name == wire::RunnerHello::kName) {
    const auto hello = read<wire::RunnerHello>(body);
    print(out, "{} {} ", hello.hello.epoch, hello.connection);
    print_ids(out, hello.outbox);
    print_ids(out, hello.running);
    print_ids(out, hello.waiting);
  } else if (message.name == wire::Results::kName) {
    for (const auto& result : read<wire::Results>(body).results) {
      print(out, result.id);
      print(out, "{}", text_of(result.status));
    }
  } else if (message.name == wire::Started::kName) {
    for (const auto& job : read<wire::Started>(body).jobs) print(out, job.id);
  } else if (message.name == wire::RunnerBeat::kName && of_runner) {
    const auto beat = read<wire::RunnerBeat>(body);
    print_ids(out, beat.running);
    print_ids(out, beat.outbox);
    print(out, "{}", +beat.suspended);
  } else if (message.name == wire::JobBatch::kName) {
    for (const auto& job : read<wire::JobBatch>(body).jobs) print(out, job.id);
  } else if (message.name == wire::Cancel::kName) {
    print_ids(out, read<wire::Cancel>(body).jobs);
  } else if (message.name == wire::ResultAck::kName) {
    print_ids(out, read<wire::ResultAck>(body).jobs);
  } else if (message.name == wire::Welcome::kName) {
    const auto welcome = read<wire::Welcome>(body);
    print(out, "{} {} {}", welcome.epoch, welcome.peer_epoch, welcome.connection);
  } else if (message.name == wire::Refused::kName) {
    print(out, "{}", read<wire::Refused>(body).reason);
  }
  print(out, ")");
}

}  // namespace

std::string Action::str() const {
  if (kind != Kind::kFault)
    return fmt::format("{} {} {}", kKinds[static_cast<std::size_t>(kind)], runner, which);
  return fmt::format("FAULT {} {} {}", kFaults[static_cast<std::size_t>(fault)], runner, which);
}

// ---- Host: what a runner does to the world -------------------------------------

void Host::send(std::string_view message, std::string body) {
  if (!world_.core_) return;  // there is no connection
  to_scheduler.push_back({std::string(message), std::move(body)});
}

Status Host::start(const jobs::JobStart& start) {
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
  for (unsigned n = 0; n < setup.runners; ++n) hosts_.push_back(std::make_unique<Host>(*this, n));
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
  core_ = std::make_unique<scheduler::Core>(
      clock_, store_, *this,
      scheduler::CoreOptions{.session = "s", .verb = "build", .epoch = ++epoch_});
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
  options.host = "here";
  options.slots = setup_.builders;
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
      open_.insert(change.id);
    } else if (name == scheduler::AttemptLost::kName) {
      const auto id = read<scheduler::AttemptLost>(record).id;
      open_.erase(id);
      // A job that ended while nobody listened is not run again. One whose runner was stopped for a
      // lease may be.
      if (ended_well_.contains(id) && !silence_)
        wrong(fmt::format("attempt {}.{} had ended well and is lost", id.job, id.attempt));
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
  answering_hello_ = message.name == wire::RunnerHello::kName;
  core_->on_message(host.name, {message.name, message.body});
  answering_hello_ = false;
}

void World::deliver_to_runner(Host& host) {
  const Host::Message message = std::move(host.to_runner.front());
  host.to_runner.pop_front();
  if (message.name.empty()) {
    host.runner->on_connected();
  } else {
    host.runner->on_message(message.name, message.body);
  }
  look_for_end(host);
}

void World::look_for_end(Host& host) {
  if (host.over || !host.runner || !host.runner->ending() || !host.processes.empty()) return;
  host.over = true;
  host.runner.reset();
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

// Twelve seconds, in which nothing happens but beats and what they lead to. `silent` is stopped
// meanwhile.
void World::pass_a_lease(const Host* silent) {
  silence_ = silent != nullptr;
  for (int step = 0; step < 6; ++step) {
    clock_.advance(seconds(2));
    core_->tick();
    for (auto& host : hosts_) {
      if (!host->runner || host.get() == silent) continue;
      beat(*host, core_->fleet().find(host->name) != nullptr);
      while (!host->to_scheduler.empty() || !host->to_runner.empty()) {
        if (!host->to_scheduler.empty()) deliver_to_scheduler(*host);
        if (host->runner && !host->to_runner.empty()) deliver_to_runner(*host);
        if (!host->runner) break;
      }
    }
  }
  silence_ = false;
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
    if (status != model::Outcome::kKilled && job.action == model::Action::kBuild)
      store_.add(element.name, status == model::Outcome::kSuccess);
    if (status == model::Outcome::kSuccess) ended_well_.insert(id);
    host.runner->on_job_event(id, end);
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
    quiet = quiet && !host.death_notice && host.to_scheduler.empty() && host.to_runner.empty();
    if (!host.to_scheduler.empty() && core_) add(Kind::kToScheduler);
    if (core_ && host.death_notice) add(Kind::kDeathNotice);
    if (!host.runner) {
      if (runner_wanted_ && !host.over && !ending_) {
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
    case Kind::kTime: return pass_a_lease(nullptr);
    case Kind::kCommandEnds: ending_ = true; return core_->end();
    case Kind::kResume: return core_->resume();
    case Kind::kSupervisorEnds: host.runner->end(seconds(2)); return look_for_end(host);
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
      host.runner.reset();
      host.processes.clear();
      host.to_runner.clear();
      if (action.which == 0) host.to_scheduler.clear();
      host.death_notice = core_ != nullptr;
      return;
    case Fault::kJobDies: return end_job(host, id_of(), std::nullopt);
    case Fault::kJobFails:
      disturbed_ = true;
      return end_job(host, id_of(), model::Outcome::kFailure);
    case Fault::kDisconnects:
      host.to_runner.clear();
      if (action.which == 0) host.to_scheduler.clear();
      host.to_runner.push_back({});
      return;
    case Fault::kSilence: return pass_a_lease(&host);
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

std::string World::state() const {
  Text out;
  for (const auto left : setup_.faults) print(out, "{}", left);
  print(out, " {}{}{}{} ", +runner_wanted_, +ending_, +disturbed_, core_ != nullptr);
  if (core_) {
    print(out, "{} ", digest_of(*core_));
  } else {
    print(out, "{} ", model_at_death_);
  }
  for (const auto& [element, queue] : applied_) print(out, "{}{},", element, queue);
  print(out, ";");
  for (const auto& [key, artifact] : store_.artifacts)
    print(out, "{}{} ", key.substr(0, 4), +artifact.success);
  for (const auto& host : hosts_) {
    print(out, "\n{} {}{}{}{} ", host->epoch, host->runner != nullptr, +host->frozen,
          +host->death_notice, +host->over);
    if (host->runner) jobs::RunnerState::print_to(out, *host->runner);
    for (const auto& result : host->disk) print(out, result.id);
    for (const auto& [id, process] : host->processes) {
      print(out, id);
      print(out, "{} ", +process.cancelled);
    }
    print(out, "{}>", host->published > host->acknowledged_upto);
    for (const auto& message : host->to_scheduler) print_message(out, message, true);
    print(out, "<");
    for (const auto& message : host->to_runner) print_message(out, message, false);
  }
  return fmt::to_string(out);
}

}  // namespace search
}  // namespace sluice
