// Jobs: giving attempts to runners, and what follows from their results.

#include <algorithm>
#include <ctime>
#include <set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "scheduler/core.h"

namespace sluice::scheduler {

namespace {

// Of a pull whose artifact isn't taken.
constexpr std::string_view kDiscarded = "discarded";

// BuildStream's Element.normal_name: what log files and artifacts are named by.
std::string normal_name(std::string name) {
  if (name.ends_with(".bst")) name.resize(name.size() - 4);
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

}  // namespace

std::string Core::log_file_of(ElementIndex e, const QueueType& type) const {
  const std::time_t seconds = clock_.wall_ns() / 1'000'000'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char time[32];
  std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &local);
  const model::Element& element = loaded_->element(e);
  return fmt::format("{}/{}/{}-{}.{}.log", loaded_->project(e).name, normal_name(element.name), display_key(e), type.traits().name, time);
}

std::string Core::artifact_name(ElementIndex e) const {
  const model::Element& element = loaded_->element(e);
  return fmt::format("{}/{}/{}", loaded_->project(e).name, normal_name(element.name), element.keys.full);
}

std::string Core::log_path(const std::string& log_file) const {
  if (log_file.empty()) return {};
  return loaded_->snapshot.settings.logdir + "/" + log_file;
}

// ---- Giving ------------------------------------------------------------------

std::uint32_t Core::limit(Resource resource) const {
  if (const std::uint32_t set = limits_[static_cast<std::size_t>(resource)]; set != 0) return set;
  return resource_limit(loaded_->snapshot.settings, resource);
}

std::uint32_t Core::capacity(const Runner& runner, Resource resource) const {
  switch (resource) {
    case Resource::kProcess: return runner.slots;
    case Resource::kRunner: return kRunnerCapacity;
    case Resource::kDownload:
    case Resource::kUpload: break;
  }
  return limit(resource);
}

std::uint32_t Core::prefill(const Runner& runner, const QueueType& type) const {
  return type.traits().brief ? std::max(kBriefPrefill, runner.slots) : kPrefill;
}

// Before the first jobs of a run are given; not long.
bool Core::waits_for_order() {
  if (!order_asked_) {
    if (!run_->any_ready()) return false;
    order_asked_ = true;
    std::set<std::string> projects;
    for (const model::Project& project : loaded_->snapshot.projects) projects.insert(project.name);
    const bool comes = run_->plan().size() > 1 && !run_->measures() &&
                       outputs_.want_durations(loaded_->snapshot.settings.cachedir, {projects.begin(), projects.end()});
    if (comes) order_until_ = clock_.monotonic() + kOrderDeadline;
  }
  if (order_until_ && clock_.monotonic() >= *order_until_) order_until_.reset();
  return order_until_.has_value();
}

void Core::durations(const std::vector<JobDuration>& jobs) {
  order_until_.reset();
  if (run_ && !jobs.empty()) {
    std::unordered_map<std::string, std::int64_t> known;
    const auto name = [](Action action, std::string_view project, std::string_view element) {
      return fmt::format("{}:{}:{}", static_cast<unsigned>(action), project, element);
    };
    for (const JobDuration& job : jobs) known[name(job.action, job.project, job.element)] = job.time;
    std::vector<std::int64_t> own(loaded_->size(), 0);
    // What has never been done takes as long as what has, on average.
    for (std::size_t q = 0; q < run_->queues(); ++q) {
      const QueueType& type = run_->type(q);
      if (type.to_do == nullptr) continue;
      std::vector<ElementIndex> unknown;
      std::int64_t sum = 0, count = 0;
      for (const ElementIndex e : run_->plan()) {
        if (!type.to_do(*run_, e)) continue;
        const auto found = known.find(name(type.action, loaded_->project(e).name, loaded_->element(e).name));
        if (found == known.end()) {
          unknown.push_back(e);
          continue;
        }
        own[e] += found->second;
        sum += found->second;
        ++count;
      }
      for (const ElementIndex e : unknown) own[e] += count == 0 ? 0 : sum / count;
    }
    if (std::any_of(own.begin(), own.end(), [](std::int64_t time) { return time > 0; })) run_->order_by(own);
  }
  drive();
}

void Core::ask_for_runner() {
  if (!runners_.empty() || runner_asked_) return;
  runner_asked_ = true;
  effects_.push_back({Effect::Kind::kStartRunner, {}, {}, {}, 0});
}

bool Core::stopped(ElementIndex e) const {
  return terminated_ || (stopping_ && !run_->drains(run_->queue_of(e)));
}

void Core::dispatch() {
  if (suspended_ || terminated_ || ending_ || outputs_.congested()) return;
  if (stopping_ && !run_->any_ready(true)) return;
  if (waits_for_order()) return ask_for_runner();
  std::uint32_t held[kResources] = {};
  for (std::size_t q = 0; q < run_->queues(); ++q) {
    held[static_cast<std::size_t>(run_->type(q).traits().resource)] += run_->counts(q).active;
  }
  std::map<std::string, std::vector<std::string>> batches;
  bool wanting = false, replayed = false;
  // What is further along goes first: it makes other elements ready.
  for (std::size_t q = run_->queues(); q-- > 0;) {
    const QueueType& type = run_->type(q);
    const Resource resource = type.traits().resource;
    const auto of_resource = static_cast<std::size_t>(resource);
    std::uint32_t most = limit(resource);
    std::uint64_t together = 0, given_out = writing_.size();
    std::uint32_t more = 0;
    for (const auto& [instance, runner] : runners_) {
      // Where limits are set, each does as many as these, or soon will.
      together += std::max(capacity(runner, resource), limits_[of_resource]);
      given_out += runner.given[of_resource];
      more += prefill(runner, type);
    }
    // J23: one runner keeps to the limit by itself, several when all that they can do does. Not so
    // while somebody who isn't here, since a recovery as a rule, has jobs too.
    if (held[of_resource] <= given_out && (runners_.size() == 1 || together <= most)) most += more;
    for (;;) {
      const ElementIndex e = run_->next_ready(q);
      if (e == Run::kNone || broken_ || stopped(e)) break;
      if (loaded_->artifact[e] == ArtifactState::kFailed && type.traits().yields == model::Yields::kArtifact) {
        replay_failure(e);
        replayed = true;
        continue;
      }
      wanting = true;
      if (held[of_resource] >= most) break;
      std::string best;
      std::uint32_t free = 0;
      for (const auto& [instance, runner] : runners_) {
        const std::uint32_t credit = capacity(runner, resource) + prefill(runner, type);
        const std::uint32_t given = runner.given[of_resource];
        if (given < credit && credit - given > free) {
          free = credit - given;
          best = instance;
        }
      }
      if (free == 0) break;
      if (!give(e, best, batches[best])) {
        if (run_->next_ready(q) == e) break;
        continue;  // what it needs was lost, and is ready now instead
      }
      ++held[of_resource];
    }
  }
  for (auto& [instance, jobs] : batches) {
    if (jobs.empty()) continue;
    std::string body;
    wire::Writer writer(body);
    writer.map(1);
    writer.string("jobs");
    writer.array(jobs.size());
    for (const auto& job : jobs) writer.raw(job);
    send(instance, wire::JobBatch::kName, std::move(body));
  }
  if (wanting) ask_for_runner();
  if (replayed) dispatch();  // what was replayed may be pushed now
}

// False when it isn't given: the store lost what it needs, or can't be read.
bool Core::give(ElementIndex e, const std::string& runner, std::vector<std::string>& jobs) {
  const model::Element& element = loaded_->element(e);
  const QueueType& type = run_->type(run_->queue_of(e));
  wire::Job job;
  if (type.traits().needs == model::Needs::kInputs && !add_inputs(e, job)) return false;
  AttemptGiven change;
  change.at = stamp();
  const auto history = history_.find(e);
  change.id.job = history == history_.end() ? jobs_given_ + 1 : history->second.job;
  change.id.attempt = history == history_.end() ? 1 : history->second.attempts + 1;
  change.element = e;
  change.queue = type.traits().title;
  change.runner = runner;
  if (!type.traits().brief) change.log_file = log_file_of(e, type);
  if (!commit(change)) return false;

  job.id = change.id;
  job.action = type.action;
  if (type.traits().brief) {
    jobs.push_back(wire::encode(job));
    return true;
  }
  wire::JobElement body;
  body.name = element.name;
  body.full_name = element.full_name;
  body.kind = element.kind;
  body.project = loaded_->project(e).name;
  body.project_directory = loaded_->project(e).directory;
  body.sources_key = element.sources_key;
  body.body.bytes = element.body;
  body.fatal_warnings = loaded_->project(e).fatal_warnings;
  job.context.bytes = context(attempts_.at(change.id.job));
  job.element.bytes = wire::encode(body);
  job.keys = element.keys;
  job.log_file = change.log_file;
  job.settings.bytes = loaded_->packed_settings;
  job.skip_incomplete = run_->verb() != Action::kPush;
  job.remotes = run_->remotes(e, type.action);
  jobs.push_back(wire::encode(job));
  return true;
}

bool Core::add_inputs(ElementIndex e, wire::Job& job) {
  auto needed = dependencies(e);
  if (!needed) {
    spdlog::error("{}: {}", loaded_->element(e).full_name, needed.error().str());
    publish_error(needed.error());
    (void)commit(RunSteered{stamp(), "terminate", 0});
    return false;
  }
  if (needed->empty() && !loaded_->graph.build(e).empty()) return false;  // StoreLost was applied
  job.dependencies = std::move(*needed);
  if (const auto digest = loaded_->source_digest.find(e); digest != loaded_->source_digest.end()) job.sources = digest->second;
  return true;
}

// What is staged to build an element, in BuildStream's order. Empty although there
// are dependencies: the store has lost one, and the model knows now.
Result<std::vector<model::ArtifactRef>> Core::dependencies(ElementIndex e) {
  const std::vector<ElementIndex> order = loaded_->graph.staging(e);
  StoreLost lost;
  std::unordered_map<ElementIndex, const model::Dependency*> direct;
  for (const auto& dependency : loaded_->element(e).dependencies) direct.emplace(dependency.element, &dependency);
  std::vector<model::ArtifactRef> out;
  out.reserve(order.size());
  for (const ElementIndex d : order) {
    // After a recovery the digests are read when they are needed.
    if (!loaded_->info[d]) {
      if (auto asked = loaded_->query_artifact(store_, d); !asked) return forward(asked);
      if (!loaded_->info[d]) {
        lost.artifacts.push_back(d);
        continue;
      }
    }
    const model::Element& element = loaded_->element(d);
    model::ArtifactRef ref;
    ref.project = loaded_->project(d).name;
    ref.element = element.name;
    ref.full_name = element.full_name;
    ref.key = element.keys.full;
    ref.weak_key = element.keys.weak;
    ref.files = loaded_->info[d]->files;
    ref.public_data = loaded_->info[d]->public_data;
    ref.low_diversity_meta = loaded_->info[d]->low_diversity_meta;
    if (const auto found = direct.find(d); found != direct.end()) {
      ref.build = found->second->build;
      ref.runtime = found->second->runtime;
    }
    ref.index = d;
    const auto runtime = loaded_->graph.runtime(d);
    ref.runtime_dependencies.assign(runtime.begin(), runtime.end());
    out.push_back(std::move(ref));
  }
  if (lost.artifacts.empty()) return out;
  lost.at = stamp();
  if (auto committed = commit(lost); !committed) return forward(committed);
  return std::vector<model::ArtifactRef>{};
}

// What of that the model has and the store hasn't.
Result<StoreLost> Core::lost_inputs(ElementIndex e) {
  store_.forget();
  StoreLost lost;
  const auto look_at_sources = [&](ElementIndex of) -> Status {
    if (loaded_->sources[of] != SourcesState::kPresent) return {};
    if (auto asked = loaded_->query_sources(store_, of); !asked) return asked;
    if (loaded_->sources[of] != SourcesState::kPresent) lost.sources.push_back(of);
    return {};
  };
  if (auto looked = look_at_sources(e); !looked) return forward(looked);
  for (const ElementIndex d : loaded_->graph.staging(e)) {
    if (loaded_->artifact[d] != ArtifactState::kCached) continue;
    if (auto asked = loaded_->query_artifact(store_, d); !asked) return forward(asked);
    if (loaded_->artifact[d] == ArtifactState::kCached) continue;
    lost.artifacts.push_back(d);
    if (auto looked = look_at_sources(d); !looked) return forward(looked);
  }
  return lost;
}

Status Core::apply(const AttemptGiven& change) {
  at(change.at);
  if (!run_ || change.element >= loaded_->size() || !run_->is_ready(change.element)) {
    return bad_journal("gives a job of an element that isn't ready");
  }
  const QueueType& type = run_->type(run_->queue_of(change.element));
  if (change.queue != type.traits().title) return bad_journal("gives a job of another queue than its element's");
  run_->take(change.element);
  History& history = history_[change.element];
  history.job = change.id.job;
  history.attempts = change.id.attempt;
  jobs_given_ = std::max(jobs_given_, change.id.job);
  Attempt attempt;
  attempt.id = change.id;
  attempt.element = change.element;
  attempt.action = type.action;
  attempt.runner = change.runner;
  attempt.lease_until = clock_.monotonic() + options_.lease;
  attempt.began = change.at.elapsed;
  attempt.section.id = change.id.job;
  attempt.section.action = type.traits().name;
  attempt.section.attempt = change.id.attempt;
  attempt.section.runner = change.runner;
  attempt.section.log_file = log_path(change.log_file);
  if (const auto runner = runners_.find(change.runner); runner != runners_.end()) {
    ++runner->second.given[static_cast<std::size_t>(type.traits().resource)];
    attempt.section.host = runner->second.host;
  }
  attempts_[change.id.job] = std::move(attempt);
  return {};
}

Status Core::apply(const AttemptStarted& change) {
  at(change.at);
  const auto found = attempts_.find(change.id.job);
  if (found == attempts_.end() || found->second.id != change.id) return bad_journal("starts an attempt that isn't under way");
  Attempt& attempt = found->second;
  attempt.started = true;
  if (attempt.state == AttemptState::kGiven) attempt.state = AttemptState::kRunning;
  attempt.began = change.at.elapsed;
  attempt.section.started = change.at.time;
  attempt.section.slot = change.slot;
  if (!change.host.empty()) attempt.section.host = change.host;
  if (attempt.traits().brief) return {};
  publish_job(attempt, {.type = "job.started", .time = time_, .level = "start", .text = attempt.traits().title});
  return {};
}

// ---- Ending ------------------------------------------------------------------

Core::Attempt* Core::current(const wire::JobId& id, const std::string& runner) {
  const auto found = attempts_.find(id.job);
  if (found == attempts_.end() || found->second.id != id || found->second.runner != runner) return nullptr;
  return &found->second;
}

Core::Attempt Core::release(std::map<std::uint64_t, Attempt>::iterator found) {
  if (const auto runner = runners_.find(found->second.runner); runner != runners_.end()) {
    std::uint32_t& given = runner->second.given[static_cast<std::size_t>(found->second.traits().resource)];
    if (given > 0) --given;
  }
  Attempt attempt = std::move(found->second);
  attempts_.erase(found);
  return attempt;
}

// Checks a result against the store, and makes it a change.
void Core::take_result(const std::string& runner, wire::JobResult result) {
  Attempt* attempt = current(result.id, runner);
  if (attempt == nullptr) return;
  const ElementIndex e = attempt->element;
  const model::Element& element = loaded_->element(e);
  const model::Yields yields = attempt->traits().yields;
  const bool done = result.status == Outcome::kSuccess || result.status == Outcome::kSkipped;
  const auto not_there = [&](std::string reason, std::string message, std::string detail) {
    result.status = Outcome::kError;
    result.error = wire::ErrorBody{.domain = "scheduler", .reason = std::move(reason), .message = std::move(message), .detail = std::move(detail)};
    result.artifact.reset();
  };
  if (yields == model::Yields::kArtifact && (done || result.status == Outcome::kFailure)) {
    auto found = store_.committed({loaded_->project(e).name, element.name, element.keys.full});
    const bool good = found && *found;
    if (result.status != Outcome::kFailure && (!good || !(*found)->success)) {
      not_there("missing-artifact", "The build succeeded, but its artifact is not in the store", found ? "" : found.error().str());
    } else if (good && (result.status != Outcome::kFailure || !(*found)->success)) {
      if (!result.artifact) result.artifact.emplace();
      result.artifact->files = (*found)->files;
      result.artifact->public_data = (*found)->public_data;
      result.artifact->low_diversity_meta = (*found)->low_diversity_meta;
    } else {
      result.artifact.reset();  // the failure could not be cached
    }
  }
  if (yields == model::Yields::kPulledArtifact && done) {
    // Also when nothing was pulled: another command may have built it meanwhile.
    const std::string& key = result.artifact && !result.artifact->key.empty() ? result.artifact->key : element.keys.strict;
    auto found = store_.committed({loaded_->project(e).name, element.name, key});
    const bool pulled = result.status == Outcome::kSuccess;
    if (pulled && (!found || !*found)) {
      not_there("missing-artifact", "The artifact was pulled, but is not in the store", found ? "" : found.error().str());
    } else if (pulled) {
      if (!(*found)->success && discards(run_->arguments(), e, (*found)->key)) {
        result.status = Outcome::kSkipped;
        result.error = wire::ErrorBody{.domain = "artifact", .reason = std::string(kDiscarded), .message = "Discarded failed build",
                                       .detail = discarded_text(run_->arguments(), (*found)->key)};
        result.artifact.reset();
      } else {
        if (!result.artifact) result.artifact.emplace();
        result.artifact->key = (*found)->key;
        result.artifact->files = (*found)->files;
        result.artifact->public_data = (*found)->public_data;
        result.artifact->low_diversity_meta = (*found)->low_diversity_meta;
        if (!(*found)->success) {
          result.error = wire::ErrorBody{.domain = "element", .reason = "cached-failure", .message = (*found)->error, .detail = (*found)->detail};
        }
      }
    }
  }
  if (yields == model::Yields::kSources && done) {
    auto found = store_.sources(element.sources_key);
    if (found && *found) {
      result.sources = **found;
    } else {
      not_there("missing-sources", "The sources were fetched, but are not in the store", found ? "" : found.error().str());
    }
  }
  // What was to be staged isn't wholly there, or was damaged: it is pulled or built again, and then this element.
  if (attempt->traits().needs == model::Needs::kInputs && result.status == Outcome::kError && result.error && result.error->domain == "cas" && result.error->reason == "missing-blob") {
    auto lost = lost_inputs(e);
    const bool any = lost && !(lost->artifacts.empty() && lost->sources.empty());
    // The first attempt takes local sources as the load left them in the store.
    if (any || (lost && element.sources_local && element.has_sources && result.id.attempt == 1)) {
      lose(result.id, result.error->message);
      lost->at = stamp();
      if (run_ && any) (void)commit(*lost);
      return;
    }
  }
  const bool bad = result.status == Outcome::kFailure || result.status == Outcome::kError;
  // Killed by nobody that we know of: its runner ended, or somebody's signal.
  if (result.status == Outcome::kKilled && !attempt->cancelled) {
    lose(result.id, "It was killed, though nobody asked");
    return;
  }
  AttemptEnded change;
  change.at = stamp();
  if (bad && !attempt->section.log_file.empty()) {
    change.log_tail = store_.log_tail(attempt->section.log_file, loaded_->snapshot.settings.error_lines);
  }
  stored_ = stored_ || result.artifact || !result.sources.empty();
  if (yields == model::Yields::kRefs && result.status == Outcome::kSuccess && !result.refs.empty()) {
    (void)commit(RefsFound{change.at, std::move(result)});
    return;
  }
  change.result = std::move(result);
  (void)commit(change);
}

Status Core::apply(const AttemptEnded& change) {
  at(change.at);
  const auto found = attempts_.find(change.result.id.job);
  if (found == attempts_.end() || found->second.id != change.result.id) return bad_journal("ends an attempt that isn't under way");
  const wire::JobResult& result = change.result;
  Attempt attempt = release(found);
  const ElementIndex e = attempt.element;
  const model::ActionTraits& traits = attempt.traits();
  const bool builds = traits.yields == model::Yields::kArtifact;
  const bool pulls = traits.yields == model::Yields::kPulledArtifact;
  attempt.section.elapsed = result.elapsed;

  wire::EventHead head{.type = "job.finished", .time = time_, .outcome = text_of(result.status), .elapsed = result.elapsed};
  const std::string message = result.error ? result.error->message : std::string();
  if (result.status == Outcome::kSuccess || result.status == Outcome::kSkipped) {
    if ((builds || pulls) && result.artifact) {
      // What was pulled may be a failure.
      loaded_->artifact[e] = result.error ? ArtifactState::kFailed : ArtifactState::kCached;
      if (pulls) loaded_->snapshot.elements[e].keys.full = result.artifact->key;
      loaded_->info[e].reset();
      // What a failure says, and its logs, the store is asked for when it is told again.
      if (!result.error) {
        auto info = std::make_unique<CachedArtifact>();
        info->files = result.artifact->files;
        info->public_data = result.artifact->public_data;
        info->low_diversity_meta = result.artifact->low_diversity_meta;
        loaded_->info[e] = std::move(info);
      }
    } else if (traits.yields == model::Yields::kSources) {
      loaded_->sources[e] = SourcesState::kPresent;
      if (!result.sources.empty()) loaded_->source_digest[e] = result.sources;
    }
    if (result.status == Outcome::kSuccess && !replaying_ && result.elapsed >= kShortestDuration) {
      outputs_.took({loaded_->project(e).name, loaded_->element(e).name, attempt.action, result.elapsed});
    }
    history_.erase(e);
    run_->finished(e, result.status == Outcome::kSkipped);
    if (traits.brief) return {};
    const bool discarded = result.error && result.error->reason == kDiscarded;
    if (discarded) publish_job(attempt, {.type = "job.message", .time = time_, .level = "info", .text = message, .detail = result.error->detail});
    head.level = text_of(result.status);
    head.text = result.status == Outcome::kSkipped && !message.empty() && !discarded ? std::string_view(message) : traits.title;
    publish_job(attempt, head);
  } else if (result.status == Outcome::kKilled && !attempt.started) {
    run_->give_back(e);  // as if it had never been given
  } else if (result.status == Outcome::kKilled) {
    history_.erase(e);
    run_->killed(e);
    head.level = "info";
    head.text = "Job terminated";
    publish_job(attempt, head);
  } else {
    if (builds && result.status == Outcome::kFailure) {
      loaded_->artifact[e] = result.artifact ? ArtifactState::kFailed : ArtifactState::kAbsent;
      loaded_->info[e].reset();  // asked for when it is wanted: a failure isn't staged
    }
    history_.erase(e);
    run_->failed(e);
    if (stopping_) {
      if (!terminated_) run_->push_failure(e);
    } else if (!run_->arguments().prompt && run_->on_error() == "continue") {
      run_->go_on_after_failure(e);
    } else if (!run_->arguments().prompt && run_->on_error() == "quit") {
      run_->push_failure(e);
    }
    any_failed_ = true;
    head.level = "failure";
    head.text = message.empty() ? std::string_view("Job failed") : std::string_view(message);
    const std::string detail = result.error ? result.error->detail : std::string();
    head.detail = detail;
    wire::ErrorSection error{.scope = "task", .domain = "scheduler", .reason = "failed", .message = std::string(head.text)};
    if (result.error) {
      error.domain = result.error->domain;
      error.reason = result.error->reason;
      error.file = result.error->file;
      error.line = result.error->line;
      error.column = result.error->column;
    }
    const std::string section = wire::pack_section("error", error);
    publish_job(attempt, head, {section, wire::pack_section("log_tail", change.log_tail)});
    publish_job(attempt, {.type = "error", .time = time_, .detail = detail}, {section});
    wire::FailureSection failure;
    failure.element = element_section(e);
    failure.job = attempt.section;
    failure.level = "failure";
    failure.text = head.text;
    failure.detail = detail;
    failure.log_tail = change.log_tail;
    if (run_->arguments().prompt) {
      if (!stopping_) open_prompt(e, failure);
    } else {
      if (run_->on_error() == "quit") stopping_ = true;
      if (run_->on_error() == "terminate") stopping_ = terminated_ = true;
    }
    failures_.emplace_back(e, std::move(failure));
    if (stopping_) session_state_ = "quitting";
  }
  publish_element_states();
  return {};
}

void Core::lose(const wire::JobId& id, const std::string& why) {
  (void)commit(AttemptLost{stamp(), id, why});
}

Status Core::apply(const AttemptLost& change) {
  at(change.at);
  const auto found = attempts_.find(change.id.job);
  if (found == attempts_.end() || found->second.id != change.id) return bad_journal("loses an attempt that isn't under way");
  Attempt attempt = release(found);
  const ElementIndex e = attempt.element;
  if (attempt.started && stopped(e)) {
    // Nothing is started again, so the job ends here.
    history_.erase(e);
    run_->killed(e);
    publish_job(attempt, {.type = "job.finished", .time = time_, .level = "info", .text = "Job terminated", .detail = change.why, .outcome = "killed"});
    return {};
  }
  // Replayed failures take no attempt from anybody.
  if (attempt.runner.empty()) {
    run_->give_back(e);
    return {};
  }
  History& history = history_[e];
  // One that only waited there had no part in what happened.
  if (attempt.started) ++history.lost;
  if (history.lost < kMaxAttempts && history.attempts < kMaxGiven) {
    run_->give_back(e);
    if (!attempt.started) return {};
    publish_job(attempt, {.type = "job.message", .time = time_, .level = "warn",
                          .text = fmt::format("Attempt {} was lost, trying again", change.id.attempt), .detail = change.why});
    return {};
  }
  // Ends like any other failure; the journal has it as what it is.
  AttemptEnded ended;
  ended.at = change.at;
  ended.result.id = change.id;
  ended.result.status = Outcome::kError;
  ended.result.error = wire::ErrorBody{.domain = "scheduler", .reason = "runner-lost",
                                       .message = fmt::format("The job was lost {} times", history.attempts), .detail = change.why};
  const auto again = attempts_.emplace(change.id.job, std::move(attempt)).first;
  if (const auto runner = runners_.find(again->second.runner); runner != runners_.end()) {
    ++runner->second.given[static_cast<std::size_t>(again->second.traits().resource)];
  }
  return apply(ended);
}

// As BuildStream does: the log of the build that failed, then its failure again.
void Core::replay_failure(ElementIndex e) {
  const QueueType& type = run_->type(run_->queue_of(e));
  if (!loaded_->info[e]) {
    const auto asked = loaded_->query_artifact(store_, e);
    if (!asked || loaded_->artifact[e] != ArtifactState::kFailed || discards(run_->arguments(), e, loaded_->info[e]->key)) {
      loaded_->artifact[e] = ArtifactState::kAbsent;  // then it is built
      loaded_->info[e].reset();
      return;
    }
  }
  const CachedArtifact failure = *loaded_->info[e];
  const auto history = history_.find(e);
  AttemptGiven given;
  given.at = stamp();
  given.id.job = history == history_.end() ? jobs_given_ + 1 : history->second.job;
  given.id.attempt = history == history_.end() ? 1 : history->second.attempts + 1;
  given.element = e;
  given.queue = type.traits().title;
  given.log_file = log_file_of(e, type);
  if (!commit(given) || !commit(AttemptStarted{stamp(), given.id, 0, ""})) return;
  const model::Element& element = loaded_->element(e);
  const std::string line = fmt::format("[00:00:00] FAILURE [{}] {}: {}", display_key(e), element.full_name, failure.error);
  if (auto written = store_.replay_log(failure, log_path(given.log_file), line); !written) {
    spdlog::warn("{}: {}", log_path(given.log_file), written.error().str());
  }
  wire::JobResult result;
  result.id = given.id;
  result.status = Outcome::kFailure;
  result.log_file = given.log_file;
  result.error = wire::ErrorBody{.domain = "element", .reason = "cached-failure", .message = failure.error, .detail = failure.detail};
  take_result("", std::move(result));
}

void Core::cancel(const std::string& runner, const std::vector<wire::JobId>& ids) {
  if (!ids.empty()) send(runner, wire::Cancel{ids, kGraceMs});
}

// Of a run that was terminated all that is under way, of one that quits what has
// not started, but for what was built and is to be pushed.
void Core::cancel_unwanted() {
  if (!stopping_) return;
  std::map<std::string, std::vector<wire::JobId>> wanted;
  for (auto& [job, attempt] : attempts_) {
    if (attempt.cancelled || !stopped(attempt.element) || (!terminated_ && attempt.started)) continue;
    attempt.cancelled = true;
    wanted[attempt.runner].push_back(attempt.id);
    if (terminated_ && attempt.started) {
      publish_job(attempt, {.type = "job.message", .time = clock_.wall_ns(), .level = "status",
                            .text = fmt::format("{} terminating", attempt.traits().title)});
    }
  }
  for (const auto& [runner, ids] : wanted) {
    if (runners_.contains(runner)) cancel(runner, ids);
  }
}

}  // namespace sluice::scheduler
