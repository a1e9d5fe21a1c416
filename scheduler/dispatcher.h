// The dispatcher decides which job goes to whom, and what becomes of results: it asks the store,
// makes the JOB, and commits the changes that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/changes.h"
#include "scheduler/fleet.h"
#include "scheduler/job_duration.h"
#include "scheduler/narrator.h"
#include "scheduler/store_view.h"

namespace sluice::scheduler {

inline constexpr std::uint32_t kGraceMs = 5000;
// How long the first jobs of a run wait for their order. A runner takes longer to start.
inline constexpr Duration kOrderDeadline = std::chrono::milliseconds(100);

// One thread.
class Dispatcher {
 public:
  Dispatcher(const Clock& clock, StoreView& store, Outputs& outputs, Changes& changes, Fleet& fleet,
             Narrator& narrator)
      : clock_(clock), store_(store), outputs_(outputs), changes_(changes), fleet_(fleet),
        narrator_(narrator) {}

  // Has each JOB say by `secret` to whom it was given (access.md, A13).
  void sign_by(std::string secret) { ticket_secret_ = std::move(secret); }

  // ---- A run begins.
  // Asks the store about elements that aren't known to be cached; those that are stay so in the
  // session. `loaded` is nobody else's yet; `change` gets what the store had.
  Status query(KnownSnapshot& loaded, const Run& run, RunStarted& change);
  void run_started();
  // Asks the store again, in a scheduler that was started in the middle of a run. The store wins:
  // what it has lost since is not cached, whatever the journal says.
  Status check_store();

  // ---- It goes on.
  // Gives all jobs that can be given now.
  void dispatch();
  // Orders the run by how long jobs took the last time.
  void durations(const std::vector<JobDuration>& jobs);
  // Checks the result of a current attempt against the store, and makes it a change.
  void take_result(const Attempt& attempt, wire::JobResult result);
  void lose(const wire::JobId& id, const std::string& why) {
    (void)changes_.commit(AttemptLost{changes_.stamp(), id, why});
  }
  void cancel(const Runner& runner, const std::vector<wire::JobId>& ids);
  // Cancels, in a run that was told to stop, the attempts that are not to go on.
  void cancel_unwanted();
  // Takes from several runners what they have in hand beyond the limits.
  void take_back();

  // Whether a job has added to the store since the last call.
  bool take_stored() { return std::exchange(stored_, false); }
  void add_to(StateDigest& digest) const;

 private:
  const SessionModel& model() const { return changes_.model(); }
  const KnownSnapshot& loaded() const { return *model()->loaded; }
  const Run& run() const { return *model()->run; }
  bool waits_for_order();
  void ask_for_runner();
  bool give(ElementIndex e, const Runner& runner, std::vector<std::string>& jobs);
  // Adds what a build is told of its inputs. False when the store has lost some, or can't be read.
  bool add_inputs(ElementIndex e, wire::Job& job);
  Result<std::vector<model::ArtifactRef>> dependencies(ElementIndex e);
  Result<StoreLost> lost_inputs(ElementIndex e);
  // Checks of what an action yields (model::Yields). An error becomes the result's.
  void check_built(const Attempt& attempt, wire::JobResult& result);
  void check_pulled(const Attempt& attempt, wire::JobResult& result);
  void check_fetched(const Attempt& attempt, wire::JobResult& result);
  void replay_failure(ElementIndex e);
  // The next attempt of an element's job in its present queue.
  wire::JobId next_attempt(ElementIndex e) const;
  std::string log_file_of(ElementIndex e, const QueueType& type) const;

  const Clock& clock_;
  StoreView& store_;
  Outputs& outputs_;
  Changes& changes_;
  Fleet& fleet_;
  Narrator& narrator_;
  bool runner_asked_ = false;
  bool order_asked_ = false;             // in this run
  std::optional<Duration> order_until_;  // nothing is given before, unless durations() comes
  bool stored_ = false;
  std::string ticket_secret_;  // "": nobody comes from elsewhere
};

}  // namespace sluice::scheduler
