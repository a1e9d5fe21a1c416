#include "history/measures.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "model/action_named.h"
#include "model/states.h"

namespace sluice::history {

namespace {

bool is_build(const Job& job) {
  const model::ActionTraits* const traits = model::traits_named(job.action);
  return traits != nullptr && traits->yields == model::Yields::kArtifact;
}

bool was_there(std::string_view state) {
  return state ==
             model::kElementStateNames[static_cast<std::size_t>(model::ElementState::kCached)] ||
         state ==
             model::kElementStateNames[static_cast<std::size_t>(model::ElementState::kJunction)];
}

// Whether somebody who is worked on asks for each element. What is cached asks for nothing.
std::vector<bool> needed(const Run& run) {
  std::vector<bool> seen(run.elements.size(), !run.has_dependencies);
  if (!run.has_dependencies) return seen;
  std::vector<std::size_t> open;
  const auto visit = [&](std::size_t e) {
    if (seen[e]) return;
    seen[e] = true;
    open.push_back(e);
  };
  const std::unordered_set<std::string_view> targets(run.targets.begin(), run.targets.end());
  // Where none of the targets is an element nobody knows what was asked for.
  const bool known =
      std::any_of(run.elements.begin(), run.elements.end(),
                  [&](const Element& element) { return targets.contains(element.name); });
  for (std::size_t e = 0; e < run.elements.size(); ++e) {
    const Element& element = run.elements[e];
    if (!known || targets.contains(element.name) || !element.jobs.empty()) visit(e);
  }
  while (!open.empty()) {
    const Element& element = run.elements[open.back()];
    open.pop_back();
    if (was_there(element.first_state)) continue;
    for (const std::size_t on : element.dependencies) visit(on);
  }
  return seen;
}

// What a job that succeeded has made of its element; nothing: a step on the way to that.
std::optional<Fate> made_by(const Job& job, const model::ActionTraits& action,
                            const model::ActionTraits* verb) {
  if (action.yields == model::Yields::kArtifact) {
    return job.origin == "cached"   ? Fate::kCached
           : job.origin == "pulled" ? Fate::kPulled
                                    : Fate::kBuilt;
  }
  if (action.yields == model::Yields::kPulledArtifact) return Fate::kPulled;
  if (verb == nullptr || verb->yields == model::Yields::kArtifact) return std::nullopt;
  if (action.resource == model::Resource::kUpload) return Fate::kPushed;
  return verb == &action ? std::optional(Fate::kFetched) : std::nullopt;
}

// Nothing: no job says what became of the element.
std::optional<Fate> fate_by_jobs(const History& history, const Run& run, const Element& element) {
  const model::ActionTraits* const verb = model::traits_named(run.verb);
  std::optional<Fate> made;
  std::map<std::string_view, bool> failed;  // by action: whether its last job has
  for (const std::size_t index : element.jobs) {
    const Job& job = history.jobs[index];
    failed[job.action] = job.failed();
    const model::ActionTraits* const action = model::traits_named(job.action);
    if (!job.succeeded() || action == nullptr) continue;
    if (const auto fate = made_by(job, *action, verb)) made = fate;
  }
  for (const auto& [action, has] : failed) {
    if (has) return Fate::kFailed;
  }
  return made;
}

}  // namespace

std::vector<Fate> fates(const History& history, const Run& run) {
  const std::vector<bool> asked_for = needed(run);
  const model::ActionTraits* const verb = model::traits_named(run.verb);
  const bool artifacts = verb == nullptr || verb->yields == model::Yields::kArtifact;
  std::vector<Fate> out;
  out.reserve(run.elements.size());
  for (std::size_t e = 0; e < run.elements.size(); ++e) {
    const Element& element = run.elements[e];
    if (const auto known = fate_by_jobs(history, run, element)) {
      out.push_back(*known);
    } else if (was_there(element.first_state) || was_there(element.state)) {
      out.push_back(Fate::kCached);
    } else if (!asked_for[e]) {
      out.push_back(Fate::kNotNeeded);
    } else if (!artifacts && run.outcome == "success") {
      // A fetch, a pull or a push for which there was nothing to do.
      out.push_back(Fate::kCached);
    } else {
      out.push_back(Fate::kNotReached);
    }
  }
  return out;
}

std::vector<Failure> failures(const History& history, const Run& run,
                              const std::vector<Fate>& fates) {
  std::vector<Failure> out;
  for (std::size_t e = 0; e < run.elements.size(); ++e) {
    if (fates[e] != Fate::kFailed) continue;
    Failure failure{.element = e};
    for (const std::size_t job : run.elements[e].jobs) {
      if (history.jobs[job].failed()) failure.job = job;
    }
    failure.attempts = history.jobs[failure.job].attempt;
    out.push_back(failure);
  }
  std::stable_sort(out.begin(), out.end(), [&](const Failure& a, const Failure& b) {
    return history.jobs[a.job].ended < history.jobs[b.job].ended;
  });
  return out;
}

namespace {

// The way to an element's end.
struct Way {
  std::int64_t duration = 0;
  std::size_t from = kNone;        // the element that the way came by
  std::vector<std::size_t> own;    // jobs of the element, in their order
  std::vector<std::size_t> after;  // those that nobody waits for but the run's end
};

// The last attempt of each action, which has ended or runs.
std::vector<std::size_t> last_attempts(const History& history, const Element& element) {
  std::vector<std::size_t> out;
  for (const std::size_t index : element.jobs) {
    const Job& job = history.jobs[index];
    if (job.outcome == "lost") continue;
    std::erase_if(out, [&](std::size_t other) { return history.jobs[other].action == job.action; });
    out.push_back(index);
  }
  return out;
}

// The elements, each after those that it depends on; what is in a circle is left out.
std::vector<std::size_t> in_order(const Run& run) {
  std::vector<std::size_t> order;
  std::vector<std::size_t> missing(run.elements.size());
  std::vector<std::vector<std::size_t>> dependents(run.elements.size());
  for (std::size_t e = 0; e < run.elements.size(); ++e) {
    missing[e] = run.elements[e].dependencies.size();
    for (const std::size_t on : run.elements[e].dependencies) dependents[on].push_back(e);
    if (missing[e] == 0) order.push_back(e);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const std::size_t e : dependents[order[i]]) {
      if (--missing[e] == 0) order.push_back(e);
    }
  }
  return order;
}

}  // namespace

CriticalPath critical_path(const History& history, const Run& run) {
  CriticalPath path;
  path.elements.assign(run.elements.size(), false);
  if (!run.has_dependencies) return path;
  std::vector<Way> ways(run.elements.size());
  std::size_t longest = kNone;
  std::int64_t most = 0;
  for (const std::size_t e : in_order(run)) {
    Way& way = ways[e];
    std::int64_t before = 0;  // jobs that need none of what the element is built with
    std::vector<std::size_t> sources, built;
    std::int64_t inputs = 0, behind = 0, own = 0;
    for (const std::size_t index : last_attempts(history, run.elements[e])) {
      const Job& job = history.jobs[index];
      const model::ActionTraits* const traits = model::traits_named(job.action);
      if (traits == nullptr) continue;
      if (traits->needs == model::Needs::kInputs) {
        built.push_back(index);
        own += job.duration;
      } else if (traits->resource == model::Resource::kUpload) {
        way.after.push_back(index);
        behind += job.duration;
      } else {
        sources.push_back(index);
        before += job.duration;
      }
    }
    for (const std::size_t on : run.elements[e].dependencies) {
      if (ways[on].duration > inputs) {
        inputs = ways[on].duration;
        way.from = on;
      }
    }
    if (before > inputs) way.from = kNone;
    if (before >= inputs && way.from == kNone) way.own = sources;
    way.own.insert(way.own.end(), built.begin(), built.end());
    way.duration = std::max(before, inputs) + own;
    if (way.duration + behind > most) {
      most = way.duration + behind;
      longest = e;
    }
  }
  if (longest == kNone) return path;
  path.duration = most;
  std::vector<std::vector<std::size_t>> chain;
  for (std::size_t e = longest; e != kNone; e = ways[e].from) {
    path.elements[e] = true;
    chain.push_back(ways[e].own);
  }
  for (auto part = chain.rbegin(); part != chain.rend(); ++part)
    path.jobs.insert(path.jobs.end(), part->begin(), part->end());
  const std::vector<std::size_t>& after = ways[longest].after;
  path.jobs.insert(path.jobs.end(), after.begin(), after.end());
  return path;
}

Load load(const History& history, const Run& run) {
  Load out;
  out.builders = run.builders;
  std::vector<std::pair<std::int64_t, int>> changes;  // moment; builds more or less
  for (const std::size_t index : run.jobs) {
    const Job& job = history.jobs[index];
    if (!is_build(job) || job.started == 0) continue;
    out.busy += job.duration;
    // That a build has ended is heard a while later, when its place may have another one.
    const std::int64_t heard = job.ended != 0 ? job.ended : history.newest;
    const std::int64_t end =
        std::min(heard, job.started + job.duration + history.paused_between(job.started, heard));
    changes.emplace_back(job.started, 1);
    changes.emplace_back(end, -1);
  }
  // Of what happens in one moment, the end of a build comes first.
  std::sort(changes.begin(), changes.end());
  int now = 0;
  for (const auto& [moment, change] : changes) {
    now += change;
    out.peak = std::max(out.peak, static_cast<std::uint32_t>(std::max(now, 0)));
  }
  if (run.duration > 0)
    out.average = static_cast<double>(out.busy) / static_cast<double>(run.duration);
  return out;
}

std::vector<RunnerUse> runners(const History& history, const Run& run) {
  std::map<std::string, RunnerUse> by_name;
  for (const std::size_t index : run.jobs) {
    const Job& job = history.jobs[index];
    if (job.runner.empty()) continue;
    RunnerUse& use = by_name[job.runner];
    use.name = job.runner;
    if (!job.host.empty()) use.host = job.host;
    ++use.jobs;
    if (job.failed()) ++use.failed;
    if (job.outcome == "lost") ++use.lost;
    use.busy += job.duration;
  }
  std::vector<RunnerUse> out;
  for (auto& [name, use] : by_name) out.push_back(std::move(use));
  std::stable_sort(out.begin(), out.end(),
                   [](const RunnerUse& a, const RunnerUse& b) { return a.busy > b.busy; });
  return out;
}

double Summary::hit_rate() const {
  const double hits = count(Fate::kCached) + count(Fate::kPulled);
  const double all = hits + count(Fate::kBuilt);
  return all == 0 ? -1 : hits / all;
}

std::vector<std::pair<std::uint32_t, std::string_view>> Summary::told() const {
  const model::ActionTraits* const action = model::traits_named(verb);
  std::string_view own = text_of(Fate::kFetched);
  if (action != nullptr && action->yields == model::Yields::kRefs) own = "tracked";
  if (action != nullptr && action->yields == model::Yields::kNothing) own = "checked";
  std::vector<std::pair<std::uint32_t, std::string_view>> out;
  for (const Fate fate : {Fate::kFailed, Fate::kBuilt, Fate::kPulled, Fate::kFetched, Fate::kPushed,
                          Fate::kCached, Fate::kNotReached}) {
    if (count(fate) != 0)
      out.emplace_back(count(fate), fate == Fate::kFetched ? own : text_of(fate));
  }
  return out;
}

Summary summarise(const History& history, const Run& run, std::size_t slowest) {
  Summary out;
  out.verb = run.verb;
  const std::vector<Fate> all = fates(history, run);
  for (const Fate fate : all) {
    ++out.counts[static_cast<std::size_t>(fate)];
    if (fate != Fate::kNotNeeded) ++out.elements;
  }
  if (run.progress) {
    std::uint32_t& cached = out.counts[static_cast<std::size_t>(Fate::kCached)];
    const std::uint32_t more = cached - std::min(cached, run.progress->cached);
    cached -= more;
    out.counts[static_cast<std::size_t>(Fate::kNotNeeded)] += more;
    out.elements -= more;
  }
  out.failures = failures(history, run, all);
  out.path = critical_path(history, run);
  out.load = load(history, run);
  out.runners = runners(history, run);
  for (const std::size_t index : run.jobs) {
    const Job& job = history.jobs[index];
    out.cpu += job.usage.cpu;
    out.fetched += job.usage.fetched;
    out.uploaded += job.usage.uploaded;
    if (job.usage.memory > out.memory) {
      out.memory = job.usage.memory;
      out.largest = index;
    }
    if (job.duration > 0) out.slowest.push_back(index);
  }
  std::stable_sort(out.slowest.begin(), out.slowest.end(), [&](std::size_t a, std::size_t b) {
    return history.jobs[a].duration > history.jobs[b].duration;
  });
  if (out.slowest.size() > slowest) out.slowest.resize(slowest);
  return out;
}

}  // namespace sluice::history
