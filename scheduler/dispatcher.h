// The dispatcher decides which job goes to whom, and what becomes of results: it asks the store,
// makes the JOB, and commits the changes that follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/changes.h"
#include "scheduler/choice.h"
#include "scheduler/fleet.h"
#include "scheduler/forecast.h"
#include "scheduler/job_duration.h"
#include "scheduler/narrator.h"
#include "scheduler/store_view.h"

namespace sluice::scheduler {

inline constexpr std::uint32_t kGraceMs = 5000;
// How long the first jobs of a run wait for their order. A runner takes longer to start.
inline constexpr Duration kOrderDeadline = std::chrono::milliseconds(100);
// How long a job waits for a runner that could do it (spec/jobs.md, J73).
inline constexpr Duration kNoRunner = std::chrono::seconds(60);

// One thread.
class Dispatcher {
 public:
  Dispatcher(const Clock& clock, StoreView& store, Outputs& outputs, Changes& changes, Fleet& fleet,
             Choice& choice, Narrator& narrator, Forecast& forecast)
      : clock_(clock), store_(store), outputs_(outputs), changes_(changes), fleet_(fleet),
        choice_(choice), narrator_(narrator), forecast_(forecast) {}

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
  // Checks the result of a current attempt against the store, and makes it a change. `runner`: who
  // has it; nullptr: the scheduler itself.
  void take_result(const Attempt& attempt, wire::JobResult result, Runner* runner = nullptr);
  // Loses an attempt. That of a runner which was told to leave at once counts as given back (J78).
  void lose(const wire::JobId& id, const std::string& why);
  // The runner gives back what it hasn't started: that is no loss.
  void give_back(const wire::JobId& id, const std::string& why) {
    (void)changes_.commit(
        AttemptLost{.at = changes_.stamp(), .id = id, .why = why, .returned = true});
  }
  // Takes from a runner what it hasn't started, and cancels it there.
  void take_from(Runner& runner, const std::string& why);
  // A runner has said over another connection that these wait there: what they were asked for (J99)
  // was lost with the one before.
  void still_wait(const std::vector<wire::JobId>& ids) {
    for (const wire::JobId& id : ids) asked_back_.erase(id);
  }
  void cancel(const Runner& runner, const std::vector<wire::JobId>& ids);
  // Cancels, in a run that was told to stop, the attempts that are not to go on. They are looked at
  // once for each way in which it was told: none that is given later is one of them.
  void cancel_unwanted();
  // Takes from several runners what they have in hand beyond the limits.
  void take_back();

  // What waits for a runner that isn't there, for people; "" when nothing does.
  std::string waiting_text() const;
  // Another number whenever that may be another text.
  std::uint64_t waiting_version() const { return waiting_version_; }
  // Time that nobody could use, since the session was suspended or this process stopped, is no time
  // in which a runner could have come.
  void renew_waiting();

  // Whether a job has added to the store since the last call.
  bool take_stored() { return std::exchange(stored_, false); }
  void add_to(StateDigest& digest) const;

 private:
  const SessionModel& model() const { return changes_.model(); }
  const KnownSnapshot& loaded() const { return *model()->loaded; }
  const Run& run() const { return *model()->run; }
  // The jobs for each runner, by its instance.
  using Batches = std::map<std::string_view, std::pair<const Runner*, std::vector<std::string>>>;
  bool waits_for_order();
  void ask_for_runner();
  // ---- dispatcher_choice.cc
  Requirements requirements(ElementIndex e) const;
  void group();
  // Gives jobs of a queue to whom they require; `active`: the queues' jobs that hold its resource.
  // True: a job waits for a runner.
  bool dispatch_by_class(std::size_t q, std::uint32_t& active, Batches& batches, bool& replayed);
  // How many builds the session's own runners may be given while nobody has set how many there are
  // in all (J75).
  Choice::Credit own_credit() const;
  // Asks crowded runners for what they haven't started and somebody else would start at once (J99).
  void hand_over();
  // Notes what waits for a runner that isn't there, and fails what has waited too long.
  void note_waiting();
  void fail_waiting(ElementIndex e, Choice::Class number);
  const std::string& settings_for(const Runner& runner);

  // False when it isn't given: the store lost what it needs, or can't be read. `job` has what
  // add_inputs() adds.
  bool give(ElementIndex e, const Runner& runner, wire::Job job, std::vector<std::string>& jobs);
  bool give(ElementIndex e, const Runner& runner, std::vector<std::string>& jobs);
  // Adds what a runner that has a store of its own has to be told. False as add_inputs().
  bool add_elsewhere(ElementIndex e, wire::Job& job);
  // Takes over what such a runner has sent: the log and, when the attempt made one, the artifact.
  // An error becomes the result's (J85, J86). False: it is the session's own, and no fault of what
  // was sent.
  bool take_over(const Attempt& attempt, wire::JobResult& result);
  // Whether an error may be the runner's, and another one may do better.
  bool blames_runner(const Attempt& attempt, const wire::JobResult& result,
                     const Runner& runner) const;
  // Whether an element that was lost with this runner's machine alone may be lost there once more,
  // since the runner gets no more.
  bool spares(const Attempt& attempt, const Runner& runner) const;
  // Loses an attempt by an error that is its runner's, and was noted by then.
  void lose_by_runner(const Attempt& attempt, const wire::JobResult& result, const Runner& runner);
  // The machines with which the element's job was lost.
  Choice::Machines lost_with(ElementIndex e) const;
  // Adds what a build is told of its inputs. False when the store has lost some, or can't be read.
  bool add_inputs(ElementIndex e, wire::Job& job);
  Result<std::vector<model::ArtifactRef>> dependencies(ElementIndex e);
  Result<StoreLost> lost_inputs(ElementIndex e);
  // Something that the attempt was given isn't there any more, as is known by now.
  bool lost_by_now(ElementIndex e) const;
  // Has what an attempt missed pulled or built again, and then tried again (J45). False: the store
  // has lost nothing.
  bool repair(const Attempt& attempt, const wire::JobResult& result, bool elsewhere);
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
  Choice& choice_;
  Narrator& narrator_;
  Forecast& forecast_;
  bool runner_asked_ = false;
  bool order_asked_ = false;             // in this run
  std::optional<Duration> order_until_;  // nothing is given before, unless durations() comes
  bool stored_ = false;
  // The elements of the run are in groups by what their builds require: of each its class.
  bool grouped_ = false;
  std::vector<Choice::Class> groups_;
  struct Waiting {
    Duration since;
    ElementIndex first;
  };
  std::set<wire::JobId> asked_back_;          // attempts whose runner was asked for them (J99)
  std::string looked_until_;                  // the last runner that was looked at for that
  std::map<Choice::Class, Waiting> waiting_;  // for which there is no runner
  std::uint64_t waiting_version_ = 0;
  // Settings as runners from elsewhere get them, of the snapshot with that id.
  std::string settings_elsewhere_;
  std::string settings_of_;
  std::string ticket_secret_;  // "": nobody comes from elsewhere
  // The run whose unwanted attempts are cancelled, and whether it was terminated by then; 0: none.
  std::pair<std::uint32_t, bool> cancelled_of_{0, false};
};

}  // namespace sluice::scheduler
