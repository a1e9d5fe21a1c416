#include "scheduler/core.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "wire/codec.h"

namespace sluice::scheduler {

tl::unexpected<Error> bad_journal(std::string_view what) {
  return fail("scheduler", "bad-journal", fmt::format("the journal {}", what));
}

Core::Core(const Clock& clock, StoreView& store, Outputs& outputs, CoreOptions options)
    : clock_(clock), store_(store), outputs_(outputs), options_(std::move(options)) {
  since_ = last_tick_ = last_beat_ = clock_.monotonic();
}

Core::~Core() = default;

// ---- Time --------------------------------------------------------------------

std::int64_t Core::elapsed() const {
  if (suspended_ || replaying_) return elapsed_base_;
  return elapsed_base_ + (clock_.monotonic() - since_).count();
}

Stamp Core::stamp() const { return {clock_.wall_ns(), elapsed()}; }

// What is published while a change is applied bears the change's time, also when
// it is replayed.
void Core::at(const Stamp& stamp) {
  time_ = stamp.time;
  if (replaying_) elapsed_base_ = stamp.elapsed;
}

// ---- Changes -----------------------------------------------------------------

Status Core::flush() {
  if (!pending_.empty()) {
    const std::vector<std::string_view> records(pending_.begin(), pending_.end());
    if (auto written = outputs_.journal(records); !written) {
      broken_ = true;
      effects_.clear();
      pending_.clear();
      return written;
    }
    pending_.clear();
  }
  std::vector<Effect> effects;
  effects.swap(effects_);
  for (Effect& effect : effects) {
    switch (effect.kind) {
      case Effect::Kind::kPublish: outputs_.publish(effect.name, std::move(effect.body), effect.ordinal); break;
      case Effect::Kind::kSend: outputs_.send(effect.peer, effect.name, std::move(effect.body)); break;
      case Effect::Kind::kStartRunner: outputs_.start_runner(); break;
      case Effect::Kind::kReload: outputs_.reload(std::move(effect.body)); break;
      case Effect::Kind::kWriteRefs: outputs_.write_refs(effect.ordinal, std::move(effect.body)); break;
    }
  }
  return {};
}

void Core::begin_replay(std::uint64_t published) {
  replaying_ = true;
  published_ = published;
}

namespace {

template <typename T>
Result<T> decode_change(std::string_view record) {
  wire::Limits limits;
  limits.items = 64u << 20;
  limits.bytes = limits.string = std::size_t{1} << 30;
  auto change = wire::decode<T>(record, limits);
  if (!change) change.error().message = fmt::format("the journal's record '{}': {}", T::kName, change.error().message);
  return change;
}

}  // namespace

Status Core::replay(std::string_view record) {
  const std::string name = change_name(record);
  if (name == Published::kName) return {};
  ++ordinal_;
  Status status = bad_journal(fmt::format("has a record '{}' that means nothing", name));
  const auto one = [&]<typename T>(T) {
    if (name != T::kName) return;
    auto change = decode_change<T>(record);
    status = change ? apply(*change) : Status(forward(change));
  };
  one(AttemptEnded{});
  one(AttemptGiven{});
  one(AttemptStarted{});
  one(AttemptLost{});
  one(RefsFound{});
  one(RefsWritten{});
  one(SnapshotSuperseded{});
  one(KeysResolved{});
  one(ProcessStarted{});
  one(RunStarted{});
  one(RunSteered{});
  one(RunFinished{});
  one(PromptAnswered{});
  one(StoreLost{});
  one(Suspended{});
  one(Resumed{});
  one(LimitsSet{});
  one(SessionEnded{});
  return status;
}

Status Core::recovered() {
  replaying_ = false;
  since_ = clock_.monotonic();
  // The time between the last record and now counts, as the jobs went on.
  const bool first = ordinal_ == 0;
  if (!first && !suspended_) elapsed_base_ += std::max<std::int64_t>(0, clock_.wall_ns() - time_);
  if (auto committed = commit(ProcessStarted{stamp(), options_.epoch}); !committed) return committed;
  if (ended_) return flush();
  if (run_) {
    if (auto checked = check_store(); !checked) return checked;
    std::vector<wire::JobId> lost;
    for (auto& [job, attempt] : attempts_) {
      if (attempt.runner.empty()) lost.push_back(attempt.id);
      attempt.state = AttemptState::kInDoubt;
      attempt.lease_until = clock_.monotonic() + options_.lease;
    }
    for (const wire::JobId& id : lost) {
      if (auto given = commit(AttemptLost{stamp(), id, "the scheduler was started again"}); !given) return given;
    }
  }
  drive();
  if (broken_) return fail("scheduler", "journal", "the journal can't be written");
  return {};
}

// The store wins: what it has lost since is not cached, whatever the journal says.
Status Core::check_store() {
  StoreLost lost;
  for (const ElementIndex e : run_->plan()) {
    if (run_->queries_artifacts() && loaded_->artifact[e] == ArtifactState::kCached) {
      if (auto asked = loaded_->query_artifact(store_, e); !asked) return asked;
      if (loaded_->artifact[e] != ArtifactState::kCached) lost.artifacts.push_back(e);
    }
    if (!run_->needs_sources()) continue;
    const bool needed = !run_->queries_artifacts() || loaded_->artifact[e] != ArtifactState::kCached;
    if (needed && is_present(loaded_->sources[e])) {
      if (auto asked = loaded_->query_sources(store_, e); !asked) return asked;
      if (!is_present(loaded_->sources[e])) lost.sources.push_back(e);
    }
  }
  if (lost.artifacts.empty() && lost.sources.empty()) return {};
  spdlog::warn("the store lost {} artifacts and the sources of {} elements", lost.artifacts.size(), lost.sources.size());
  lost.at = stamp();
  return commit(lost);
}

Status Core::apply(const ProcessStarted& change) {
  at(change.at);
  if (session_began_ != 0) return {};
  session_began_ = change.at.time;
  publish({.type = "session.started", .time = time_}, {});
  return {};
}

Status Core::apply(const StoreLost& change) {
  at(change.at);
  if (!run_) return bad_journal("has a store that lost something outside of a run");
  for (const ElementIndex e : change.artifacts) {
    if (e >= loaded_->size()) return bad_journal("names an element that the snapshot lacks");
    loaded_->artifact[e] = ArtifactState::kAbsent;
    loaded_->info[e].reset();
    // Whether its sources are there was of no interest while it was cached.
    if (loaded_->sources[e] == SourcesState::kUnknown) {
      loaded_->sources[e] = loaded_->element(e).has_sources && !loaded_->element(e).sources_local ? SourcesState::kAbsent
                                                                                                : SourcesState::kStageable;
    }
  }
  for (const ElementIndex e : change.sources) {
    if (e >= loaded_->size()) return bad_journal("names an element that the snapshot lacks");
    loaded_->sources[e] = SourcesState::kAbsent;
    loaded_->source_digest.erase(e);
  }
  run_->recount(change.artifacts);
  return {};
}

// ---- Runs --------------------------------------------------------------------

Status Core::load(const wire::RunArguments& arguments, const std::string& expected_id) {
  if (loaded_ && loaded_->file == arguments.snapshot_file && (expected_id.empty() || loaded_->snapshot.id == expected_id)) {
    return {};
  }
  auto loaded = Loaded::read(arguments.snapshot_file);
  if (!loaded) return forward(loaded);
  if (!expected_id.empty() && (*loaded)->snapshot.id != expected_id) {
    return fail("scheduler", "bad-snapshot", arguments.snapshot_file + ": not the snapshot that the run started with");
  }
  if ((*loaded)->snapshot.projects.empty()) return fail("scheduler", "bad-snapshot", arguments.snapshot_file + ": no project");
  if (loaded_) (*loaded)->carry_from(*loaded_);
  loaded_ = std::move(*loaded);
  project_ = loaded_->snapshot.projects[0].name;
  return store_.open(loaded_->snapshot.settings);
}

bool Core::retries_failed(const wire::RunArguments& arguments) const {
  return arguments.verb == Action::kBuild && (arguments.retry_failed || loaded_->snapshot.settings.retry_failed);
}

// As BuildStream: a build that isn't strict takes an artifact whatever its dependencies are now, but not a failure, for
// others might have let it succeed.
bool Core::discards(const wire::RunArguments& arguments, ElementIndex e, const std::string& key) const {
  if (arguments.verb != Action::kBuild) return false;
  return retries_failed(arguments) || (!loaded_->snapshot.settings.strict && key != loaded_->element(e).keys.strict);
}

std::string Core::discarded_text(const wire::RunArguments& arguments, const std::string& key) const {
  return fmt::format("Discarded '{}'\n{}", key,
                     retries_failed(arguments) ? "because retrying failed builds is enabled."
                                               : "in non strict mode because intermediate dependencies may have changed.");
}

// Asks about what isn't known to be cached; what is, stays so in the session.
Status Core::query(Run& run, RunStarted& change) {
  const Duration began = clock_.monotonic();
  // Of elements that are cached too, then.
  const bool pushes_sources = run.has_remotes(Action::kSourcePush);
  if (run.queries_artifacts()) {
    std::vector<ElementIndex> unknown;
    for (const ElementIndex e : run.plan()) {
      if (loaded_->artifact[e] != ArtifactState::kCached) unknown.push_back(e);
    }
    if (auto asked = loaded_->query_artifacts(store_, unknown); !asked) return asked;
    for (const ElementIndex e : unknown) {
      if (loaded_->artifact[e] != ArtifactState::kFailed) continue;
      const std::string& key = loaded_->info[e]->key;
      if (!discards(change.arguments, e, key)) continue;
      change.discarded.push_back({e, key});
      loaded_->artifact[e] = ArtifactState::kAbsent;
      loaded_->info[e].reset();
      loaded_->lacks_buildtree.erase(e);
    }
  }
  for (const ElementIndex e : run.plan()) {
    if (!run.needs_sources()) continue;
    const bool needed = !run.queries_artifacts() || pushes_sources || loaded_->artifact[e] != ArtifactState::kCached;
    if (needed && loaded_->sources[e] != SourcesState::kPresent) {
      if (auto asked = loaded_->query_sources(store_, e); !asked) return asked;
    }
  }
  for (const ElementIndex e : run.plan()) {
    if (loaded_->lacks_buildtree.contains(e)) change.lacks_buildtree.push_back(e);
  }
  change.states.bytes.resize(loaded_->size());
  for (ElementIndex e = 0; e < loaded_->size(); ++e) {
    change.states.bytes[e] =
        static_cast<char>(static_cast<unsigned>(loaded_->artifact[e]) | static_cast<unsigned>(loaded_->sources[e]) << 4);
  }
  change.query = (clock_.monotonic() - began).count();
  return {};
}

Result<wire::RunAccepted> Core::run(const wire::RunArguments& arguments, const std::string& request) {
  if (!request.empty() && request == last_request_) return wire::RunAccepted{runs_};
  if (ending_ || ended_) return fail("scheduler", "ending", "The session is ending");
  if (run_) return fail("scheduler", "busy", fmt::format("Run {} of this session is not finished", run_->number()));
  if (auto loaded = load(arguments, ""); !loaded) return forward(loaded);
  RunStarted change;
  change.number = runs_ + 1;
  change.arguments = arguments;
  change.snapshot_id = loaded_->snapshot.id;
  change.request = request;
  auto run = Run::make(*loaded_, change.number, arguments);
  if (!run) return forward(run);
  if (auto asked = query(*run, change); !asked) return forward(asked);
  if (auto supported = run->check_supported(); !supported) return forward(supported);
  change.at = stamp();
  if (auto committed = commit(change); !committed) return forward(committed);
  drive();
  if (broken_) return fail("scheduler", "journal", "The journal can't be written");
  return wire::RunAccepted{change.number};
}

Status Core::apply(const RunStarted& change) {
  at(change.at);
  if (replaying_) {
    if (auto loaded = load(change.arguments, change.snapshot_id); !loaded) return loaded;
    if (change.states.bytes.size() != loaded_->size()) {
      return bad_journal("has a run of another number of elements than its snapshot");
    }
    for (ElementIndex e = 0; e < loaded_->size(); ++e) {
      const auto byte = static_cast<unsigned char>(change.states.bytes[e]);
      loaded_->artifact[e] = static_cast<ArtifactState>(std::min(byte & 15u, 3u));
      loaded_->sources[e] = static_cast<SourcesState>(std::min(byte >> 4, 3));
    }
  }
  loaded_->lacks_buildtree = {change.lacks_buildtree.begin(), change.lacks_buildtree.end()};
  auto run = Run::make(*loaded_, change.number, change.arguments);
  if (!run) return forward(run);
  run_ = std::make_unique<Run>(std::move(*run));
  runs_ = change.number;
  last_request_ = change.request;
  run_began_ = change.at.elapsed;
  history_.clear();
  failures_.clear();
  prompts_.clear();
  any_failed_ = stopping_ = terminated_ = false;
  reload_ = Reload::kNone;
  next_.reset();
  order_asked_ = false;
  order_until_.reset();
  session_state_ = suspended_ ? "suspended" : "active";
  run_->start();
  for (ElementIndex e = 0; e < loaded_->size(); ++e) {
    if (run_->awaits_key(e)) loaded_->snapshot.elements[e].keys.full.clear();
  }
  publish_run_started(change);
  return {};
}

void Core::maybe_finish() {
  if (!run_ || !attempts_.empty() || !writing_.empty() || suspended_) return;
  if (terminated_) {
    // All that is left is given up.
  } else if (stopping_) {
    if (run_->any_ready(true)) return;
  } else if (run_->any_ready() || !prompts_.empty()) {
    return;
  }
  if (waits_for_snapshot() || (!stopping_ && run_->awaits_keys())) return;
  RunFinished change;
  change.at = stamp();
  change.outcome = any_failed_ ? "failure" : terminated_ ? "terminated" : stopping_ ? "quit" : "success";
  (void)commit(change);
  settle_due_ = true;
}

Status Core::apply(const RunFinished& change) {
  at(change.at);
  if (!run_) return bad_journal("ends a run that hasn't started");
  publish_run_finished(change);
  run_.reset();
  if (next_) {
    next_->carry_from(*loaded_);
    loaded_ = std::move(next_);
  }
  history_.clear();
  if (session_state_ == "quitting") session_state_ = "active";
  return {};
}

// ---- Steering ----------------------------------------------------------------

Status Core::quit() {
  if (!run_) return fail("scheduler", "no-run", "There is no run to quit");
  if (auto committed = commit(RunSteered{stamp(), "quit", 0}); !committed) return committed;
  drive();
  return {};
}

Status Core::kill() {
  if (!run_) return fail("scheduler", "no-run", "There is no run to kill");
  if (auto committed = commit(RunSteered{stamp(), "terminate", 0}); !committed) return committed;
  // What is stopped can't end, and a suspended run does not.
  resume();
  drive();
  return {};
}

Status Core::retry(const std::string& element) {
  if (!run_) return fail("scheduler", "no-run", "There is no run in which something could be tried again");
  const auto e = loaded_->find(element);
  if (!e) return fail("scheduler", "no-element", fmt::format("No element '{}' in this run", element));
  if (!run_->is_failed(*e)) return fail("scheduler", "not-failed", fmt::format("Element '{}' has not failed", element));
  if (auto committed = commit(RunSteered{stamp(), "retry", *e}); !committed) return committed;
  drive();
  return {};
}

Status Core::set_limits(const wire::LimitsArguments& arguments) {
  if (ending_ || ended_) return fail("scheduler", "ending", "The session is ending");
  LimitsSet change;
  change.builders = limits_[static_cast<std::size_t>(Resource::kProcess)];
  change.fetchers = limits_[static_cast<std::size_t>(Resource::kDownload)];
  for (const auto& [wanted, limit, what] : {std::tuple{arguments.builders, &change.builders, "builders"},
                                            std::tuple{arguments.fetchers, &change.fetchers, "fetchers"}}) {
    if (!wanted) continue;
    if (*wanted < 1 || *wanted > wire::kMostJobs) {
      return fail("scheduler", "bad-arguments", fmt::format("{} is no number of {}: 1 to {} are possible", *wanted, what, wire::kMostJobs));
    }
    *limit = *wanted;
  }
  change.at = stamp();
  if (auto committed = commit(change); !committed) return committed;
  for (const auto& [instance, runner] : runners_) send_limits(instance);
  take_back();
  drive();
  return {};
}

Status Core::apply(const LimitsSet& change) {
  at(change.at);
  limits_[static_cast<std::size_t>(Resource::kProcess)] = change.builders;
  limits_[static_cast<std::size_t>(Resource::kDownload)] = change.fetchers;
  publish({.type = "session.limits", .time = time_}, {limits_part()});
  return {};
}

Status Core::answer(std::uint64_t prompt, const std::string& choice, const std::string& by) {
  const auto found = prompts_.find(prompt);
  if (found == prompts_.end()) {
    if (prompt == 0 || prompt > prompts_given_) return fail("scheduler", "no-prompt", fmt::format("There is no prompt {}", prompt));
    return fail("scheduler", "answered", fmt::format("Prompt {} was answered already", prompt));
  }
  const auto& choices = found->second.section.choices;
  if (std::find(choices.begin(), choices.end(), choice) == choices.end()) {
    return fail("scheduler", "bad-choice", fmt::format("'{}' is no answer to prompt {}: {}", choice, prompt, fmt::join(choices, ", ")));
  }
  const ElementIndex e = found->second.element;
  if (auto committed = commit(PromptAnswered{stamp(), prompt, choice, by}); !committed) return committed;
  if (choice != "continue") {
    if (auto committed = commit(RunSteered{stamp(), choice, choice == "retry" ? e : 0}); !committed) return committed;
  }
  if (choice == "terminate") resume();
  drive();
  return {};
}

void Core::open_prompt(ElementIndex e, const wire::FailureSection& failure) {
  Prompt prompt;
  prompt.element = e;
  prompt.section.id = ++prompts_given_;
  prompt.section.element = failure.element.name;
  prompt.section.text = failure.text;
  prompt.section.log_file = failure.job.log_file;
  if (loaded_->artifact[e] == ArtifactState::kFailed) prompt.section.artifact = artifact_name(e);
  prompt.section.choices = {"continue", "quit", "terminate", "retry"};
  publish({.type = "prompt.opened", .time = time_}, {wire::pack_section("prompt", prompt.section)}, e);
  prompts_.emplace(prompt.section.id, std::move(prompt));
}

void Core::close_prompt(std::uint64_t id, const std::string& answer, const std::string& by) {
  auto node = prompts_.extract(id);
  if (node.empty()) return;
  Prompt& prompt = node.mapped();
  prompt.section.answer = answer;
  prompt.section.by = by;
  publish({.type = "prompt.closed", .time = time_}, {wire::pack_section("prompt", prompt.section)}, prompt.element);
}

// What they ask was decided otherwise.
void Core::close_prompts(std::optional<ElementIndex> of) {
  std::vector<std::uint64_t> closed;
  for (const auto& [id, prompt] : prompts_) {
    if (!of || prompt.element == *of) closed.push_back(id);
  }
  for (const std::uint64_t id : closed) close_prompt(id, "", "");
}

Status Core::apply(const PromptAnswered& change) {
  at(change.at);
  const auto prompt = prompts_.find(change.prompt);
  if (!run_ || prompt == prompts_.end()) return bad_journal("answers a prompt that isn't open");
  const ElementIndex e = prompt->second.element;
  close_prompt(change.prompt, change.choice, change.by);
  if (change.choice != "continue") return {};
  run_->go_on_after_failure(e);
  publish_element_states();
  return {};
}

Status Core::apply(const RunSteered& change) {
  at(change.at);
  if (!run_) return bad_journal("steers a run that hasn't started");
  close_prompts(change.command == "retry" ? std::optional<ElementIndex>(change.element) : std::nullopt);
  if (change.command == "quit") {
    stopping_ = true;
    session_state_ = "quitting";
    // Nobody is asked about them any more.
    for (const auto& [e, failure] : failures_) run_->push_failure(e);
    publish_element_states();
  } else if (change.command == "terminate") {
    stopping_ = terminated_ = true;
    session_state_ = "quitting";
  } else if (change.command == "retry") {
    const ElementIndex e = change.element;
    if (e >= loaded_->size() || !run_->is_failed(e)) return bad_journal("retries what hasn't failed");
    // A failure that is cached is not to be replayed.
    if (loaded_->artifact[e] == ArtifactState::kFailed) loaded_->artifact[e] = ArtifactState::kAbsent;
    std::erase_if(failures_, [&](const auto& failure) { return failure.first == e; });
    any_failed_ = !failures_.empty();
    // A failure that stopped the run stops it no more.
    if (!terminated_) {
      stopping_ = false;
      if (session_state_ == "quitting") session_state_ = "active";
    }
    run_->retry(e);
    publish_element_states();
  } else {
    return bad_journal(fmt::format("steers by '{}'", change.command));
  }
  return {};
}

void Core::suspend(std::function<void(Status)> done) {
  if (suspend_done_) return done(fail("scheduler", "busy", "The session is being suspended already"));
  if (ending_) return done(fail("scheduler", "ending", "The session is ending"));
  if (!suspended_) {
    if (auto committed = commit(Suspended{stamp()}); !committed) return done(committed);
  }
  for (auto& [instance, runner] : runners_) {
    if (!runner.suspended) send(instance, wire::Suspend{});
  }
  suspend_done_ = std::move(done);
  suspend_deadline_ = clock_.monotonic() + kSuspendDeadline;
  drive();
  check_suspended(false);
}

void Core::check_suspended(bool expired) {
  if (!suspend_done_) return;
  std::string missing;
  for (const auto& [instance, runner] : runners_) {
    if (!runner.suspended) missing += (missing.empty() ? "" : ", ") + instance;
  }
  if (!missing.empty() && !expired) return;
  auto done = std::move(suspend_done_);
  suspend_done_ = nullptr;
  if (missing.empty()) return done(Status{});
  done(fail("scheduler", "not-suspended", fmt::format("No answer from {}: its jobs may be running", missing)));
}

void Core::resume() {
  if (!suspended_) return;
  if (suspend_done_) {
    auto done = std::move(suspend_done_);
    suspend_done_ = nullptr;
    done(fail("scheduler", "resumed", "The session was resumed meanwhile"));
  }
  (void)commit(Resumed{stamp()});
  for (auto& [instance, runner] : runners_) {
    send(instance, wire::Resume{});
    runner.suspended = false;
    runner.heard = clock_.monotonic();
  }
  for (auto& [job, attempt] : attempts_) attempt.lease_until = clock_.monotonic() + options_.lease;
  drive();
}

Status Core::apply(const Suspended& change) {
  at(change.at);
  elapsed_base_ = change.at.elapsed;
  suspended_ = true;
  session_state_ = "suspended";
  publish({.type = "session.suspended", .time = time_}, {});
  return {};
}

Status Core::apply(const Resumed& change) {
  at(change.at);
  elapsed_base_ = change.at.elapsed;
  suspended_ = false;
  since_ = clock_.monotonic();
  session_state_ = stopping_ && run_ ? "quitting" : "active";
  publish({.type = "session.resumed", .time = time_}, {});
  return {};
}

// ---- The end -----------------------------------------------------------------

void Core::end() {
  if (ending_ || ended_) return;
  ending_ = true;
  end_deadline_ = clock_.monotonic() + kEndDeadline;
  if (suspended_) resume();
  if (run_) (void)commit(RunSteered{stamp(), "terminate", 0});
  session_state_ = "ending";
  drive();
}

// Called when the last job is gone, or when they had their time.
void Core::finish_session() {
  if (ended_) return;
  while (!attempts_.empty()) {
    AttemptEnded change;
    change.at = stamp();
    change.result.id = attempts_.begin()->second.id;
    change.result.status = Outcome::kKilled;
    change.result.log_file = attempts_.begin()->second.section.log_file;
    if (!commit(change)) return;
  }
  while (!writing_.empty()) {
    const wire::ErrorBody error{.domain = "scheduler", .reason = "ended", .message = "The session ended before its reference was saved"};
    if (!commit(RefsWritten{stamp(), writing_.begin()->first, {}, error})) return;
  }
  maybe_finish();
  for (const auto& [instance, runner] : runners_) send(instance, wire::Ending{options_.session});
  (void)commit(SessionEnded{stamp()});
}

Status Core::apply(const SessionEnded& change) {
  at(change.at);
  ended_ = true;
  session_state_ = "ended";
  publish({.type = "session.ended", .time = time_}, {});
  return {};
}

// ---- What can happen now -----------------------------------------------------

void Core::drive() {
  if (broken_) return;
  if (run_) {
    cancel_unwanted();
    resolve_keys();
    dispatch();
    write_next_refs();
    maybe_finish();
  }
  if (ending_ && !ended_ && (!run_ || (attempts_.empty() && writing_.empty()) || clock_.monotonic() >= end_deadline_)) finish_session();
  if (auto flushed = flush(); !flushed) spdlog::critical("journal: {}", flushed.error().str());
  // When everybody has heard.
  if (std::exchange(settle_due_, false)) {
    const std::string store = store_.settle();
    if (std::exchange(stored_, false) && !store.empty()) outputs_.sync(store);
  }
}

void Core::tick() {
  const Duration now = clock_.monotonic();
  const bool stopped = now - last_tick_ > options_.stopped();
  last_tick_ = now;
  if (stopped) {
    spdlog::warn("this process was stopped or starved: all leases start anew");
    for (auto& [job, attempt] : attempts_) attempt.lease_until = now + options_.lease;
    for (auto& [instance, runner] : runners_) runner.heard = now;
  }
  if (now - last_beat_ >= options_.heartbeat()) {
    last_beat_ = now;
    ++beats_;
    for (const auto& [instance, runner] : runners_) send(instance, wire::Heartbeat{beats_});
  }
  if (!suspended_ && !stopped) judge_leases();
  if (suspend_done_ && now >= suspend_deadline_) check_suspended(true);
  drive();
}

void Core::published(std::uint64_t upto) {
  if (upto <= published_ || broken_) return;
  published_ = upto;
  pending_.push_back(pack_change(Published{upto}));
  if (auto flushed = flush(); !flushed) spdlog::critical("journal: {}", flushed.error().str());
}

bool Core::take_status_changed() {
  const bool changed = status_version_ != status_seen_;
  status_seen_ = status_version_;
  return changed;
}

void Core::set_cache(wire::CacheSection cache) {
  cache_ = cache;
  ++status_version_;
}

}  // namespace sluice::scheduler
