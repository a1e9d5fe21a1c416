#include "scheduler/core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/try.h"

namespace sluice::scheduler {

Core::Core(const Clock& clock, StoreView& store, Outputs& outputs, CoreOptions options)
    : clock_(clock), store_(store), outputs_(outputs), options_(std::move(options)),
      changes_(clock, outputs, *this),
      fleet_(options_.lease, options_.listens ? kReturn : Duration::zero()),
      choice_({options_.platform, options_.listens}, fleet_), forecast_(clock),
      narrator_({options_.session, options_.verb}, changes_, fleet_, forecast_, watching_),
      dispatcher_(clock, store, outputs, changes_, fleet_, choice_, narrator_, forecast_),
      last_tick_(clock.monotonic()), last_beat_(last_tick_) {
  dispatcher_.sign_by(options_.ticket_secret);
}

Core::~Core() = default;

Status Core::recovered() {
  changes_.end_replay();
  CHECK(changes_.commit(ProcessStarted{changes_.stamp(), options_.epoch}));
  if (ended()) return changes_.flush();
  if (model()->loaded) {
    CHECK(store_.open(model()->loaded->snapshot.settings));
  }
  if (model()->run) {
    CHECK(dispatcher_.check_store());
    std::vector<wire::JobId> lost;
    for (const auto& [job, attempt] : model()->attempts) {
      if (attempt.runner.empty()) {
        lost.push_back(attempt.id);
      } else {
        fleet_.doubt(attempt.id, attempt.action, attempt.started, attempt.runner,
                     clock_.monotonic());
      }
    }
    for (const wire::JobId& id : lost) {
      if (auto given = changes_.commit(AttemptLost{
              .at = changes_.stamp(), .id = id, .why = "the scheduler was started again"});
          !given)
        return given;
    }
  }
  drive();
  if (changes_.broken()) return fail("scheduler", "journal", "the journal can't be written");
  return {};
}

// ---- Effects -------------------------------------------------------------------

void Core::run_started(const RunStarted& change) {
  narrator_.set_project(model()->loaded->snapshot.projects[0].name);
  dispatcher_.run_started();
  reload_asked_ = false;
  narrator_.run_started(change);
}

// What the journal says of attempts this process has heard of from nobody: recovered() tells the
// fleet.
void Core::given(const Attempt& attempt) {
  if (!changes_.replaying() && !attempt.runner.empty())
    fleet_.give(attempt.id, attempt.action, attempt.runner, clock_.monotonic());
}

void Core::started(const Attempt& attempt) {
  if (!changes_.replaying()) fleet_.start(attempt.id, attempt.runner);
}

void Core::released(const Attempt& attempt) {
  watching_.released(attempt.id);
  if (!changes_.replaying()) fleet_.release(attempt.id, attempt.runner);
}

void Core::worked(const Attempt& attempt, const wire::JobResult& result) {
  forecast_.worked(attempt.element, attempt.action, result.elapsed);
  if (changes_.replaying() || result.elapsed < kShortestDuration) return;
  const KnownSnapshot& loaded = *model()->loaded;
  outputs_.took({loaded.project(attempt.element).name, loaded.element(attempt.element).name,
                 attempt.action, result.elapsed});
}

// ---- Runs ----------------------------------------------------------------------

Result<std::unique_ptr<KnownSnapshot>> Core::prepare(RunStarted& change) {
  auto read = KnownSnapshot::read(change.arguments.snapshot_file);
  if (!read) return read;
  KnownSnapshot& loaded = **read;
  if (loaded.snapshot.projects.empty())
    return fail("scheduler", "bad-snapshot", loaded.file + ": no project");
  if (model()->loaded) loaded.carry_from(*model()->loaded);
  narrator_.set_project(loaded.snapshot.projects[0].name);
  CHECK(store_.open(loaded.snapshot.settings));
  auto run = TRY(Run::make(loaded, change.number, change.arguments));
  CHECK(dispatcher_.query(loaded, run, change));
  CHECK(run.check_supported());
  change.snapshot_id = loaded.snapshot.id;
  return read;
}

Result<wire::RunAccepted> Core::run(const wire::RunArguments& arguments,
                                    const std::string& request) {
  if (!request.empty() && request == model()->last_request) return wire::RunAccepted{model()->runs};
  if (ending_ || ended()) return fail("scheduler", "ending", "The session is ending");
  if (model()->run)
    return fail("scheduler", "busy",
                fmt::format("Run {} of this session is not finished", model()->run->number()));
  RunStarted change;
  change.number = model()->runs + 1;
  change.arguments = arguments;
  change.request = request;
  auto loaded = TRY(prepare(change));
  changes_.offer(std::move(loaded));
  change.at = changes_.stamp();
  CHECK(changes_.commit(change));
  drive();
  if (changes_.broken()) return fail("scheduler", "journal", "The journal can't be written");
  return wire::RunAccepted{change.number};
}

void Core::maybe_finish() {
  if (!model()->run || !model()->attempts.empty() || !model()->writing.empty() ||
      model()->suspended)
    return;
  const Run& run = *model()->run;
  if (model()->terminated) {
    // A run that was terminated gives up what hasn't been done.
  } else if (model()->stopping) {
    if (run.any_ready(true)) return;
  } else if (run.any_ready() || !model()->prompts.empty()) {
    return;
  }
  if (waits_for_snapshot() || (!model()->stopping && run.awaits_keys())) return;
  RunFinished change;
  change.at = changes_.stamp();
  change.outcome = model()->any_failed   ? "failure"
                   : model()->terminated ? "terminated"
                   : model()->stopping   ? "quit"
                                         : "success";
  (void)changes_.commit(change);
  settle_due_ = true;
}

// ---- Steering ------------------------------------------------------------------

Status Core::quit() {
  if (!model()->run) return fail("scheduler", "no-run", "There is no run to quit");
  CHECK(changes_.commit(RunSteered{changes_.stamp(), "quit", 0}));
  drive();
  return {};
}

Status Core::kill() {
  if (!model()->run) return fail("scheduler", "no-run", "There is no run to kill");
  CHECK(terminate());
  // The jobs of a suspended session are stopped, so they couldn't end.
  resume();
  drive();
  return {};
}

Status Core::retry(const std::string& element) {
  if (!model()->run)
    return fail("scheduler", "no-run", "There is no run in which something could be tried again");
  const auto e = model()->loaded->find(element);
  if (!e)
    return fail("scheduler", "no-element", fmt::format("No element '{}' in this run", element));
  if (!model()->run->is_failed(*e))
    return fail("scheduler", "not-failed", fmt::format("Element '{}' has not failed", element));
  CHECK(changes_.commit(RunSteered{changes_.stamp(), "retry", *e}));
  drive();
  return {};
}

Status Core::set_limits(const wire::LimitsArguments& arguments) {
  if (ending_ || model()->ended) return fail("scheduler", "ending", "The session is ending");
  LimitsSet change;
  change.builders = model()->limits[static_cast<std::size_t>(Resource::kProcess)];
  change.fetchers = model()->limits[static_cast<std::size_t>(Resource::kDownload)];
  for (const auto& [wanted, limit, what] :
       {std::tuple{arguments.builders, &change.builders, "builders"},
        std::tuple{arguments.fetchers, &change.fetchers, "fetchers"}}) {
    if (!wanted) continue;
    if (*wanted < 1 || *wanted > wire::kMostJobs) {
      return fail("scheduler", "bad-arguments",
                  fmt::format("{} is no number of {}: 1 to {} are possible", *wanted, what,
                              wire::kMostJobs));
    }
    *limit = *wanted;
  }
  change.at = changes_.stamp();
  CHECK(changes_.commit(change));
  for (const auto& [instance, runner] : fleet_.known()) send_limits(*runner);
  dispatcher_.take_back();
  drive();
  return {};
}

Status Core::answer(std::uint64_t prompt, const std::string& choice, const std::string& by) {
  const auto found = model()->prompts.find(prompt);
  if (found == model()->prompts.end()) {
    if (prompt == 0 || prompt > model()->prompts_given)
      return fail("scheduler", "no-prompt", fmt::format("There is no prompt {}", prompt));
    return fail("scheduler", "answered", fmt::format("Prompt {} was answered already", prompt));
  }
  const auto& choices = found->second.section.choices;
  if (std::find(choices.begin(), choices.end(), choice) == choices.end()) {
    return fail("scheduler", "bad-choice",
                fmt::format("'{}' is no answer to prompt {}: {}", choice, prompt,
                            fmt::join(choices, ", ")));
  }
  const ElementIndex e = found->second.element;
  CHECK(changes_.commit(PromptAnswered{changes_.stamp(), prompt, choice, by}));
  if (choice != "continue") {
    if (auto committed =
            changes_.commit(RunSteered{changes_.stamp(), choice, choice == "retry" ? e : 0});
        !committed)
      return committed;
  }
  if (choice == "terminate") resume();
  drive();
  return {};
}

void Core::suspend(std::function<void(Status)> done) {
  if (suspend_done_)
    return done(fail("scheduler", "busy", "The session is being suspended already"));
  if (ending_) return done(fail("scheduler", "ending", "The session is ending"));
  if (!model()->suspended) {
    if (auto committed = changes_.commit(Suspended{changes_.stamp()}); !committed)
      return done(committed);
  }
  for (const auto& [instance, runner] : fleet_.known()) {
    if (!runner->suspended) send(*runner, wire::Suspend{});
  }
  suspend_done_ = std::move(done);
  suspend_deadline_ = clock_.monotonic() + kSuspendDeadline;
  drive();
  check_suspended(false);
}

void Core::check_suspended(bool expired) {
  if (!suspend_done_ || (fleet_.going() != 0 && !expired)) return;
  std::string missing;
  for (const auto& [instance, runner] : fleet_.known()) {
    if (!runner->suspended) missing += (missing.empty() ? "" : ", ") + runner->instance;
  }
  auto done = std::move(suspend_done_);
  suspend_done_ = nullptr;
  if (missing.empty()) return done(Status{});
  done(fail("scheduler", "not-suspended",
            fmt::format("No answer from {}: its jobs may be running", missing)));
}

void Core::resume() {
  if (!model()->suspended) return;
  if (suspend_done_) {
    auto done = std::move(suspend_done_);
    suspend_done_ = nullptr;
    done(fail("scheduler", "resumed", "The session was resumed meanwhile"));
  }
  (void)changes_.commit(Resumed{changes_.stamp()});
  for (const auto& [instance, runner] : fleet_.known()) {
    send(*runner, wire::Resume{});
    fleet_.set_suspended(*runner, false);
  }
  fleet_.renew_all(clock_.monotonic());
  dispatcher_.renew_waiting();
  drive();
}

// ---- The end -------------------------------------------------------------------

void Core::end() {
  if (ending_ || model()->ended) return;
  ending_ = true;
  end_deadline_ = clock_.monotonic() + kEndDeadline;
  if (model()->suspended) resume();
  if (model()->run) (void)terminate();
  narrator_.set_ending();
  drive();
}

// Called when the last job is gone, or when they had their time.
void Core::finish_session() {
  if (model()->ended) return;
  while (!model()->attempts.empty()) {
    AttemptEnded change;
    change.at = changes_.stamp();
    change.result.id = model()->attempts.begin()->second.id;
    change.result.status = Outcome::kKilled;
    change.result.log_file = model()->attempts.begin()->second.section.log_file;
    if (!changes_.commit(change)) return;
  }
  while (!model()->writing.empty()) {
    const wire::ErrorBody error{.domain = "scheduler",
                                .reason = "ended",
                                .message = "The session ended before its reference was saved"};
    if (!changes_.commit(RefsWritten{changes_.stamp(), model()->writing.begin()->first, {}, error}))
      return;
  }
  maybe_finish();
  for (const auto& [instance, runner] : fleet_.known())
    send(*runner, wire::Ending{options_.session});
  (void)changes_.commit(SessionEnded{changes_.stamp()});
}

// ---- What can happen now -------------------------------------------------------

void Core::drive() {
  if (changes_.broken()) return;
  say_who_left();
  if (model()->run) {
    dispatcher_.cancel_unwanted();
    resolve_keys();
    if (!ending_) dispatcher_.dispatch();
    write_next_refs();
    maybe_finish();
  }
  const bool idle = !model()->run || (model()->attempts.empty() && model()->writing.empty());
  if (ending_ && !ended() && (idle || clock_.monotonic() >= end_deadline_)) finish_session();
  flush();
  // The end of a run is said before the store takes its time.
  if (std::exchange(settle_due_, false)) {
    const std::string store = store_.settle();
    if (dispatcher_.take_stored() && !store.empty()) outputs_.sync(store);
  }
}

void Core::flush() {
  if (auto flushed = changes_.flush(); !flushed)
    log::critical("journal: {}", flushed.error().str());
}

void Core::tick() {
  const Duration now = clock_.monotonic();
  const bool stopped = now - last_tick_ > options_.stopped();
  last_tick_ = now;
  if (stopped) {
    log::warn("this process was stopped or starved: all leases start anew");
    fleet_.renew_all(now);
    dispatcher_.renew_waiting();
  }
  if (now - last_beat_ >= options_.heartbeat(fleet_.size())) {
    last_beat_ = now;
    const std::string beat = wire::encode(wire::Heartbeat{++beats_});
    for (const auto& [instance, runner] : fleet_.known())
      changes_.send(runner->peer, wire::Heartbeat::kName, beat);
  }
  if (!suspended() && !stopped) judge_leases();
  if (suspend_done_ && now >= suspend_deadline_) check_suspended(true);
  drive();
}

void Core::durations(const std::vector<JobDuration>& jobs) {
  dispatcher_.durations(jobs);
  drive();
}

void Core::published(std::uint64_t upto) {
  if (auto flushed = changes_.published(upto); !flushed)
    log::critical("journal: {}", flushed.error().str());
}

bool Core::take_status_changed() {
  const std::uint64_t version =
      changes_.version() + status_version_ + dispatcher_.waiting_version();
  return std::exchange(status_seen_, version) != version;
}

Narrator::Common Core::status_common() {
  // Builds elsewhere come on top of those here, unless somebody has set how many there are in all.
  Forecast::Slots slots{};
  if (model()->loaded) {
    for (std::size_t i = 0; i < kResources; ++i)
      slots[i] = model()->limit(static_cast<Resource>(i));
    constexpr auto kBuilds = static_cast<std::size_t>(Resource::kProcess);
    for (const auto& [instance, runner] : fleet_.known()) {
      if (model()->limits[kBuilds] == 0 && runner->offer.remote && !runner->resting)
        slots[kBuilds] += runner->slots;
    }
  }
  return narrator_.common(
      {.cache = cache_,
       .waiting = dispatcher_.waiting_text(),
       .estimate = forecast_.estimate(*model(), changes_.version(), changes_.elapsed(), slots),
       .builders = slots[static_cast<std::size_t>(Resource::kProcess)],
       .time = clock_.wall_ns()});
}

void Core::set_cache(wire::CacheSection cache) {
  cache_ = cache;
  ++status_version_;
}

void Core::publish_error(const Error& error) {
  narrator_.error(error, clock_.wall_ns());
  flush();
}

void Core::add_to(StateDigest& digest) const {
  changes_.model().add_to(digest);
  fleet_.add_to(digest);
  choice_.add_to(digest);
  dispatcher_.add_to(digest);
  digest.add(sent_away_.size());
  for (const auto& [instance, away] : sent_away_) {
    digest.add(instance);
    digest.add(away.first);
    digest.add(away.second);
  }
  for (const bool each :
       {ending_, suspend_done_ != nullptr, refs_asked_, reload_asked_, changes_.broken()})
    digest.add(each);
}

}  // namespace sluice::scheduler
