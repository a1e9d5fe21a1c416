// The order of a run: what the longest way to the end lies after goes first.
#include <algorithm>
#include <numeric>

#include "scheduler/run.h"

namespace sluice::scheduler {

namespace {

// A way that is shorter than the longest one by less than this part of it may yet be the longest.
constexpr std::int64_t kNearly = 50;

}  // namespace

void Run::line_up(Queue& queue, ElementIndex e) const {
  queue.ready[queue.ready.size() > 1 ? group_[e] : 0].emplace(rank(e), e);
}

void Run::line_up_all() const {
  for (Queue& queue : queues_) {
    for (auto& ready : queue.ready) ready = {};
  }
  for (const ElementIndex e : plan_) {
    if (place_[e] == Place::kReady) line_up(queues_[at_[e]], e);
  }
}

void Run::group_by(std::vector<std::uint32_t> group, std::size_t groups) const {
  group_ = std::move(group);
  for (Queue& queue : queues_) {
    const bool grouped = queue.type->traits().travels;
    queue.ready.assign(grouped ? std::max<std::size_t>(1, groups) : 1, {});
  }
  line_up_all();
}

// The way that is left from an element is its own time and the longest way from those that wait for
// it: who is built with it, or with what needs it to run. One pass from the targets down: in a
// snapshot dependencies come first. The way to an element is the longest one to what it is built
// with; where both together are the longest of all, no time is to be lost.
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
  // `done`: when the element and all that it needs to run are there; it begins with it.
  std::vector<std::int64_t> begin(count, 0), done(count, 0);
  std::int64_t longest = 0;
  for (ElementIndex e = 0; e < count; ++e) {
    if (scheduled_[e]) {
      for (const ElementIndex d : loaded_->graph.build(e)) begin[e] = std::max(begin[e], done[d]);
    }
    done[e] = begin[e] + own[e];
    for (const ElementIndex d : loaded_->graph.runtime(e)) done[e] = std::max(done[e], done[d]);
    longest = std::max(longest, begin[e] + way[e]);
  }
  critical_.assign(count, false);
  for (const ElementIndex e : plan_)
    critical_[e] = own[e] > 0 && begin[e] + way[e] >= longest - longest / kNearly;

  std::vector<ElementIndex> order(plan_);
  std::stable_sort(order.begin(), order.end(),
                   [&](ElementIndex a, ElementIndex b) { return way[a] > way[b]; });
  rank_.assign(count, 0);
  for (std::uint32_t i = 0; i < order.size(); ++i) rank_[order[i]] = i + 1;
  line_up_all();
}

}  // namespace sluice::scheduler
