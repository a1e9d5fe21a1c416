// What the dispatcher makes of results, and of what the store has and hasn't.
#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/try.h"
#include "model/source_kinds.h"
#include "scheduler/dispatcher.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

namespace {

// No job takes longer, nor the processors of all that it runs.
constexpr std::int64_t kLongest = std::int64_t{30} * 24 * 3600 * 1'000'000'000;

}  // namespace

// What of an attempt's inputs the model has and the store hasn't.
Result<StoreLost> Dispatcher::lost_inputs(ElementIndex e) {
  store_.forget();
  StoreLost lost;
  const auto look_at_sources = [&](ElementIndex of) -> Status {
    if (loaded().sources[of] != SourcesState::kPresent) return {};
    auto state = TRY(loaded().ask_sources(store_, of));
    if (state != SourcesState::kPresent) lost.sources.push_back(of);
    return {};
  };
  CHECK(look_at_sources(e));
  for (const ElementIndex d : loaded().graph.staging(e)) {
    if (loaded().artifact[d] != ArtifactState::kCached) continue;
    auto state = TRY(loaded().ask_artifact(store_, d));
    if (state == ArtifactState::kCached) continue;
    lost.artifacts.push_back(d);
    CHECK(look_at_sources(d));
  }
  return lost;
}

namespace {

void not_there(wire::JobResult& result, std::string reason, std::string message,
               std::string detail) {
  result.status = Outcome::kError;
  result.error = wire::ErrorBody{.domain = "scheduler",
                                 .reason = std::move(reason),
                                 .message = std::move(message),
                                 .detail = std::move(detail)};
  result.artifact.reset();
}

// Digests come from the store alone (J30).
void take_digests(wire::JobResult& result, const CachedArtifact& found) {
  if (!result.artifact) result.artifact.emplace();
  result.artifact->files = found.files;
  result.artifact->public_data = found.public_data;
  result.artifact->low_diversity_meta = found.low_diversity_meta;
}

}  // namespace

bool Dispatcher::take_over(const Attempt& attempt, wire::JobResult& result) {
  // What is wrong with what was sent has the domain "remote".
  const auto blame = [&](const Error& error) {
    log::error("What {} sent can't be taken: {}", attempt.runner, error.str());
    result.status = Outcome::kError;
    result.error = wire::ErrorBody::from(error);
    return error.domain == "remote";
  };
  if (auto kept = store_.keep_log(result.log, result.log_tail, attempt.section.log_file); !kept)
    log::warn("{}: {}", attempt.section.log_file, kept.error().str());
  result.artifact.reset();
  const bool failed = result.status == Outcome::kFailure;
  if (attempt.traits().yields != model::Yields::kArtifact ||
      (result.status != Outcome::kSuccess && !failed))
    return true;
  // A failure that could not be cached is one all the same.
  if (failed && result.artifact_message.empty()) return true;
  const ElementIndex e = attempt.element;
  const model::Element& element = loaded().element(e);
  const auto body = wire::unpack_body(element.body);
  if (!body) return blame(body.error());
  Adoption wanted;
  wanted.project = loaded().project(e).name;
  wanted.element = element.name;
  wanted.keys = element.keys;
  for (const ElementIndex d : loaded().graph.staging(e)) {
    const model::Element& dependency = loaded().element(d);
    wanted.dependencies.push_back(
        {loaded().project(d).name, dependency.name, dependency.keys.full});
  }
  wanted.success = !failed;
  wanted.workspaced = model::has_workspace(*body);
  wanted.has_sources = !body->sources.empty();
  const std::string& log_file = attempt.section.log_file;
  wanted.log_name = log_file.substr(log_file.rfind('/') + 1);
  wanted.key_inputs = body->key_inputs;
  if (auto adopted = store_.adopt(wanted, result.artifact_message); !adopted)
    return blame(adopted.error());
  return true;
}

void Dispatcher::check_built(const Attempt& attempt, wire::JobResult& result) {
  const model::Element& element = loaded().element(attempt.element);
  auto found =
      store_.committed({loaded().project(attempt.element).name, element.name, element.keys.full});
  const bool good = found && *found;
  if (result.status != Outcome::kFailure && (!good || !(*found)->success)) {
    not_there(result, "missing-artifact",
              "The build succeeded, but its artifact is not in the store",
              found ? "" : found.error().str());
  } else if (good && (result.status != Outcome::kFailure || !(*found)->success)) {
    take_digests(result, **found);
  } else {
    result.artifact.reset();  // the failure could not be cached
  }
}

void Dispatcher::check_pulled(const Attempt& attempt, wire::JobResult& result) {
  if (result.status != Outcome::kSuccess) return;
  const ElementIndex e = attempt.element;
  const model::Element& element = loaded().element(e);
  const std::string& key =
      result.artifact && !result.artifact->key.empty() ? result.artifact->key : element.keys.strict;
  auto found = store_.committed({loaded().project(e).name, element.name, key});
  if (!found || !*found) {
    not_there(result, "missing-artifact", "The artifact was pulled, but is not in the store",
              found ? "" : found.error().str());
    return;
  }
  const CachedArtifact& artifact = **found;
  if (!artifact.success && run().discards(e, artifact.key)) {
    result.status = Outcome::kSkipped;
    result.error = wire::ErrorBody{.domain = "artifact",
                                   .reason = std::string(kDiscarded),
                                   .message = "Discarded failed build",
                                   .detail = run().discarded_text(artifact.key)};
    result.artifact.reset();
    return;
  }
  take_digests(result, artifact);
  result.artifact->key = artifact.key;
  if (!artifact.success) {
    result.error = wire::ErrorBody{.domain = "element",
                                   .reason = "cached-failure",
                                   .message = artifact.error,
                                   .detail = artifact.detail};
  }
}

void Dispatcher::check_fetched(const Attempt& attempt, wire::JobResult& result) {
  auto found = store_.sources(loaded().element(attempt.element).sources_key);
  if (found && *found) {
    result.sources = **found;
  } else {
    not_there(result, "missing-sources", "The sources were fetched, but are not in the store",
              found ? "" : found.error().str());
  }
}

// Another attempt that missed the same was first, so that the store has been asked already.
bool Dispatcher::lost_by_now(ElementIndex e) const {
  const auto sources_gone = [&](ElementIndex of) {
    return loaded().sources[of] == SourcesState::kAbsent;
  };
  const std::vector<ElementIndex> staged = loaded().graph.staging(e);
  return sources_gone(e) || std::any_of(staged.begin(), staged.end(), [&](ElementIndex d) {
           return loaded().artifact[d] != ArtifactState::kCached;
         });
}

bool Dispatcher::repair(const Attempt& attempt, const wire::JobResult& result, bool elsewhere) {
  if (attempt.traits().needs != model::Needs::kInputs) return false;
  const ElementIndex e = attempt.element;
  const model::Element& element = loaded().element(e);
  const bool by_now = lost_by_now(e);
  auto lost = lost_inputs(e);
  if (!lost) return false;
  const bool any = !(lost->artifacts.empty() && lost->sources.empty());
  // The first attempt takes local sources as the load left them in the store.
  const bool local = element.sources_local && element.has_sources && result.id.attempt == 1;
  if (!any && !by_now && !local) return false;
  const wire::JobId id = result.id;
  // A runner of another machine has no part in what this one's store has lost.
  if (elsewhere) {
    (void)changes_.commit(AttemptLost{
        .at = changes_.stamp(), .id = id, .why = result.error->message, .blameless = true});
  } else {
    lose(id, result.error->message);
  }
  lost->at = changes_.stamp();
  if (model()->run && any) (void)changes_.commit(*lost);
  grouped_ = false;
  return true;
}

void Dispatcher::take_result(const Attempt& attempt, wire::JobResult result, Runner* runner) {
  const ElementIndex e = attempt.element;
  const model::Yields yields = attempt.traits().yields;
  bool theirs = true;
  if (runner != nullptr && runner->offer.remote && !attempt.traits().brief) {
    theirs = take_over(attempt, result);
    // What went wrong between two stores is no fault of the element's: another attempt may do
    // better (J87). What the session's store lacks, or has no room for, is none of the runner's.
    if (result.status == Outcome::kError && result.error && result.error->domain == "remote") {
      const bool missing = result.error->reason == "missing-input";
      choice_.ended(*runner, result, 0, !missing && result.error->reason != "full");
      if (missing && repair(attempt, result, true)) return;
      return lose_by_runner(attempt, result, *runner);
    }
  }
  const bool done = result.status == Outcome::kSuccess || result.status == Outcome::kSkipped;
  // Whatever the runner's clock does, or the runner says: these are added up.
  for (std::int64_t* const time : {&result.elapsed, &result.cpu})
    *time = std::clamp<std::int64_t>(*time, 0, kLongest);
  if (yields == model::Yields::kArtifact && (done || result.status == Outcome::kFailure))
    check_built(attempt, result);
  if (yields == model::Yields::kPulledArtifact && done) check_pulled(attempt, result);
  if (yields == model::Yields::kSources && done) check_fetched(attempt, result);
  // What was to be staged isn't wholly there, or was damaged: it is pulled or built again, and then
  // this element (J45).
  const bool missed = result.status == Outcome::kError && result.error &&
                      result.error->domain == "cas" && result.error->reason == "missing-blob";
  if (missed && repair(attempt, result, false)) return;
  if (runner != nullptr) {
    const bool builds = attempt.traits().needs == model::Needs::kInputs;
    choice_.ended(*runner, result, builds ? forecast_.known(e, attempt.action) : 0, theirs);
    if (theirs && blames_runner(attempt, result, *runner))
      return lose_by_runner(attempt, result, *runner);
  }
  const bool bad = result.status == Outcome::kFailure || result.status == Outcome::kError;
  // Killed by nobody that we know of: its runner ended, or somebody's signal.
  if (result.status == Outcome::kKilled) {
    const Lease* const lease = fleet_.current(attempt.id, attempt.runner);
    const bool asked_back = asked_back_.erase(result.id) != 0;
    if (asked_back && !attempt.started && lease != nullptr && !lease->cancelled)
      return give_back(result.id, "Another runner is free");
    if (lease == nullptr || !lease->cancelled)
      return lose(result.id, "It was killed, though nobody asked");
  }
  AttemptEnded change;
  change.at = changes_.stamp();
  if (bad && !attempt.section.log_file.empty()) {
    change.log_tail =
        store_.log_tail(attempt.section.log_file, loaded().snapshot.settings.error_lines);
  }
  stored_ = stored_ || result.artifact || !result.sources.empty();
  if (yields == model::Yields::kRefs && result.status == Outcome::kSuccess &&
      !result.refs.empty()) {
    (void)changes_.commit(RefsFound{change.at, std::move(result)});
    return;
  }
  change.result = std::move(result);
  (void)changes_.commit(change);
}

// As BuildStream does: the log of the build that failed, then its failure again.
void Dispatcher::replay_failure(ElementIndex e) {
  const auto& answer = loaded().answers.artifacts[e];
  if (!answer) {
    const auto state = loaded().ask_artifact(store_, e);
    if (!state || *state != ArtifactState::kFailed || run().discards(e, answer->key)) {
      // The failure is gone, so there is nothing to tell: the element is built.
      (void)changes_.commit(StoreLost{changes_.stamp(), {e}, {}});
      return;
    }
  }
  const CachedArtifact failure = *answer;
  const QueueType& type = run().type(run().queue_of(e));
  AttemptGiven given;
  given.at = changes_.stamp();
  given.id = next_attempt(e);
  given.element = e;
  given.queue = type.traits().title;
  given.log_file = log_file_of(e, type);
  if (!changes_.commit(given) ||
      !changes_.commit(AttemptStarted{changes_.stamp(), given.id, 0, ""}))
    return;
  const Attempt& attempt = model()->attempts.at(given.id.job);
  const std::string& path = attempt.section.log_file;
  const std::string line = fmt::format("[00:00:00] FAILURE [{}] {}: {}", display_key(loaded(), e),
                                       loaded().element(e).full_name, failure.error);
  if (auto written = store_.replay_log(failure, path, line); !written)
    log::warn("{}: {}", path, written.error().str());
  wire::JobResult result;
  result.id = given.id;
  result.status = Outcome::kFailure;
  result.log_file = given.log_file;
  result.error = wire::ErrorBody{.domain = "element",
                                 .reason = "cached-failure",
                                 .message = failure.error,
                                 .detail = failure.detail};
  take_result(attempt, std::move(result));
}

void Dispatcher::cancel(const Runner& runner, const std::vector<wire::JobId>& ids) {
  if (!ids.empty())
    changes_.send(runner.peer, wire::Cancel::kName, wire::encode(wire::Cancel{ids, kGraceMs}));
}

// Cancels, in a run that was terminated, all that is under way; in one that quits what has not
// started, but for what was built and is to be pushed.
void Dispatcher::cancel_unwanted() {
  if (!model()->stopping) {
    // Whoever tries a failed element again goes on with the run, and may stop it once more.
    cancelled_of_ = {0, false};
    return;
  }
  const std::pair of{run().number(), model()->terminated};
  if (std::exchange(cancelled_of_, of) == of) return;
  std::map<std::string, std::vector<wire::JobId>> wanted;
  for (const auto& [job, attempt] : model()->attempts) {
    if (!model()->stopped(attempt.element) || (!model()->terminated && attempt.started)) continue;
    Lease* const lease = fleet_.current(attempt.id, attempt.runner);
    if (lease == nullptr || lease->cancelled) continue;
    lease->cancelled = true;
    wanted[attempt.runner].push_back(attempt.id);
    if (model()->terminated && attempt.started) narrator_.job_terminates(attempt, clock_.wall_ns());
  }
  for (const auto& [instance, ids] : wanted) {
    if (const Runner* const runner = fleet_.find(instance)) cancel(*runner, ids);
  }
}

// A runner keeps to fewer by itself, and starts what it has in hand as its own jobs end. What
// several have in hand would be more than they may do together: it is taken back (J54), the last
// that was given first.
void Dispatcher::take_back() {
  if (!model()->run || fleet_.size() < 2) return;
  for (const Resource resource : {Resource::kProcess, Resource::kDownload}) {
    const auto of_resource = [&](const auto& entry) {
      return entry.second.traits().resource == resource;
    };
    const auto& attempts = model()->attempts;
    auto held =
        static_cast<std::uint64_t>(std::count_if(attempts.begin(), attempts.end(), of_resource));
    std::map<std::string, std::vector<wire::JobId>> surplus;
    for (auto found = attempts.rbegin();
         found != attempts.rend() && held > model()->limit(resource); ++found) {
      const Attempt& attempt = found->second;
      const Lease* const lease = fleet_.current(attempt.id, attempt.runner);
      if (!of_resource(*found) || lease == nullptr || lease->started || lease->cancelled ||
          lease->state != Lease::State::kGiven)
        continue;
      surplus[attempt.runner].push_back(attempt.id);
      --held;
    }
    for (const auto& [instance, ids] : surplus) {
      for (const wire::JobId& id : ids) lose(id, "Fewer jobs at once were asked for");
      if (const Runner* const runner = fleet_.find(instance)) cancel(*runner, ids);
    }
  }
}

Status Dispatcher::check_store() {
  StoreLost lost;
  for (const ElementIndex e : run().plan()) {
    bool cached = loaded().artifact[e] == ArtifactState::kCached;
    if (run().queries_artifacts() && cached) {
      auto state = TRY(loaded().ask_artifact(store_, e));
      cached = state == ArtifactState::kCached;
      if (!cached) lost.artifacts.push_back(e);
    }
    if (!run().needs_sources() || (run().queries_artifacts() && cached && !run().checks(e)) ||
        !is_present(loaded().sources[e]))
      continue;
    auto state = TRY(loaded().ask_sources(store_, e));
    if (!is_present(state)) lost.sources.push_back(e);
  }
  if (lost.artifacts.empty() && lost.sources.empty()) return {};
  log::warn("the store lost {} artifacts and the sources of {} elements", lost.artifacts.size(),
            lost.sources.size());
  lost.at = changes_.stamp();
  return changes_.commit(lost);
}

Status Dispatcher::query(KnownSnapshot& loaded, const Run& run, RunStarted& change) {
  const Duration began = clock_.monotonic();
  // Sources are pushed of elements that are cached, too.
  const bool pushes_sources = run.has_remotes(Action::kSourcePush);
  if (run.queries_artifacts()) {
    std::vector<ElementIndex> unknown;
    for (const ElementIndex e : run.plan()) {
      if (loaded.artifact[e] != ArtifactState::kCached) unknown.push_back(e);
    }
    CHECK(loaded.query_artifacts(store_, unknown));
    for (const ElementIndex e : unknown) {
      if (loaded.artifact[e] != ArtifactState::kFailed) continue;
      const std::string& key = loaded.answers.artifacts[e]->key;
      if (!run.discards(e, key)) continue;
      change.discarded.push_back({e, key});
      loaded.artifact[e] = ArtifactState::kAbsent;
      loaded.answers.artifacts[e].reset();
      loaded.lacks_buildtree.erase(e);
    }
  }
  for (const ElementIndex e : run.plan()) {
    if (!run.needs_sources()) continue;
    const bool needed = !run.queries_artifacts() || pushes_sources || run.checks(e) ||
                        loaded.artifact[e] != ArtifactState::kCached;
    if (needed && loaded.sources[e] != SourcesState::kPresent) {
      CHECK(loaded.query_sources(store_, e));
    }
  }
  for (const ElementIndex e : run.plan()) {
    if (loaded.lacks_buildtree.contains(e)) change.lacks_buildtree.push_back(e);
  }
  change.states.bytes.resize(loaded.size());
  for (ElementIndex e = 0; e < loaded.size(); ++e) {
    change.states.bytes[e] = static_cast<char>(static_cast<unsigned>(loaded.artifact[e]) |
                                               static_cast<unsigned>(loaded.sources[e]) << 4);
  }
  change.query = (clock_.monotonic() - began).count();
  return {};
}

void Dispatcher::add_to(StateDigest& digest) const {
  digest.add(runner_asked_);
  digest.add(order_asked_);
  digest.add(order_until_.has_value());
  digest.add(waiting_.size());
  // One that isn't current any more, or has started, is never looked for again.
  for (const auto& [job, attempt] : model()->attempts)
    digest.add(!attempt.started && asked_back_.contains(attempt.id));
  if (!model()->loaded) return;
  for (const auto& answer : loaded().answers.artifacts) digest.add(answer != nullptr);
}

}  // namespace sluice::scheduler
