#include "scheduler/run.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "model/impediments.h"
#include "model/remotes.h"
#include "model/source_kinds.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

namespace {

template <Action... kVerbs>
bool is_run_of(const Run& run) {
  return ((run.verb() == kVerbs) || ...);
}
// The queue is in runs of that verb, and in builds when there are caches for it.
template <Action kAction>
bool is_run_with(const Run& run) {
  return run.verb() == kAction || (run.verb() == Action::kBuild && run.has_remotes(kAction));
}
bool pulling_run(const Run& run) {
  return run.moves_artifacts() || is_run_with<Action::kPull>(run);
}

Readiness pull_status(const Run& run, ElementIndex e) {
  return run.pull_pending(e) ? Readiness::kReady : Readiness::kSkip;
}

Readiness push_status(const Run& run, ElementIndex e) {
  if (run.remotes(e, Action::kPush).empty()) return Readiness::kSkip;
  const ArtifactState state = run.loaded().artifact[e];
  // A run that was asked for nothing but pushing has a job also for what isn't there: it says so.
  const bool cached = state == ArtifactState::kCached || state == ArtifactState::kFailed;
  return cached || run.verb() == Action::kPush ? Readiness::kReady : Readiness::kSkip;
}

Readiness source_push_status(const Run& run, ElementIndex e) {
  const bool there = run.loaded().element(e).has_sources && is_present(run.loaded().sources[e]);
  return there && !run.remotes(e, Action::kSourcePush).empty() ? Readiness::kReady
                                                               : Readiness::kSkip;
}

Readiness track_status(const Run& run, ElementIndex e) {
  return run.loaded().element(e).has_sources ? Readiness::kReady : Readiness::kSkip;
}

Readiness always_ready(const Run&, ElementIndex) { return Readiness::kReady; }

Readiness fetch_status(const Run& run, ElementIndex e) {
  const KnownSnapshot& loaded = run.loaded();
  if (run.queries_artifacts() && loaded.artifact[e] == ArtifactState::kCached)
    return Readiness::kSkip;
  return is_present(loaded.sources[e]) ? Readiness::kSkip : Readiness::kReady;
}

bool to_be_fetched(const Run& run, ElementIndex e) {
  return run.loaded().sources[e] == SourcesState::kAbsent;
}

bool to_be_built(const Run& run, ElementIndex e) {
  return run.scheduled(e) && run.loaded().element(e).builds &&
         run.loaded().artifact[e] != ArtifactState::kCached;
}

// BuildStream fetches local sources too, and even none at all: what its queue counts as processed.
bool fetched_by_itself(const Run& run, ElementIndex e, const QueueType& type) {
  const bool cached = run.queries_artifacts() && run.loaded().artifact[e] == ArtifactState::kCached;
  return type.action == Action::kFetch && !cached &&
         run.loaded().sources[e] == SourcesState::kStageable;
}

Readiness build_status(const Run& run, ElementIndex e) {
  const KnownSnapshot& loaded = run.loaded();
  if (loaded.artifact[e] == ArtifactState::kCached) return Readiness::kSkip;
  const bool ready =
      run.scheduled(e) && run.build_ready(e) && is_present(loaded.sources[e]) && !run.awaits_key(e);
  return ready ? Readiness::kReady : Readiness::kWait;
}

// A project's caches for an action that has to do with some.
const std::vector<model::Remote>& caches(const wire::ProjectRemotes& of, Action action) {
  const model::ActionTraits& traits = model::traits(action);
  return traits.from == model::Caches::kArtifacts || traits.to == model::Caches::kArtifacts
             ? of.artifacts
             : of.sources;
}

// Jobs of a run that hold nothing but their runner's attention. More of them would only wait longer
// at their runners, and be lost with these.
constexpr std::uint32_t kRunnerJobs = 16384;

}  // namespace

std::uint32_t resource_limit(const model::Settings& settings, Resource resource) {
  switch (resource) {
    case Resource::kDownload: return std::max(1u, settings.fetchers);
    case Resource::kProcess: return std::max(1u, settings.builders);
    case Resource::kUpload: return std::max(1u, settings.pushers);
    case Resource::kRunner: return kRunnerJobs;
  }
  return 1;
}

const std::vector<QueueType>& queue_types() {
  static const std::vector<QueueType> types = {
      {Action::kTrack, is_run_of<Action::kTrack>, track_status},
      {Action::kPull, pulling_run, pull_status},
      {Action::kFetch, is_run_of<Action::kBuild, Action::kFetch, Action::kSourcePush>, fetch_status,
       to_be_fetched},
      {Action::kBuild, is_run_of<Action::kBuild>, build_status, to_be_built},
      {Action::kPush, is_run_with<Action::kPush>, push_status},
      {Action::kSourcePush, is_run_with<Action::kSourcePush>, source_push_status},
      {Action::kEmpty, is_run_of<Action::kEmpty>, always_ready},
      {Action::kSpawn, is_run_of<Action::kSpawn>, always_ready},
  };
  return types;
}

Result<Run> Run::make(const KnownSnapshot& loaded, std::uint32_t number,
                      const wire::RunArguments& arguments, const std::vector<QueueType>& types) {
  Run run;
  run.loaded_ = &loaded;
  run.number_ = number;
  run.arguments_ = arguments;
  run.on_error_ =
      arguments.on_error.empty() ? loaded.snapshot.settings.on_error : arguments.on_error;
  if (run.on_error_ != "continue" && run.on_error_ != "quit" && run.on_error_ != "terminate") {
    return fail("scheduler", "bad-arguments",
                fmt::format("'{}' is no way to go on after an error", run.on_error_));
  }
  for (const std::uint32_t e : arguments.selection) {
    if (e >= loaded.size())
      return fail("scheduler", "bad-arguments",
                  "the selection has an element that the snapshot lacks");
  }
  if (!arguments.remotes.empty() && arguments.remotes.size() != loaded.snapshot.projects.size()) {
    return fail("scheduler", "bad-arguments",
                "caches are given for another number of projects than the snapshot has");
  }
  const std::size_t count = loaded.size();
  run.builds_ = arguments.verb == Action::kBuild;
  run.pipeline_ = loaded.graph.pipeline(loaded.snapshot.targets);
  if (run.builds_) {
    CHECK(run.plan_build());
  } else {
    run.plan_ = arguments.selection;
  }
  run.position_.assign(count, 0);
  for (std::uint32_t i = 0; i < run.plan_.size(); ++i) run.position_[run.plan_[i]] = i + 1;

  std::string missing;
  for (const ElementIndex e : run.plan_) {
    if (loaded.element(e).sources_resolved || !run.uses_store()) continue;
    missing += fmt::format("  Element: {} is inconsistent\n", loaded.element(e).full_name);
    if (auto body = wire::unpack_body(loaded.element(e).body)) {
      for (const auto& source : body->sources) {
        if (source.ref.kind == model::Node::Kind::kNull && model::traits(source).has_ref()) {
          missing += fmt::format("    {} source at {} is missing ref\n", source.kind,
                                 source.provenance.str());
        }
      }
    }
    missing += "\n";
  }
  if (!missing.empty()) {
    return fail("pipeline", "inconsistent-pipeline", "Inconsistent pipeline", {},
                "Exact versions are missing for the following elements:\n\n" + missing +
                    "Try tracking these elements first with `source track`\n");
  }

  for (const QueueType& type : types) {
    if (!type.in_run(run)) continue;
    Queue queue;
    queue.type = &type;
    queue.counts.name = type.traits().title;
    run.queues_.push_back(std::move(queue));
  }
  run.required_.assign(count, false);
  run.scheduled_.assign(count, false);
  run.at_.assign(count, 0);
  run.failed_at_.assign(count, 0);
  run.place_.assign(count, Place::kOutside);
  return run;
}

Status Run::plan_build() {
  const auto& targets = loaded_->snapshot.targets;
  if (arguments_.deps == "none" || arguments_.deps == "run" || arguments_.deps == "all") {
    plan_ = loaded_->graph.plan(targets);
    required_roots_ = arguments_.deps == "all" ? plan_ : targets;
    roots_with_runtime_ = arguments_.deps != "none";
  } else if (arguments_.deps == "build") {
    for (const ElementIndex target : targets) {
      for (const ElementIndex d : loaded_->graph.build(target)) required_roots_.push_back(d);
    }
    plan_ = loaded_->graph.plan(required_roots_);
  } else {
    return fail("scheduler", "bad-arguments",
                fmt::format("'{}' is no choice of dependencies", arguments_.deps));
  }
  return {};
}

bool Run::is_cached(ElementIndex e) const { return loaded_->artifact[e] == ArtifactState::kCached; }

void Run::count() {
  const std::size_t count = loaded_->size();
  ready_.assign(count, false);
  unready_build_.assign(count, 0);
  unready_runtime_.assign(count, 0);
  for (ElementIndex e = 0; e < count; ++e) {
    for (const ElementIndex d : loaded_->graph.build(e)) unready_build_[e] += ready_[d] ? 0 : 1;
    for (const ElementIndex d : loaded_->graph.runtime(e)) unready_runtime_[e] += ready_[d] ? 0 : 1;
    ready_[e] = unready_runtime_[e] == 0 && is_cached(e) && !pull_pending_[e];
  }
}

void Run::start() {
  find_pullable();
  count();
  require_all();
  touched_.clear();
}

void Run::require_all() {
  if (builds_) {
    for (const ElementIndex e : required_roots_) require(e, roots_with_runtime_);
  } else {
    for (const ElementIndex e : plan_) enter(e);
  }
}

void Run::require(ElementIndex first, bool with_runtime) {
  std::vector<ElementIndex> stack{first};
  bool is_root = true;
  while (!stack.empty()) {
    const ElementIndex e = stack.back();
    stack.pop_back();
    const bool runtime = !is_root || with_runtime;
    is_root = false;
    if (required_[e]) continue;
    required_[e] = true;
    const auto push = [&](std::span<const ElementIndex> elements) {
      for (const ElementIndex d : elements) {
        if (!required_[d]) stack.push_back(d);
      }
    };
    if (runtime) push(loaded_->graph.runtime(e));
    if (!is_cached(e) && !pull_pending_[e]) {
      scheduled_[e] = true;
      push(loaded_->graph.build(e));
    }
    enter(e);
  }
}

// No cache has the element's artifact, so it will be built.
void Run::schedule(ElementIndex e) {
  if (scheduled_[e]) return;
  scheduled_[e] = true;
  for (const ElementIndex d : loaded_->graph.build(e)) require(d, true);
}

void Run::leave_pull(ElementIndex e) {
  pull_pending_[e] = false;
  became_ready(e);
  if (builds_ && !is_cached(e)) schedule(e);
}

std::vector<model::Remote> Run::remotes(ElementIndex e, Action action) const {
  if (arguments_.remotes.empty()) return {};
  const auto& of = caches(arguments_.remotes[loaded_->element(e).project], action);
  const bool push = model::traits(action).to != model::Caches::kNone;
  if (push ? !model::can_push(of) : !model::can_pull(of)) return {};
  std::vector<model::Remote> out;
  for (const model::Remote& remote : of) {
    if (!push || remote.push) out.push_back(remote);
  }
  return out;
}

bool Run::has_remotes(Action action) const {
  const bool push = model::traits(action).to != model::Caches::kNone;
  return std::any_of(arguments_.remotes.begin(), arguments_.remotes.end(),
                     [&](const wire::ProjectRemotes& of) {
                       const auto& servers = caches(of, action);
                       return push ? model::can_push(servers) : model::can_pull(servers);
                     });
}

// An open workspace's artifact is in no cache.
bool Run::is_pullable(ElementIndex e) const {
  const model::Element& element = loaded_->element(e);
  if (!element.builds || element.unsupported_by != 0 || remotes(e, Action::kPull).empty())
    return false;
  const auto body = wire::unpack_body(element.body);
  return !body || !model::has_workspace(*body);
}

// An artifact that isn't in the store, or only in part, may be in a cache on another machine.
void Run::find_pullable() {
  pull_pending_.assign(loaded_->size(), false);
  key_pending_.clear();
  if (!queries_artifacts() || !has_remotes(Action::kPull)) return;
  for (const ElementIndex e : plan_) {
    const model::Element& element = loaded_->element(e);
    // One of other dependencies is taken where that isn't strict, but if nobody has that of the
    // present ones.
    const bool present =
        loaded_->snapshot.settings.strict || element.keys.full == element.keys.strict;
    const bool whole = present && (loaded_->artifact[e] == ArtifactState::kCached ||
                                   loaded_->artifact[e] == ArtifactState::kFailed);
    pull_pending_[e] = (!whole || loaded_->lacks_buildtree.contains(e)) && is_pullable(e);
  }
  if (!builds_ || loaded_->snapshot.settings.strict) return;
  // Keys are pending of elements that are pulled, and of those that may be built with them.
  key_pending_.assign(loaded_->size(), false);
  std::vector<bool> below(loaded_->size(), false);  // itself, or what it needs to run
  for (ElementIndex e = 0; e < loaded_->size(); ++e) {
    bool pending = pull_pending_[e];
    if (!is_cached(e)) {
      for (const ElementIndex d : loaded_->graph.build(e)) pending = pending || below[d];
    }
    key_pending_[e] = pending && loaded_->element(e).builds;
    below[e] = pending;
    for (const ElementIndex d : loaded_->graph.runtime(e)) below[e] = below[e] || below[d];
  }
}

bool Run::awaits_keys() const {
  if (key_pending_.empty()) return false;
  const auto pulls = std::find_if(queues_.begin(), queues_.end(), [](const Queue& queue) {
    return queue.type->action == Action::kPull;
  });
  if (pulls == queues_.end()) return true;
  if (pulls->counts.waiting != 0 || pulls->counts.active != 0) return false;
  // A pull that failed may be tried again.
  const auto at = static_cast<std::size_t>(pulls - queues_.begin());
  return std::none_of(plan_.begin(), plan_.end(),
                      [&](ElementIndex e) { return place_[e] == Place::kFailed && at_[e] == at; });
}

void Run::keys_resolved() {
  std::vector<bool> resolved;
  resolved.swap(key_pending_);
  for (ElementIndex e = 0; e < resolved.size(); ++e) {
    if (!resolved[e]) continue;
    touched_.push_back(e);
    wake(e);
  }
}

void Run::enter(ElementIndex e) {
  if (position_[e] == 0 || place_[e] != Place::kOutside) return;
  ++entered_;
  settle(e);
}

// Lets the element go as far as it can without a job.
void Run::settle(ElementIndex e) {
  for (; at_[e] < queues_.size(); ++at_[e]) {
    Queue& queue = queues_[at_[e]];
    switch (queue.type->status(*this, e)) {
      case Readiness::kSkip:
        ++(fetched_by_itself(*this, e, *queue.type) ? queue.counts.processed
                                                    : queue.counts.skipped);
        continue;
      case Readiness::kReady:
        place_[e] = Place::kReady;
        ++queue.counts.waiting;
        line_up(queue, e);
        return;
      case Readiness::kWait:
        place_[e] = Place::kWaiting;
        ++queue.counts.waiting;
        return;
    }
  }
  place_[e] = Place::kDone;
}

// What the element waited for may have come.
void Run::wake(ElementIndex e) {
  if (place_[e] != Place::kWaiting) return;
  if (queues_[at_[e]].type->status(*this, e) == Readiness::kWait) return;
  --queues_[at_[e]].counts.waiting;
  settle(e);
}

ElementIndex Run::next_ready(std::size_t queue) const {
  ElementIndex first = kNone;
  for (std::size_t group = 0; group < groups(queue); ++group) {
    const ElementIndex e = next_ready(queue, group);
    if (e != kNone && (first == kNone || rank(e) < rank(first))) first = e;
  }
  return first;
}

ElementIndex Run::next_ready(std::size_t queue, std::size_t group) const {
  auto& ready = queues_[queue].ready[group];
  while (!ready.empty()) {
    const ElementIndex e = ready.top().second;
    if (place_[e] == Place::kReady && at_[e] == queue) return e;
    ready.pop();
  }
  return kNone;
}

bool Run::any_ready(bool draining) const {
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    if (draining && !drains(i)) continue;
    if (next_ready(i) != kNone) return true;
  }
  return false;
}

bool Run::drains(std::size_t queue) const {
  for (std::size_t before = 0; before < queue; ++before) {
    if (queues_[before].type->status == build_status) return true;
  }
  return false;
}

void Run::take(ElementIndex e) {
  Queue& queue = queues_[at_[e]];
  place_[e] = Place::kActive;
  --queue.counts.waiting;
  ++queue.counts.active;
}

void Run::give_back(ElementIndex e) {
  Queue& queue = queues_[at_[e]];
  --queue.counts.active;
  ++queue.counts.waiting;
  place_[e] = Place::kReady;
  line_up(queue, e);
}

void Run::finished(ElementIndex e, bool skipped) {
  Queue& queue = queues_[at_[e]];
  --queue.counts.active;
  ++(skipped ? queue.counts.skipped : queue.counts.processed);
  if (!queue.type->traits().brief) touched_.push_back(e);
  became_ready(e);
  ++at_[e];
  if (queue.type->status == pull_status) leave_pull(e);
  settle(e);
}

// An element is ready when it is cached, as it will stay, and so is all that it needs to run. Who
// counts it as missing counts it no longer.
void Run::became_ready(ElementIndex first) {
  std::vector<ElementIndex> work{first};
  while (!work.empty()) {
    const ElementIndex e = work.back();
    work.pop_back();
    if (ready_[e] || unready_runtime_[e] != 0 || !is_cached(e) || pull_pending_[e]) continue;
    ready_[e] = true;
    for (const ElementIndex user : loaded_->graph.runtime_users(e)) {
      if (--unready_runtime_[user] == 0) work.push_back(user);
    }
    for (const ElementIndex user : loaded_->graph.build_users(e)) {
      if (--unready_build_[user] != 0) continue;
      touched_.push_back(user);
      wake(user);
    }
  }
}

void Run::killed(ElementIndex e) {
  Queue& queue = queues_[at_[e]];
  --queue.counts.active;
  ++queue.counts.skipped;
  ++killed_;
  place_[e] = Place::kDone;
}

void Run::failed(ElementIndex e) {
  Queue& queue = queues_[at_[e]];
  --queue.counts.active;
  ++queue.counts.failed;
  ++failures_seen_;
  touched_.push_back(e);
  place_[e] = Place::kFailed;
  failed_at_[e] = static_cast<std::uint8_t>(at_[e] + 1);
}

void Run::go_on_after_failure(ElementIndex e) {
  if (place_[e] != Place::kFailed || queues_[at_[e]].type->status != pull_status || !builds_)
    return push_failure(e);
  ++at_[e];
  failed_at_[e] = 0;
  leave_pull(e);
  settle(e);
}

void Run::push_failure(ElementIndex e) {
  if (place_[e] != Place::kFailed || queues_[at_[e]].type->status != build_status) return;
  if (loaded_->artifact[e] != ArtifactState::kFailed || at_[e] + 1u >= queues_.size()) return;
  ++at_[e];
  settle(e);
}

bool Run::retry(ElementIndex e) {
  if (!is_failed(e)) return false;
  if (place_[e] == Place::kReady || place_[e] == Place::kWaiting) --queues_[at_[e]].counts.waiting;
  at_[e] = static_cast<std::uint8_t>(failed_at_[e] - 1);
  failed_at_[e] = 0;
  ++failures_seen_;
  --queues_[at_[e]].counts.failed;
  settle(e);
  touched_.push_back(e);
  return true;
}

void Run::recount(const std::vector<ElementIndex>& lost) {
  count();
  // A cache on another machine may have whole what the store has lost.
  for (const ElementIndex e : lost)
    pull_pending_[e] = queries_artifacts() && has_remotes(Action::kPull) && is_pullable(e);
  required_.assign(loaded_->size(), false);
  scheduled_.assign(loaded_->size(), false);
  for (const ElementIndex e : plan_) {
    const bool waits = place_[e] == Place::kReady || place_[e] == Place::kWaiting;
    const bool undone =
        place_[e] == Place::kDone && failed_at_[e] == 0 && uses_store() &&
        (builds_ ? !is_cached(e) : needs_sources() && fetch_status(*this, e) == Readiness::kReady);
    if (waits) --queues_[at_[e]].counts.waiting;
    if (undone || (waits && (loaded_->sources[e] == SourcesState::kAbsent || pull_pending_[e])))
      at_[e] = 0;
    if (waits || undone) {
      place_[e] = Place::kOutside;
      --entered_;
    }
  }
  require_all();
}

std::vector<wire::QueueSection> Run::all_counts() const {
  std::vector<wire::QueueSection> out;
  for (const Queue& queue : queues_) out.push_back(queue.counts);
  return out;
}

namespace {

using model::Obstacle;

// Advice against an obstacle. Where nothing is known of what a key would be, no cache helps.
std::string_view help_for(const Obstacle& obstacle) {
  if (obstacle.to == Obstacle::To::kKey)
    return "A kind that Sluice has helps; for a source also a workspace in its place (workspace "
           "open --no-checkout).";
  if (obstacle.to == Obstacle::To::kFetch)
    return "A cache that has the artifact or the sources helps, or a workspace in their place "
           "(workspace open --no-checkout).";
  return "Something else in its place helps, or a cache that has the artifact.";
}

// Domain and reason of a run's refusal.
std::pair<std::string_view, std::string_view> error_for(Obstacle::To to) {
  switch (to) {
    case Obstacle::To::kKey: return {"plugin", "unsupported-plugin"};
    case Obstacle::To::kFetch: return {"source", "unsupported-source"};
    case Obstacle::To::kRun: break;
  }
  return {"sandbox", "not-supported"};
}

}  // namespace

// Is it in the way of this run? What is in the store, or may come from a cache on another machine,
// needs neither fetch nor build.
bool Run::stands_in_the_way(ElementIndex e, const Obstacle& obstacle) const {
  const model::Element& element = loaded_->element(e);
  if (obstacle.to == Obstacle::To::kKey)
    return builds_ ||
           (element.has_sources && element.sources_key.empty() && element.sources_resolved);
  if (builds_ && (loaded_->artifact[e] == ArtifactState::kCached ||
                  loaded_->artifact[e] == ArtifactState::kFailed || pull_pending_[e]))
    return false;
  if (obstacle.to == Obstacle::To::kRun) return builds_;
  return needs_sources() && !is_present(loaded_->sources[e]) && remotes(e, Action::kFetch).empty();
}

Status Run::check_supported() {
  if (!uses_store()) return {};  // what can't be tracked says so itself
  const std::string_view done = builds_ ? "built" : "fetched";
  if (std::none_of(plan_.begin(), plan_.end(),
                   [&](ElementIndex e) { return !loaded_->element(e).obstacles.empty(); }))
    return {};
  start();
  const auto impediments = model::find_impediments(
      loaded_->snapshot.elements, [&](ElementIndex e) { return place_[e] != Place::kOutside; },
      [&](ElementIndex e, const Obstacle& obstacle) { return stands_in_the_way(e, obstacle); },
      builds_);
  std::string detail;
  for (const model::Impediment& one : impediments.found) {
    detail += fmt::format("{}\n    It is so of {}.\n    {}\n", one.first->str(), one.count_text(),
                          help_for(*one.first));
  }
  if (detail.empty()) return {};
  const auto [domain, reason] = error_for(impediments.found.front().first->to);
  return fail(std::string(domain), std::string(reason),
              fmt::format("{} can't be {}; nothing was started",
                          model::counted_elements(impediments.elements), done),
              {}, detail);
}

// An artifact that is unknown was not asked for, or isn't asked for before a pull has said what its
// key is: BuildStream has such elements wait.
ElementState Run::state(ElementIndex e) const {
  const model::Element& element = loaded_->element(e);
  model::StateFacts facts = facts_of(element, loaded_->snapshot.settings.strict);
  facts.has_key = facts.is_supported;
  facts.artifact = loaded_->artifact[e];
  if (loaded_->sources[e] != SourcesState::kUnknown)
    facts.has_sources = is_present(loaded_->sources[e]);
  facts.has_inputs = scheduled_[e] && build_ready(e);
  return state_of(facts).value_or(ElementState::kWaiting);
}

std::vector<ElementIndex> Run::take_touched() {
  std::vector<ElementIndex> out;
  out.swap(touched_);
  return out;
}

bool Run::retries_failed() const {
  return builds_ && (arguments_.retry_failed || loaded_->snapshot.settings.retry_failed);
}

// As BuildStream: a build that isn't strict takes an artifact whatever its dependencies are now,
// but not a failure, for others might have let it succeed.
bool Run::discards(ElementIndex e, const std::string& key) const {
  if (!builds_) return false;
  return retries_failed() ||
         (!loaded_->snapshot.settings.strict && key != loaded_->element(e).keys.strict);
}

std::string Run::discarded_text(const std::string& key) const {
  return fmt::format(
      "Discarded '{}'\n{}", key,
      retries_failed() ? "because retrying failed builds is enabled."
                       : "in non strict mode because intermediate dependencies may have changed.");
}

// As in session_model.cc: what is left out decides nothing, or follows from the arguments.
void Run::add_to(StateDigest& digest) const {
  digest.add(number_);
  digest.add(entered_);
  digest.add(queues_.size());
  for (const Queue& queue : queues_) {
    const auto& [name, waiting, active, processed, skipped, failed] = queue.counts;
    digest.add(name);
    for (const std::uint32_t count : {waiting, active, processed, skipped, failed})
      digest.add(count);
  }
  for (const auto* bits : {&required_, &scheduled_, &ready_, &pull_pending_, &key_pending_}) {
    digest.add(bits->size());
    for (const bool bit : *bits) digest.add(bit);
  }
  digest.add(unready_build_);
  digest.add(unready_runtime_);
  digest.add(at_);
  digest.add(failed_at_);
  digest.add(place_);
  digest.add(touched_);
}

}  // namespace sluice::scheduler
