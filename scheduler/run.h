// One run: which elements it works on, where each of them is in the queues, and what is ready. It
// knows nothing of runners or journals; of time only that some elements may take longer than others
// (order_by).
//
// As in BuildStream 2.8 a build requires its targets and what they need to run; an element that is
// required and not cached requires its build dependencies; only what is required enters the queues.
// A job's end costs what it touches, for elements count their dependencies that are not ready;
// recount(), keys_resolved() and order_by() look at every element.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/known_snapshot.h"
#include "wire/events.h"
#include "wire/messages.h"

namespace sluice::scheduler {

class Run;

// ---- The table of queues -----------------------------------------------------

using model::Action;
using model::ElementState;
using model::kResources;
using model::Outcome;
using model::Resource;

// How many jobs may hold the resource at a time.
std::uint32_t resource_limit(const model::Settings& settings, Resource resource);

enum class Readiness : std::uint8_t { kReady, kWait, kSkip };

struct QueueType {
  Action action;  // of its jobs
  bool (*in_run)(const Run& run);
  Readiness (*status)(const Run& run, ElementIndex e);
  // Whether an element has still to go through the queue, so that how long that took the last time
  // counts for the order. Null where it never counts.
  bool (*to_do)(const Run& run, ElementIndex e) = nullptr;

  const model::ActionTraits& traits() const { return model::traits(action); }
};

// The queues, in the order in which elements go through them. Adding a queue is adding a row here,
// and one of its action in model/actions.h.
const std::vector<QueueType>& queue_types();

// ---- The run -----------------------------------------------------------------

class Run {
 public:
  // Makes the plan; an error when `arguments` can't be carried out on this snapshot. States of
  // elements must be known before start(). `types` must outlive the run.
  static Result<Run> make(const KnownSnapshot& loaded, std::uint32_t number,
                          const wire::RunArguments& arguments,
                          const std::vector<QueueType>& types = queue_types());

  // One error with all elements that the run would work on and that can't be fetched or built here.
  // Called when their states are known. It starts the run to find them, so nothing else can be done
  // with the run after it.
  Status check_supported();

  // The elements that the run might work on, which it asks the store about.
  const std::vector<ElementIndex>& plan() const { return plan_; }
  // The elements as `show` lists them.
  const std::vector<ElementIndex>& pipeline() const { return pipeline_; }
  bool queries_artifacts() const { return builds_ || moves_artifacts(); }
  // The run is of `artifact pull` or `artifact push`.
  bool moves_artifacts() const { return verb() == Action::kPull || verb() == Action::kPush; }
  bool tracks() const { return verb() == Action::kTrack; }
  // The run's jobs do nothing with the elements: it measures what a job costs.
  bool measures() const { return model::traits(verb()).brief; }
  // The run's jobs need sources or artifacts to be there.
  bool uses_store() const { return !tracks() && !measures(); }
  bool needs_sources() const { return uses_store() && !moves_artifacts(); }

  // Caches on other machines that the action asks or gives to, of the element's project.
  std::vector<model::Remote> remotes(ElementIndex e, Action action) const;
  // Some project has caches for the action.
  bool has_remotes(Action action) const;
  // Whether a cache on another machine has the element's artifact isn't known yet.
  bool pull_pending(ElementIndex e) const { return pull_pending_[e]; }
  // In a build that isn't strict keys follow from what was pulled. When nothing more will be pulled
  // they are to be resolved; keys_resolved() says that they were.
  bool awaits_keys() const;
  bool awaits_key(ElementIndex e) const { return !key_pending_.empty() && key_pending_[e]; }
  void keys_resolved();
  // Marks what is required and lets it enter the queues.
  void start();

  std::uint32_t number() const { return number_; }
  Action verb() const { return arguments_.verb; }
  const wire::RunArguments& arguments() const { return arguments_; }
  const std::string& on_error() const { return on_error_; }
  const KnownSnapshot& loaded() const { return *loaded_; }
  std::uint32_t entered() const { return entered_; }
  // The element's place in the plan, from 1; 0 for elements that aren't in it.
  std::uint32_t position(ElementIndex e) const { return position_[e]; }

  std::size_t queues() const { return queues_.size(); }
  const QueueType& type(std::size_t queue) const { return *queues_[queue].type; }
  const wire::QueueSection& counts(std::size_t queue) const { return queues_[queue].counts; }
  std::vector<wire::QueueSection> all_counts() const;

  // Orders what is ready: what has the longest way to the run's end goes first, and of equals the
  // deepest. `own` is how long each element's jobs take that are still to be done, in nanoseconds.
  // The order is no part of the state: it changes nothing but the time.
  void order_by(const std::vector<std::int64_t>& own) const;

  // Whether the element is on the longest way from the run's start to its end, or nearly. Nothing
  // is before an order was said.
  bool is_critical(ElementIndex e) const { return !critical_.empty() && critical_[e]; }
  // How long the element's job in the queue will still take, ns; 0: there will be none.
  using CostOf = std::function<std::int64_t(std::size_t queue, ElementIndex e)>;
  // How long the run would still take, ns, with so many slots for each resource, when every job
  // succeeds and takes as long as `cost` says. `runs`: the element's job has started; one that was
  // only given waits for a slot like all others. What waits for an element that has failed is left
  // out. It looks at every element.
  std::int64_t time_left(const CostOf& cost, const std::function<bool(ElementIndex e)>& runs,
                         const std::array<std::int64_t, kResources>& slots) const;
  // How far the run is. It costs what has failed since the last call.
  wire::ProgressSection progress() const;

  // Puts the elements in groups, which have their own orders in queues whose jobs need inputs:
  // `group` has the number of each element's group. Without it there is one group. It is no part of
  // the state either.
  void group_by(std::vector<std::uint32_t> group, std::size_t groups) const;
  std::size_t group_of(ElementIndex e) const { return group_.empty() ? 0 : group_[e]; }
  std::size_t groups(std::size_t queue) const { return queues_[queue].ready.size(); }

  // The queue's ready element that comes first, the deepest if no order was said; or kNone. With
  // `group`: that of the group.
  static constexpr ElementIndex kNone = ~ElementIndex{0};
  ElementIndex next_ready(std::size_t queue) const;
  ElementIndex next_ready(std::size_t queue, std::size_t group) const;
  // Where the element comes in the order of the run: what is lower goes first.
  std::uint32_t rank(ElementIndex e) const { return rank_.empty() ? position_[e] : rank_[e]; }
  // An element is ready in a queue; with `draining` those queues alone count that drain.
  bool any_ready(bool draining = false) const;
  // The queue goes on when the run is told to stop. As in BuildStream a build builds nothing more
  // then, but what was built is still pushed; of other runs nothing goes on.
  bool drains(std::size_t queue) const;
  // The queue that the element is in.
  std::size_t queue_of(ElementIndex e) const { return at_[e]; }
  bool is_ready(ElementIndex e) const { return place_[e] == Place::kReady; }
  bool is_active(ElementIndex e) const { return place_[e] == Place::kActive; }
  // The element is in a queue, and no job works on it.
  bool is_waiting(ElementIndex e) const {
    return place_[e] == Place::kWaiting || place_[e] == Place::kReady;
  }
  bool is_entered(ElementIndex e) const { return place_[e] != Place::kOutside; }
  // The element failed, and can be tried again. While it is pushed as a failure it can't.
  bool is_failed(ElementIndex e) const { return failed_at_[e] != 0 && place_[e] != Place::kActive; }

  // take() makes a ready element active; each of the others is an end of that.
  void take(ElementIndex e);
  void give_back(ElementIndex e);  // it is ready again
  // The model has the element's artifact or sources now, and it goes on to the next queue.
  // `skipped`: its job had nothing to do.
  void finished(ElementIndex e, bool skipped);
  void killed(ElementIndex e);  // counts as skipped, as in BuildStream; it goes no further
  void failed(ElementIndex e);
  // Goes on where nobody asks for another try: what could not be pulled can be built, and a build
  // that failed is cached as a failure, and pushed. An element that failed otherwise stays where it
  // is.
  void go_on_after_failure(ElementIndex e);
  // Pushes the failure of a build; elements that failed otherwise stay where they are.
  void push_failure(ElementIndex e);
  // Puts a failed element back into the queue where it failed; false when it hasn't failed.
  bool retry(ElementIndex e);
  // Counts everything again after the store has lost something, `lost` of artifacts: what was done
  // and isn't any more enters the queues again.
  void recount(const std::vector<ElementIndex>& lost);

  bool build_ready(ElementIndex e) const { return unready_build_[e] == 0; }
  bool scheduled(ElementIndex e) const { return scheduled_[e]; }
  model::ElementState state(ElementIndex e) const;
  // Elements whose state() may have changed since the last call.
  std::vector<ElementIndex> take_touched();
  // The build doesn't take the cached failure of that key for the element, but builds it.
  bool discards(ElementIndex e, const std::string& key) const;
  std::string discarded_text(const std::string& key) const;
  void add_to(StateDigest& digest) const;

 private:
  enum class Place : std::uint8_t { kOutside, kWaiting, kReady, kActive, kFailed, kDone };
  struct Queue {
    const QueueType* type;
    wire::QueueSection counts;
    // The elements of each group by rank; entries of those that are no longer ready are skipped.
    std::vector<
        std::priority_queue<std::pair<std::uint32_t, ElementIndex>,
                            std::vector<std::pair<std::uint32_t, ElementIndex>>, std::greater<>>>
        ready{1};
  };

  Run() = default;
  Status plan_build();
  bool retries_failed() const;
  bool stands_in_the_way(ElementIndex e, const model::Obstacle& obstacle) const;
  void require_all();
  void require(ElementIndex first, bool with_runtime);
  void schedule(ElementIndex e);
  void leave_pull(ElementIndex e);
  void find_pullable();
  bool is_pullable(ElementIndex e) const;
  void enter(ElementIndex e);
  void settle(ElementIndex e);
  void wake(ElementIndex e);
  void count();
  bool is_cached(ElementIndex e) const;
  void became_ready(ElementIndex e);
  void line_up(Queue& queue, ElementIndex e) const;
  void line_up_all() const;
  std::uint32_t count_blocked() const;

  const KnownSnapshot* loaded_ = nullptr;
  std::uint32_t number_ = 0;
  wire::RunArguments arguments_;
  std::string on_error_;
  bool builds_ = false;
  std::vector<ElementIndex> plan_, pipeline_;
  std::vector<ElementIndex> required_roots_;
  bool roots_with_runtime_ = true;
  std::vector<std::uint32_t> position_;
  mutable std::vector<std::uint32_t> rank_;   // by order_by(); empty: as positions are
  mutable std::vector<bool> critical_;        // by order_by()
  mutable std::vector<std::uint32_t> group_;  // by group_by(); empty: all are of group 0
  mutable std::vector<Queue> queues_;
  std::uint32_t entered_ = 0;
  // What progress() has counted, and the failures that there were then.
  mutable std::uint32_t blocked_ = 0;
  mutable std::uint64_t blocked_of_ = 0;
  std::uint64_t failures_seen_ = 0;  // changes with each failure, and with each retry
  std::uint32_t killed_ = 0;         // counted as skipped, as in BuildStream

  std::vector<bool> required_, scheduled_, ready_;
  std::vector<bool> pull_pending_;
  std::vector<bool> key_pending_;  // empty when no key is
  std::vector<std::uint32_t> unready_build_, unready_runtime_;
  std::vector<std::uint8_t> at_;
  // the queue in which it has failed, from 1; 0: it hasn't, or was tried again
  std::vector<std::uint8_t> failed_at_;
  std::vector<Place> place_;
  std::vector<ElementIndex> touched_;
};

}  // namespace sluice::scheduler
