// The order of a run: what the longest way to the end lies after goes first.
#include <algorithm>
#include <numeric>

#include "scheduler/run.h"

namespace sluice::scheduler {

// The way that is left from an element is its own time and the longest way from those that wait for
// it: who is built with it, or with what needs it to run. One pass from the targets down: in a
// snapshot dependencies come first.
void Run::order_by(const std::vector<std::int64_t>& own) const {
  const std::size_t count = loaded_->size();
  std::vector<std::int64_t> after(count, 0), way(count, 0);
  for (ElementIndex e = static_cast<ElementIndex>(count); e-- > 0;) {
    for (const ElementIndex user : loaded_->graph.runtime_users(e))
      after[e] = std::max(after[e], after[user]);
    for (const ElementIndex user : loaded_->graph.build_users(e)) {
      if (scheduled_[user]) after[e] = std::max(after[e], way[user]);
    }
    way[e] = own[e] + after[e];
  }
  std::vector<ElementIndex> order(plan_);
  std::stable_sort(order.begin(), order.end(),
                   [&](ElementIndex a, ElementIndex b) { return way[a] > way[b]; });
  rank_.assign(count, 0);
  for (std::uint32_t i = 0; i < order.size(); ++i) rank_[order[i]] = i + 1;
  for (Queue& queue : queues_) queue.ready = {};
  for (const ElementIndex e : plan_) {
    if (place_[e] == Place::kReady) queues_[at_[e]].ready.emplace(rank(e), e);
  }
}

}  // namespace sluice::scheduler
