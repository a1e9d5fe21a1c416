#include "scheduler/dispatcher.h"

#include <algorithm>
#include <ctime>
#include <set>

#include <fmt/format.h>

#include "base/log.h"
#include "base/try.h"
#include "model/names.h"
#include "model/source_kinds.h"
#include "scheduler/travel.h"
#include "wire/access.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

std::string Dispatcher::log_file_of(ElementIndex e, const QueueType& type) const {
  const std::time_t seconds = clock_.wall_ns() / 1'000'000'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char time[32];
  std::strftime(time, sizeof time, "%Y%m%d-%H%M%S", &local);
  const model::Element& element = loaded().element(e);
  return fmt::format("{}/{}/{}-{}.{}.log", loaded().project(e).name,
                     model::normal_name(element.name), display_key(loaded(), e), type.traits().name,
                     time);
}

// The first jobs of a run wait until it is known how long jobs took, kOrderDeadline at most.
bool Dispatcher::waits_for_order() {
  if (!order_asked_) {
    if (!run().any_ready()) return false;
    order_asked_ = true;
    std::set<std::string> projects;
    for (const model::Project& project : loaded().snapshot.projects) projects.insert(project.name);
    const bool comes = run().plan().size() > 1 && !run().measures() &&
                       outputs_.want_durations(loaded().snapshot.settings.cachedir,
                                               {projects.begin(), projects.end()});
    if (comes) order_until_ = clock_.monotonic() + kOrderDeadline;
  }
  if (order_until_ && clock_.monotonic() >= *order_until_) order_until_.reset();
  return order_until_.has_value();
}

void Dispatcher::durations(const std::vector<JobDuration>& jobs) {
  order_until_.reset();
  if (!model()->run || jobs.empty()) return;
  if (forecast_.take(run(), loaded(), jobs) && !run().measures())
    narrator_.run_planned(forecast_.planned(run()));
}

void Dispatcher::ask_for_runner() {
  if (choice_.own() != 0 || runner_asked_) return;
  runner_asked_ = true;
  changes_.start_runner();
}

void Dispatcher::run_started() {
  order_asked_ = false;
  order_until_.reset();
  grouped_ = false;
  asked_back_.clear();
  waiting_.clear();
  forecast_.run_started();
}

void Dispatcher::dispatch() {
  if (model()->suspended || model()->terminated || outputs_.congested()) return;
  if (model()->stopping && !run().any_ready(true)) return;
  if (waits_for_order()) return ask_for_runner();
  std::uint32_t held[kResources] = {};
  for (std::size_t q = 0; q < run().queues(); ++q) {
    held[static_cast<std::size_t>(run().type(q).traits().resource)] += run().counts(q).active;
  }
  if (choice_.open()) {
    choice_.limit_own(model()->limit(model::traits(Action::kBuild).resource));
    group();
  }
  Batches batches;
  bool wanting = false, replayed = false;
  // What is further along goes first: it makes other elements ready.
  for (std::size_t q = run().queues(); q-- > 0;) {
    if (run().next_ready(q) == Run::kNone) continue;
    const QueueType& type = run().type(q);
    const Resource resource = type.traits().resource;
    std::uint32_t& active = held[static_cast<std::size_t>(resource)];
    // Brief jobs have no requirements, and are given by credit alone.
    if (choice_.open() && !type.traits().brief) {
      wanting = dispatch_by_class(q, active, batches, replayed) || wanting;
      continue;
    }
    const std::uint32_t limit = model()->limit(resource);
    const Fleet::Credit credit =
        fleet_.credit(type.action, limit, model()->limits[static_cast<std::size_t>(resource)]);
    // J23: one runner keeps to the limit by itself, several when all that they can do does. Not so
    // while somebody who isn't here, since a recovery as a rule, has jobs too.
    const bool all_known = active <= credit.given + model()->writing.size();
    const std::uint64_t most =
        limit + (all_known && (fleet_.size() == 1 || credit.together <= limit) ? credit.more : 0);
    for (;;) {
      const ElementIndex e = run().next_ready(q);
      if (e == Run::kNone || changes_.broken() || model()->stopped(e)) break;
      if (loaded().artifact[e] == ArtifactState::kFailed &&
          type.traits().yields == model::Yields::kArtifact) {
        replay_failure(e);
        replayed = true;
        continue;
      }
      wanting = true;
      if (active >= most) break;
      const Runner* const runner = fleet_.freest(type.action, limit);
      if (runner == nullptr) break;
      auto& batch = batches[runner->instance];
      batch.first = runner;
      if (!give(e, *runner, batch.second)) {
        if (run().next_ready(q) == e) break;
        continue;  // what it needs was lost, and is ready now instead
      }
      ++active;
    }
  }
  if (choice_.open()) hand_over();
  if (choice_.open() || !waiting_.empty()) note_waiting();
  for (const auto& [instance, batch] : batches) {
    const auto& [runner, jobs] = batch;
    if (jobs.empty()) continue;
    std::string body;
    wire::Writer writer(body);
    writer.map(1);
    writer.string("jobs");
    writer.array(jobs.size());
    for (const auto& job : jobs) writer.raw(job);
    changes_.send(runner->peer, wire::JobBatch::kName, std::move(body));
  }
  if (wanting) ask_for_runner();
  if (replayed) dispatch();  // what was replayed may be pushed now
}

wire::JobId Dispatcher::next_attempt(ElementIndex e) const {
  const auto history = model()->history.find(e);
  if (history == model()->history.end()) return {model()->jobs_given + 1, 1};
  return {history->second.job, history->second.attempts + 1};
}

bool Dispatcher::give(ElementIndex e, const Runner& runner, std::vector<std::string>& jobs) {
  wire::Job job;
  const bool builds = run().type(run().queue_of(e)).traits().needs == model::Needs::kInputs;
  return (!builds || add_inputs(e, job)) && give(e, runner, std::move(job), jobs);
}

bool Dispatcher::give(ElementIndex e, const Runner& runner, wire::Job job,
                      std::vector<std::string>& jobs) {
  const model::Element& element = loaded().element(e);
  const QueueType& type = run().type(run().queue_of(e));
  if (runner.offer.remote && !type.traits().brief && !add_elsewhere(e, job)) return false;
  AttemptGiven change;
  change.at = changes_.stamp();
  change.id = next_attempt(e);
  change.element = e;
  change.queue = type.traits().title;
  change.runner = runner.instance;
  if (!type.traits().brief) change.log_file = log_file_of(e, type);
  if (!changes_.commit(change)) return false;

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
  body.project = loaded().project(e).name;
  body.project_directory = loaded().project(e).directory;
  body.sources_key = element.sources_key;
  body.body.bytes = element.body;
  body.fatal_warnings = loaded().project(e).fatal_warnings;
  job.context.bytes = narrator_.context(model()->attempts.at(change.id.job));
  job.element.bytes = wire::encode(body);
  job.keys = element.keys;
  job.log_file = change.log_file;
  job.settings.bytes = settings_for(runner);
  job.skip_incomplete = run().verb() != Action::kPush;
  if (!runner.offer.remote) job.remotes = run().remotes(e, type.action);
  if (!ticket_secret_.empty()) {
    job.ticket = wire::job_ticket(ticket_secret_, job.id.job, job.id.attempt, runner.instance,
                                  element.full_name);
  }
  jobs.push_back(wire::encode(job));
  return true;
}

bool Dispatcher::add_inputs(ElementIndex e, wire::Job& job) {
  const auto give_up = [&](const Error& error) {
    log::error("{}: {}", loaded().element(e).full_name, error.str());
    narrator_.error(error, clock_.wall_ns());
    (void)changes_.commit(RunSteered{changes_.stamp(), "terminate", 0});
    return false;
  };
  auto needed = dependencies(e);
  if (!needed) return give_up(needed.error());
  if (needed->empty() && !loaded().graph.build(e).empty()) return false;  // StoreLost was applied
  job.dependencies = std::move(*needed);
  if (loaded().element(e).lists_sources) {
    for (const model::ArtifactRef& dependency : job.dependencies) {
      auto sources = wire::pack_sources(loaded().element(dependency.index).body);
      if (!sources) return give_up(sources.error());
      job.dependency_sources.push_back({std::move(*sources)});
    }
  }
  if (const auto digest = loaded().answers.sources.find(e);
      digest != loaded().answers.sources.end())
    job.sources = digest->second;
  return true;
}

bool Dispatcher::add_elsewhere(ElementIndex e, wire::Job& job) {
  const model::Element& element = loaded().element(e);
  const auto give_up = [&](const Error& error) {
    log::error("{}: {}", element.full_name, error.str());
    narrator_.error(error, clock_.wall_ns());
    (void)changes_.commit(RunSteered{changes_.stamp(), "terminate", 0});
    return false;
  };
  // A scheduler that was started again has no roots of sources: they are read when they are needed.
  if (job.sources.empty() && element.has_sources) {
    if (auto asked = loaded().ask_sources(store_, e); !asked) return give_up(asked.error());
    if (const auto found = loaded().answers.sources.find(e);
        found != loaded().answers.sources.end())
      job.sources = found->second;
  }
  const auto body = wire::unpack_body(element.body);
  if (!body) return give_up(body.error());
  auto inputs = further_inputs(store_, loaded().project(e).name, element.name, *body, job);
  if (!inputs) return give_up(inputs.error());
  job.inputs = std::move(*inputs);
  return true;
}

// What is staged to build an element, in BuildStream's order. Empty although there are
// dependencies: the store has lost one, and the model knows now.
Result<std::vector<model::ArtifactRef>> Dispatcher::dependencies(ElementIndex e) {
  const std::vector<ElementIndex> order = loaded().graph.staging(e);
  StoreLost lost;
  std::unordered_map<ElementIndex, const model::Dependency*> direct;
  for (const auto& dependency : loaded().element(e).dependencies)
    direct.emplace(dependency.element, &dependency);
  std::vector<model::ArtifactRef> out;
  out.reserve(order.size());
  for (const ElementIndex d : order) {
    // A scheduler that was started again has no digests of what was cached before: they are read
    // when they are needed.
    const auto& answer = loaded().answers.artifacts[d];
    if (!answer) {
      auto state = TRY(loaded().ask_artifact(store_, d));
      if (state != ArtifactState::kCached || !answer) {
        lost.artifacts.push_back(d);
        continue;
      }
    }
    const model::Element& element = loaded().element(d);
    model::ArtifactRef ref;
    ref.project = loaded().project(d).name;
    ref.element = element.name;
    ref.full_name = element.full_name;
    if (loaded().element(e).lists_sources) ref.kind = element.kind;
    ref.key = element.keys.full;
    ref.weak_key = element.keys.weak;
    ref.files = answer->files;
    ref.public_data = answer->public_data;
    ref.low_diversity_meta = answer->low_diversity_meta;
    if (const auto found = direct.find(d); found != direct.end()) {
      ref.build = found->second->build;
      ref.runtime = found->second->runtime;
    }
    ref.index = d;
    const auto runtime = loaded().graph.runtime(d);
    ref.runtime_dependencies.assign(runtime.begin(), runtime.end());
    out.push_back(std::move(ref));
  }
  if (lost.artifacts.empty()) return out;
  lost.at = changes_.stamp();
  CHECK(changes_.commit(lost));
  grouped_ = false;
  return std::vector<model::ArtifactRef>{};
}

}  // namespace sluice::scheduler
