#include "scheduler/session_model.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "model/names.h"

namespace sluice::scheduler {

tl::unexpected<Error> bad_journal(std::string_view what) {
  return fail("scheduler", "bad-journal", fmt::format("the journal {}", what));
}

std::uint32_t Session::limit(Resource resource) const {
  if (const std::uint32_t set = limits[static_cast<std::size_t>(resource)]; set != 0) return set;
  return resource_limit(loaded->snapshot.settings, resource);
}

Result<std::unique_ptr<KnownSnapshot>> SessionModel::take_snapshot(const std::string& file,
                                                                   const std::string& id,
                                                                   const KnownSnapshot* earlier) {
  if (offered_ && offered_->file == file && offered_->snapshot.id == id) return std::move(offered_);
  auto loaded = TRY(KnownSnapshot::read(file));
  if (loaded->snapshot.id != id)
    return fail("scheduler", "bad-snapshot", file + ": not the snapshot that the journal names");
  if (loaded->snapshot.projects.empty())
    return fail("scheduler", "bad-snapshot", file + ": no project");
  if (earlier != nullptr) loaded->carry_from(*earlier);
  return loaded;
}

// ---- The session ---------------------------------------------------------------

Status SessionModel::on(const ProcessStarted& change) {
  if (session_.began != 0) return {};
  session_.began = change.at.time;
  effects_->session_is("session.started");
  return {};
}

Status SessionModel::on(const Suspended&) {
  session_.suspended = true;
  session_.state = "suspended";
  effects_->session_is("session.suspended");
  return {};
}

Status SessionModel::on(const Resumed& change) {
  session_.suspended = false;
  session_.state = session_.stopping && session_.run ? "quitting" : "active";
  effects_->resumed(change.at);
  effects_->session_is("session.resumed");
  return {};
}

Status SessionModel::on(const LimitsSet& change) {
  session_.limits[static_cast<std::size_t>(Resource::kProcess)] = change.builders;
  session_.limits[static_cast<std::size_t>(Resource::kDownload)] = change.fetchers;
  effects_->session_is("session.limits");
  return {};
}

Status SessionModel::on(const SessionEnded&) {
  session_.ended = true;
  session_.state = "ended";
  effects_->session_is("session.ended");
  return {};
}

// ---- Runs ----------------------------------------------------------------------

Status SessionModel::on(const RunStarted& change) {
  auto loaded =
      TRY(take_snapshot(change.arguments.snapshot_file, change.snapshot_id, session_.loaded.get()));
  KnownSnapshot& now = *loaded;
  if (change.states.bytes.size() != now.size())
    return bad_journal("has a run of another number of elements than its snapshot");
  for (ElementIndex e = 0; e < now.size(); ++e) {
    const auto byte = static_cast<unsigned char>(change.states.bytes[e]);
    now.artifact[e] = static_cast<ArtifactState>(std::min(byte & 15u, 3u));
    now.sources[e] = static_cast<SourcesState>(std::min(byte >> 4, 3));
  }
  now.lacks_buildtree = {change.lacks_buildtree.begin(), change.lacks_buildtree.end()};
  // The run is over the same snapshot again: its files are as this session left them.
  if (session_.loaded && session_.loaded->snapshot.id == change.snapshot_id)
    now.changed_files = session_.loaded->changed_files;
  auto run = TRY(Run::make(now, change.number, change.arguments));
  session_.loaded = std::move(loaded);
  session_.run = std::make_unique<Run>(std::move(run));
  session_.runs = change.number;
  session_.last_request = change.request;
  session_.run_began = change.at.elapsed;
  session_.history.clear();
  session_.failures.clear();
  session_.prompts.clear();
  session_.any_failed = session_.stopping = session_.terminated = false;
  session_.next = nullptr;
  session_.reloaded = false;
  session_.state = session_.suspended ? "suspended" : "active";
  session_.run->start();
  for (ElementIndex e = 0; e < now.size(); ++e) {
    if (session_.run->awaits_key(e)) now.snapshot.elements[e].keys.full.clear();
  }
  effects_->run_started(change);
  return {};
}

Status SessionModel::on(const RunFinished& change) {
  if (!session_.run) return bad_journal("ends a run that hasn't started");
  effects_->run_finishes(change);
  session_.run = nullptr;
  if (session_.next) {
    session_.next->carry_from(*session_.loaded);
    session_.loaded = std::move(session_.next);
  }
  session_.history.clear();
  if (session_.state == "quitting") session_.state = "active";
  return {};
}

Status SessionModel::on(const RunSteered& change) {
  if (!session_.run) return bad_journal("steers a run that hasn't started");
  Run& run = *session_.run;
  close_prompts(change.command == "retry" ? std::optional<ElementIndex>(change.element)
                                          : std::nullopt);
  if (change.command == "quit") {
    session_.stopping = true;
    session_.state = "quitting";
    // Failures are pushed that would have waited for an answer.
    for (const Failure& failure : session_.failures) run.push_failure(failure.element);
    say_elements();
  } else if (change.command == "terminate") {
    session_.stopping = session_.terminated = true;
    session_.state = "quitting";
  } else if (change.command == "retry") {
    const ElementIndex e = change.element;
    if (e >= session_.loaded->size() || !run.is_failed(e))
      return bad_journal("retries what hasn't failed");
    // A cached failure would be told again instead of being built.
    if (session_.loaded->artifact[e] == ArtifactState::kFailed)
      session_.loaded->artifact[e] = ArtifactState::kAbsent;
    std::erase_if(session_.failures, [&](const Failure& failure) { return failure.element == e; });
    session_.any_failed = !session_.failures.empty();
    // A failure that stopped the run stops it no more.
    if (!session_.terminated) {
      session_.stopping = false;
      if (session_.state == "quitting") session_.state = "active";
    }
    run.retry(e);
    say_elements();
  } else {
    return bad_journal(fmt::format("steers by '{}'", change.command));
  }
  return {};
}

Status SessionModel::on(const StoreLost& change) {
  if (!session_.run) return bad_journal("has a store that lost something outside of a run");
  KnownSnapshot& loaded = *session_.loaded;
  for (const ElementIndex e : change.artifacts) {
    if (e >= loaded.size()) return bad_journal("names an element that the snapshot lacks");
    loaded.artifact[e] = ArtifactState::kAbsent;
    loaded.answers.artifacts[e].reset();
    // Whether its sources are there was of no interest while it was cached.
    if (loaded.sources[e] == SourcesState::kUnknown) {
      const bool to_fetch = loaded.element(e).has_sources && !loaded.element(e).sources_local;
      loaded.sources[e] = to_fetch ? SourcesState::kAbsent : SourcesState::kStageable;
    }
  }
  for (const ElementIndex e : change.sources) {
    if (e >= loaded.size()) return bad_journal("names an element that the snapshot lacks");
    loaded.sources[e] = SourcesState::kAbsent;
    loaded.answers.sources.erase(e);
  }
  session_.run->recount(change.artifacts);
  return {};
}

Status SessionModel::on(const SnapshotSuperseded& change) {
  if (!session_.run) return bad_journal("has a new snapshot outside of a run");
  session_.reloaded = true;
  if (change.snapshot_file.empty()) return {};
  session_.next = TRY(take_snapshot(change.snapshot_file, change.snapshot_id, nullptr));
  return {};
}

Status SessionModel::on(const KeysResolved& change) {
  if (!session_.run) return bad_journal("resolves keys outside of a run");
  session_.reloaded = true;
  for (const KeyResolved& each : change.keys) {
    if (each.element >= session_.loaded->size())
      return bad_journal("resolves the key of an element that the snapshot lacks");
    session_.loaded->snapshot.elements[each.element].keys.full = each.key;
  }
  session_.run->keys_resolved();
  say_elements();
  return {};
}

// ---- Attempts ------------------------------------------------------------------

Status SessionModel::on(const AttemptGiven& change) {
  if (!session_.run || change.element >= session_.loaded->size() ||
      !session_.run->is_ready(change.element)) {
    return bad_journal("gives a job of an element that isn't ready");
  }
  Run& run = *session_.run;
  const QueueType& type = run.type(run.queue_of(change.element));
  if (change.queue != type.traits().title)
    return bad_journal("gives a job of another queue than its element's");
  const auto [place, is_new] = session_.attempts.try_emplace(change.id.job);
  if (!is_new) return bad_journal("gives a job that is under way");
  run.take(change.element);
  History& history = session_.history[change.element];
  history.job = change.id.job;
  history.attempts = change.id.attempt;
  session_.jobs_given = std::max(session_.jobs_given, change.id.job);
  Attempt& attempt = place->second;
  attempt.id = change.id;
  attempt.element = change.element;
  attempt.action = type.action;
  attempt.runner = change.runner;
  attempt.began = change.at.elapsed;
  attempt.section.id = change.id.job;
  attempt.section.action = type.traits().name;
  attempt.section.attempt = change.id.attempt;
  attempt.section.runner = change.runner;
  if (!change.log_file.empty())
    attempt.section.log_file = session_.loaded->snapshot.settings.logdir + "/" + change.log_file;
  effects_->given(attempt);
  return {};
}

Status SessionModel::on(const AttemptStarted& change) {
  const auto found = session_.attempts.find(change.id.job);
  if (found == session_.attempts.end() || found->second.id != change.id)
    return bad_journal("starts an attempt that isn't under way");
  Attempt& attempt = found->second;
  attempt.started = true;
  session_.running.insert(change.id.job);
  attempt.began = change.at.elapsed;
  attempt.section.started = change.time > 0 ? change.time : change.at.time;
  attempt.section.slot = change.slot;
  if (!change.host.empty()) attempt.section.host = change.host;
  attempt.machine = change.machine;
  effects_->started(attempt);
  if (!attempt.traits().brief) effects_->job_started(attempt);
  return {};
}

// Takes an attempt out of those that are under way. `what` a change does with it, for an error.
Result<SessionModel::AttemptNode> SessionModel::release(const wire::JobId& id,
                                                        std::string_view what) {
  const auto found = session_.attempts.find(id.job);
  if (found == session_.attempts.end() || found->second.id != id)
    return bad_journal(fmt::format("{} an attempt that isn't under way", what));
  effects_->released(found->second);
  session_.running.erase(id.job);
  return session_.attempts.extract(found);
}

Status SessionModel::on(const AttemptEnded& change) {
  auto released = TRY(release(change.result.id, "ends"));
  end(released.mapped(), change.result, change.log_tail);
  return {};
}

Status SessionModel::on(const RefsFound& change) {
  auto released = TRY(release(change.result.id, "has refs of"));
  session_.writing.emplace(change.result.id.job,
                           Writing{std::move(released.mapped()), change.result});
  return {};
}

Status SessionModel::on(const RefsWritten& change) {
  auto node = session_.writing.extract(change.job);
  if (node.empty()) return bad_journal("has written refs that nobody found");
  for (const wire::RefFile& file : change.files)
    session_.loaded->changed_files[file.file] = file.after;
  Writing writing = std::move(node.mapped());
  if (change.error) {
    writing.result.status = Outcome::kError;
    writing.result.error = change.error;
  }
  end(writing.attempt, writing.result, {});
  return {};
}

bool History::ends_with(const std::string& machine) const {
  const auto found = machines.find(machine);
  if (found == machines.end()) return machines.size() + 1 >= kMaxMachines;
  return found->second.lost + 1 >= kMaxAttempts;
}

std::string History::lost_text() const {
  if (machines.size() < kMaxMachines) return fmt::format("The job was lost {} times", attempts);
  std::vector<std::string> names;
  for (const auto& [id, machine] : machines)
    names.push_back(machine.host.empty() ? id : machine.host);
  std::sort(names.begin(), names.end());
  return fmt::format("The job was lost with {} machines: {}", names.size(), fmt::join(names, ", "));
}

Status SessionModel::on(const AttemptLost& change) {
  auto released = TRY(release(change.id, "loses"));
  Attempt& attempt = released.mapped();
  const ElementIndex e = attempt.element;
  if (attempt.started && session_.stopped(e)) {
    // Nothing is started again, so the job ends here.
    session_.history.erase(e);
    session_.run->killed(e);
    effects_->job_finished(attempt, {.level = "info",
                                     .text = "Job terminated",
                                     .detail = change.why,
                                     .outcome = text_of(Outcome::kKilled)});
    return {};
  }
  // Replayed failures take no attempt from anybody.
  if (attempt.runner.empty()) {
    session_.run->give_back(e);
    return {};
  }
  History& history = session_.history[e];
  if (change.returned) ++history.returned;
  // An attempt that only waited at the runner had no part in what happened there, nor had one that
  // counts as given back, nor one that missed what the session's store has lost.
  bool last = history.attempts - history.returned >= kMaxGiven;
  if (attempt.started && !change.returned && !change.blameless) {
    last = last || history.ends_with(attempt.machine);
    History::Machine& machine = history.machines[attempt.machine];
    machine.host = attempt.section.host;
    ++machine.lost;
  }
  if (!last) {
    session_.run->give_back(e);
    if (attempt.started)
      effects_->job_says(attempt, "warn",
                         fmt::format("Attempt {} was lost, trying again", change.id.attempt),
                         change.why);
    return {};
  }
  // Ends like any other failure; the journal has it as what it is.
  wire::JobResult result;
  result.id = change.id;
  result.status = Outcome::kError;
  result.error = wire::ErrorBody{.domain = "scheduler",
                                 .reason = "runner-lost",
                                 .message = history.lost_text(),
                                 .detail = change.why};
  end(attempt, result, {});
  return {};
}

namespace {

// Where what the element needs came from. What a job that had nothing to do didn't find is nowhere.
std::string_view origin_of(const model::ActionTraits& traits, const wire::JobResult& result) {
  if (traits.origin.empty() || result.status != Outcome::kSkipped) return traits.origin;
  return traits.from == model::Caches::kArtifacts ? std::string_view() : "cached";
}

}  // namespace

void SessionModel::end(Attempt& attempt, const wire::JobResult& result,
                       const std::string& log_tail) {
  const ElementIndex e = attempt.element;
  const model::ActionTraits& traits = attempt.traits();
  KnownSnapshot& loaded = *session_.loaded;
  Run& run = *session_.run;
  attempt.section.elapsed = result.elapsed;
  if (result.status == Outcome::kSuccess || result.status == Outcome::kSkipped) {
    const bool pulls = traits.yields == model::Yields::kPulledArtifact;
    if ((pulls || traits.yields == model::Yields::kArtifact) && result.artifact) {
      // A pulled artifact may be of a failure.
      loaded.artifact[e] = result.error ? ArtifactState::kFailed : ArtifactState::kCached;
      if (pulls) loaded.snapshot.elements[e].keys.full = result.artifact->key;
      loaded.answers.artifacts[e].reset();
      // What a failure says, and its logs, the store is asked for when it is told again.
      if (!result.error) {
        auto answer = std::make_unique<CachedArtifact>();
        answer->files = result.artifact->files;
        answer->public_data = result.artifact->public_data;
        answer->low_diversity_meta = result.artifact->low_diversity_meta;
        loaded.answers.artifacts[e] = std::move(answer);
      }
    } else if (traits.yields == model::Yields::kSources) {
      loaded.sources[e] = SourcesState::kPresent;
      if (!result.sources.empty()) loaded.answers.sources[e] = result.sources;
    }
    if (result.status == Outcome::kSuccess) effects_->worked(attempt, result);
    session_.history.erase(e);
    run.finished(e, result.status == Outcome::kSkipped);
    if (traits.brief) return;
    const std::string_view message =
        result.error ? std::string_view(result.error->message) : std::string_view();
    const bool discarded = result.error && result.error->reason == kDiscarded;
    if (discarded) effects_->job_says(attempt, "info", message, result.error->detail);
    const bool says_why = result.status == Outcome::kSkipped && !message.empty() && !discarded;
    effects_->job_finished(attempt, {.level = text_of(result.status),
                                     .text = says_why ? message : traits.title,
                                     .outcome = text_of(result.status),
                                     .origin = origin_of(traits, result),
                                     .elapsed = result.elapsed,
                                     .result = &result});
  } else if (result.status == Outcome::kKilled && !attempt.started) {
    run.give_back(e);  // as if it had never been given
  } else if (result.status == Outcome::kKilled) {
    session_.history.erase(e);
    run.killed(e);
    effects_->job_finished(attempt, {.level = "info",
                                     .text = "Job terminated",
                                     .outcome = text_of(result.status),
                                     .elapsed = result.elapsed,
                                     .result = &result});
  } else {
    fail_attempt(attempt, result, log_tail);
  }
  say_elements();
}

void SessionModel::fail_attempt(const Attempt& attempt, const wire::JobResult& result,
                                const std::string& log_tail) {
  const ElementIndex e = attempt.element;
  KnownSnapshot& loaded = *session_.loaded;
  Run& run = *session_.run;
  if (attempt.traits().yields == model::Yields::kArtifact && result.status == Outcome::kFailure) {
    loaded.artifact[e] = result.artifact ? ArtifactState::kFailed : ArtifactState::kAbsent;
    loaded.answers.artifacts[e].reset();  // asked for when it is wanted: a failure isn't staged
  }
  session_.history.erase(e);
  run.failed(e);
  const bool prompts = run.arguments().prompt;
  if (session_.stopping) {
    if (!session_.terminated) run.push_failure(e);
  } else if (!prompts && run.on_error() == "continue") {
    run.go_on_after_failure(e);
  } else if (!prompts && run.on_error() == "quit") {
    run.push_failure(e);
  }
  session_.any_failed = true;
  wire::ErrorSection error{
      .scope = "task", .domain = "scheduler", .reason = "failed", .message = "Job failed"};
  std::string detail;
  if (result.error) {
    if (!result.error->message.empty()) error.message = result.error->message;
    error.domain = result.error->domain;
    error.reason = result.error->reason;
    error.file = result.error->file;
    error.line = result.error->line;
    error.column = result.error->column;
    detail = result.error->detail;
  }
  effects_->job_finished(attempt, {.level = "failure",
                                   .text = error.message,
                                   .detail = detail,
                                   .outcome = text_of(result.status),
                                   .elapsed = result.elapsed,
                                   .result = &result,
                                   .error = &error,
                                   .log_tail = log_tail});
  Failure failure;
  failure.element = e;
  failure.section.element = element_section(session_, e);
  failure.section.job = attempt.section;
  failure.section.level = "failure";
  failure.section.text = error.message;
  failure.section.detail = detail;
  failure.section.log_tail = log_tail;
  if (prompts) {
    if (!session_.stopping) open_prompt(e, failure.section);
  } else {
    if (run.on_error() == "quit") session_.stopping = true;
    if (run.on_error() == "terminate") session_.stopping = session_.terminated = true;
  }
  session_.failures.push_back(std::move(failure));
  if (session_.stopping) session_.state = "quitting";
}

void SessionModel::say_elements() {
  if (session_.run) effects_->elements_changed(session_.run->take_touched());
}

// ---- Prompts -------------------------------------------------------------------

void SessionModel::open_prompt(ElementIndex e, const wire::FailureSection& failure) {
  Prompt prompt;
  prompt.element = e;
  prompt.section.id = ++session_.prompts_given;
  prompt.section.element = failure.element.name;
  prompt.section.text = failure.text;
  prompt.section.log_file = failure.job.log_file;
  if (session_.loaded->artifact[e] == ArtifactState::kFailed)
    prompt.section.artifact =
        model::artifact_ref(session_.loaded->project(e).name, session_.loaded->element(e).name,
                            session_.loaded->element(e).keys.full);
  prompt.section.choices = {"continue", "quit", "terminate", "retry"};
  effects_->prompt_opened(
      session_.prompts.emplace(prompt.section.id, std::move(prompt)).first->second);
}

void SessionModel::close_prompt(std::uint64_t id, const std::string& answer,
                                const std::string& by) {
  auto node = session_.prompts.extract(id);
  if (node.empty()) return;
  node.mapped().section.answer = answer;
  node.mapped().section.by = by;
  effects_->prompt_closed(node.mapped());
}

// Prompts are closed without an answer when what they ask was decided otherwise.
void SessionModel::close_prompts(std::optional<ElementIndex> of) {
  std::vector<std::uint64_t> closed;
  for (const auto& [id, prompt] : session_.prompts) {
    if (!of || prompt.element == *of) closed.push_back(id);
  }
  for (const std::uint64_t id : closed) close_prompt(id, "", "");
}

Status SessionModel::on(const PromptAnswered& change) {
  const auto prompt = session_.prompts.find(change.prompt);
  if (!session_.run || prompt == session_.prompts.end())
    return bad_journal("answers a prompt that isn't open");
  const ElementIndex e = prompt->second.element;
  close_prompt(change.prompt, change.choice, change.by);
  if (change.choice != "continue") return {};
  session_.run->go_on_after_failure(e);
  say_elements();
  return {};
}

// ---- Digest --------------------------------------------------------------------

// A field that is added to one of these structs has to be added here, and left out by name if it
// decides nothing: else this doesn't compile.
void SessionModel::add_to(StateDigest& digest) const {
  const auto& [loaded, next, reloaded, run, runs, last_request, jobs_given, attempts, running,
               writing, history, failures, prompts, prompts_given, any_failed, stopping, terminated,
               suspended, ended, state, limits, began, run_began, at] = session_;
  (void)running, (void)began, (void)run_began, (void)at;
  const auto add_attempt = [&](const Attempt& attempt) {
    const auto& [id, element, runner, started, action, attempt_began, section, machine] = attempt;
    (void)attempt_began, (void)section;
    digest.add(id.job);
    digest.add(id.attempt);
    digest.add(element);
    digest.add(runner);
    digest.add(started);
    digest.add(action);
    digest.add(machine);
  };
  for (const auto* snapshot : {loaded.get(), next.get()}) {
    digest.add(snapshot != nullptr);
    if (snapshot != nullptr) snapshot->add_to(digest);
  }
  digest.add(run != nullptr);
  if (run) run->add_to(digest);
  digest.add(reloaded);
  digest.add(runs);
  digest.add(last_request);
  digest.add(jobs_given);
  digest.add(attempts.size());
  for (const auto& [job, attempt] : attempts) add_attempt(attempt);
  digest.add(writing.size());
  for (const auto& [job, each] : writing) {
    add_attempt(each.attempt);
    digest.add(each.result.refs.size());
  }
  digest.add(history.size());
  for (const auto& [e, past] : std::map(history.begin(), history.end())) {
    const auto& [job, tries, returned, machines] = past;
    digest.add(e);
    digest.add(job);
    digest.add(tries);
    digest.add(returned);
    digest.add(machines.size());
    for (const auto& [name, machine] : machines) {
      digest.add(name);
      digest.add(machine.lost);
    }
  }
  digest.add(failures.size());
  for (const auto& [element, section] : failures) {
    digest.add(element);
    digest.add(section.text);
  }
  digest.add(prompts.size());
  for (const auto& [id, prompt] : prompts) {
    digest.add(id);
    digest.add(prompt.element);
  }
  digest.add(prompts_given);
  digest.add(any_failed);
  digest.add(stopping);
  digest.add(terminated);
  digest.add(suspended);
  digest.add(ended);
  digest.add(std::string_view(state));
  digest.add(limits);
}

// ---- Names ---------------------------------------------------------------------

std::string display_key(const KnownSnapshot& loaded, ElementIndex e) {
  const std::uint32_t length = loaded.snapshot.settings.key_length;
  const std::string& key = loaded.element(e).keys.full;
  return key.empty() ? std::string(std::min(length, 64u), '?') : key.substr(0, length);
}

wire::ElementSection element_section(const Session& session, ElementIndex e) {
  const model::Element& element = session.loaded->element(e);
  wire::ElementSection section;
  section.project = session.loaded->project(e).name;
  section.name = element.full_name;
  section.kind = element.kind;
  section.key = element.keys.full;
  section.brief = display_key(*session.loaded, e);
  section.strict = element.keys.full == element.keys.strict;
  section.state = session.run ? std::string(text_of(session.run->state(e))) : std::string();
  return section;
}

}  // namespace sluice::scheduler
