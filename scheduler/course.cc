// The course that a run would take from here: its jobs one after the other, by a clock that only
// they move.
#include <algorithm>
#include <queue>

#include "scheduler/run.h"

namespace sluice::scheduler {

namespace {

class Simulation {
 public:
  Simulation(const KnownSnapshot& loaded, const Run& run, const Run::CostOf& cost,
             const std::array<std::int64_t, kResources>& slots)
      : loaded_(loaded), run_(run), cost_(cost), free_(slots) {}

  std::vector<std::uint32_t> unready_build, unready_runtime;
  std::vector<bool> ready, cached;
  std::vector<std::uint8_t> at;

  // An element that waits, or is ready, goes on from its queue.
  void let_in(ElementIndex e) { to_enter_.push_back(e); }
  // A job that is under way.
  void is_active(ElementIndex e, std::int64_t left) {
    const Resource resource = run_.type(at[e]).traits().resource;
    --free_[static_cast<std::size_t>(resource)];
    events_.emplace(left, e);
  }

  // Until nothing happens any more; gives when that is.
  std::int64_t run() {
    for (;;) {
      while (!to_enter_.empty()) {
        const ElementIndex e = to_enter_.back();
        to_enter_.pop_back();
        enter(e);
      }
      give();
      if (events_.empty()) return now_;
      const auto [time, e] = events_.top();
      events_.pop();
      now_ = std::max(now_, time);
      ++free_[static_cast<std::size_t>(run_.type(at[e]).traits().resource)];
      leave(e);
      to_enter_.push_back(e);
    }
  }

 private:
  bool builds(std::size_t queue) const {
    return run_.type(queue).traits().needs == model::Needs::kInputs;
  }

  // What the element's jobs in its queue come to.
  void leave(ElementIndex e) {
    if (builds(at[e])) {
      cached[e] = true;
      became_ready(e);
    }
    ++at[e];
  }

  void enter(ElementIndex e) {
    for (; at[e] < run_.queues(); leave(e)) {
      if (builds(at[e]) && !cached[e] && unready_build[e] != 0)
        return;  // became_ready() lets it in
      const std::int64_t takes = cost_(at[e], e);
      if (takes <= 0) continue;
      const auto resource = static_cast<std::size_t>(run_.type(at[e]).traits().resource);
      lined_up_[resource].emplace(run_.queues() - at[e], run_.rank(e), e);
      return;
    }
  }

  void give() {
    for (std::size_t resource = 0; resource < kResources; ++resource) {
      auto& line = lined_up_[resource];
      for (; free_[resource] > 0 && !line.empty(); --free_[resource]) {
        const ElementIndex e = std::get<2>(line.top());
        line.pop();
        events_.emplace(now_ + cost_(at[e], e), e);
      }
    }
  }

  void became_ready(ElementIndex first) {
    std::vector<ElementIndex> work{first};
    while (!work.empty()) {
      const ElementIndex e = work.back();
      work.pop_back();
      if (ready[e] || unready_runtime[e] != 0 || !cached[e]) continue;
      ready[e] = true;
      for (const ElementIndex user : loaded_.graph.runtime_users(e)) {
        if (--unready_runtime[user] == 0) work.push_back(user);
      }
      for (const ElementIndex user : loaded_.graph.build_users(e)) {
        if (--unready_build[user] != 0) continue;
        if (run_.is_waiting(user) && at[user] < run_.queues() && builds(at[user]))
          to_enter_.push_back(user);
      }
    }
  }

  const KnownSnapshot& loaded_;
  const Run& run_;
  const Run::CostOf& cost_;
  std::array<std::int64_t, kResources> free_;
  std::int64_t now_ = 0;
  std::vector<ElementIndex> to_enter_;
  // What is further along goes first, and of that what comes first in the order of the run.
  using Lined = std::tuple<std::size_t, std::uint32_t, ElementIndex>;
  std::array<std::priority_queue<Lined, std::vector<Lined>, std::greater<>>, kResources> lined_up_;
  using Event = std::pair<std::int64_t, ElementIndex>;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

}  // namespace

std::int64_t Run::time_left(const CostOf& cost, const std::function<bool(ElementIndex e)>& runs,
                            const std::array<std::int64_t, kResources>& slots) const {
  Simulation simulation(*loaded_, *this, cost, slots);
  simulation.unready_build = unready_build_;
  simulation.unready_runtime = unready_runtime_;
  simulation.ready = ready_;
  simulation.at = at_;
  simulation.cached.assign(loaded_->size(), false);
  for (ElementIndex e = 0; e < loaded_->size(); ++e) simulation.cached[e] = is_cached(e);
  for (const ElementIndex e : plan_) {
    if (is_active(e) && runs(e)) {
      simulation.is_active(e, cost(at_[e], e));
    } else if (is_active(e) || is_waiting(e)) {
      simulation.let_in(e);
    }
  }
  return simulation.run();
}

// What waits, directly or not, for an element that has failed.
std::uint32_t Run::count_blocked() const {
  std::vector<ElementIndex> work;
  std::vector<bool> seen(loaded_->size(), false);
  for (const ElementIndex e : plan_) {
    if (failed_at_[e] == 0) continue;
    seen[e] = true;
    work.push_back(e);
  }
  std::uint32_t count = 0;
  while (!work.empty()) {
    const ElementIndex e = work.back();
    work.pop_back();
    for (const auto users : {loaded_->graph.build_users(e), loaded_->graph.runtime_users(e)}) {
      for (const ElementIndex user : users) {
        if (seen[user]) continue;
        seen[user] = true;
        if (is_waiting(user)) ++count;
        work.push_back(user);
      }
    }
  }
  return count;
}

wire::ProgressSection Run::progress() const {
  wire::ProgressSection progress;
  progress.elements = entered_;
  std::uint32_t passed = 0;  // the queue of the run's own action without a job
  for (const Queue& queue : queues_) {
    const wire::QueueSection& counts = queue.counts;
    progress.failed += counts.failed;
    if (queue.type->action == verb()) {
      progress.done = counts.processed + counts.skipped - killed_;
      passed = counts.skipped - killed_;
    }
    switch (queue.type->traits().yields) {
      case model::Yields::kArtifact: progress.built += counts.processed; break;
      case model::Yields::kPulledArtifact: progress.pulled += counts.processed; break;
      case model::Yields::kSources: progress.fetched += counts.processed; break;
      default: break;
    }
  }
  // What was pulled passes the queue of builds.
  progress.cached = builds_ ? passed - std::min(passed, progress.pulled) : passed;
  const std::uint64_t known = failures_seen_ + (std::uint64_t{entered_} << 32);
  if (progress.failed != 0 && std::exchange(blocked_of_, known) != known)
    blocked_ = count_blocked();
  progress.blocked = progress.failed == 0 ? 0 : blocked_;
  return progress;
}

}  // namespace sluice::scheduler
