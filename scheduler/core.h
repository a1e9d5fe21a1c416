// The scheduler without sockets: takes what comes in, in the order in which it comes, and has its
// parts do what can be done then. Everything comes in by calls, everything goes out through
// Outputs; time is injected. One thread.
//
// | part | what it knows |
// | --- | --- |
// | SessionModel | all that the journal says; changed by changes alone |
// | Changes | the journal, and what waits until that is written |
// | Fleet | runners, leases, credit |
// | Choice | which runner gets a job, where there is a choice |
// | Dispatcher | which job goes to whom, what results mean |
// | Narrator | what is published |
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/occurrences.h"
#include "base/result.h"
#include "sandbox/platform.h"
#include "scheduler/changes.h"
#include "scheduler/choice.h"
#include "scheduler/dispatcher.h"
#include "scheduler/fleet.h"
#include "scheduler/forecast.h"
#include "scheduler/narrator.h"
#include "scheduler/store_view.h"
#include "scheduler/watching.h"
#include "wire/job_messages.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace sluice::scheduler {

// How long suspend waits for the runners' answers, and the end of a session for its jobs'.
inline constexpr Duration kSuspendDeadline = std::chrono::seconds(5);
inline constexpr Duration kEndDeadline = std::chrono::seconds(8);

struct CoreOptions {
  std::string session;
  std::string verb;  // of the command that the session was started for
  std::uint64_t epoch = 1;
  Duration lease = kLease;
  // Runners may come from elsewhere; those that build otherwise are taken, too (J76).
  bool listens = false;
  bool allow_skew = false;
  // What shapes a build on this machine (sandbox/fingerprint.h). It is asked for when the first
  // runner comes from elsewhere. Empty: a machine that says nothing.
  std::function<std::string()> fingerprint;
  std::string platform = sandbox::host_platform();
  // Of a session that others join: by what the broker knows who was given an attempt.
  std::string ticket_secret;
  // How often a runner and this scheduler say HEARTBEAT to each other; after how long without a
  // look the scheduler was stopped; after how long a silence a runner is forgotten.
  Duration heartbeat() const { return lease / 10; }
  // With more runners than 500 the scheduler's beats, which they answer, are rarer: 500 a second in
  // all, but each comes to a runner five times in a lease.
  Duration heartbeat(std::size_t runners) const {
    return std::clamp<Duration>(lease / 5000 * static_cast<std::int64_t>(runners), lease / 10,
                                lease / 5);
  }
  Duration stopped() const { return lease / 4; }
  Duration forget() const { return lease * 3; }
};

class Core final : private Effects {
 public:
  Core(const Clock& clock, StoreView& store, Outputs& outputs, CoreOptions options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core() override;

  // ---- Start: every record of the journal in order, then recovered(). An error says that the
  // journal can't be followed. `published` is its last Published mark.
  void begin_replay(std::uint64_t published) { changes_.begin_replay(published); }
  Status replay(std::string_view record) { return changes_.replay(record); }
  Status recovered();

  // ---- Control. Errors are refusals.
  // Starts a run. A `request` that is asked again, also of the next process, gives the same run.
  Result<wire::RunAccepted> run(const wire::RunArguments& arguments,
                                const std::string& request = {});
  // Stops all jobs where they are. `done` is called once: all runners have stopped theirs, or an
  // error names those that have not.
  void suspend(std::function<void(Status)> done);
  void resume();
  Status quit();
  Status kill();
  Status retry(const std::string& element);
  // Limits how many jobs are done at once. When there are more, nothing starts until enough have
  // ended, and what several runners have in hand beyond that is taken back.
  Status set_limits(const wire::LimitsArguments& arguments);
  // Answers the prompt of a failed element. The first answer wins; the others get an error with the
  // reason `answered`.
  Status answer(std::uint64_t prompt, const std::string& choice, const std::string& by);
  // The runners that are there, by name.
  wire::RunnerList runners() const;
  // Has a runner from elsewhere leave when what it runs has ended, or at once (`now`).
  Status send_away(const std::string& name, bool now);
  // Ends the session: what runs is cancelled, and then ended() becomes true.
  void end();

  // ---- Runners (spec/jobs.md), whose messages are bytes from outside. `peer` is the connection,
  // as the link names it: a runner, whose HELLO says what its instance is, may come by another one
  // at any time.
  void on_message(const std::string& peer, const wire::Frames& frames);
  // take_message() for several messages, then react() for what follows from all of them.
  void take_message(const std::string& peer, const wire::Frames& frames);
  // Whether the runner that is heard at this connection is known.
  bool knows(const std::string& peer) { return fleet_.at(peer) != nullptr; }
  void react() { drive(); }
  // The connection is gone. `jobs`: a packed JobBatch that could not be sent there, or "".
  void disconnected(const std::string& peer, const std::string& jobs = {});
  // The supervisor says that the instance's process of that epoch is gone.
  void runner_died(const std::string& instance, std::uint64_t epoch);

  // ---- New refs in the project's files
  void refs_written(std::uint64_t job, wire::WriteRefsResult result);
  // Nobody knows whether the refs were written: it is asked for again, which does no harm.
  void refs_unknown(std::uint64_t job);
  // The project as it is with its new refs. After an error the run ends as well, and nobody knows
  // the new keys yet.
  void reloaded(Result<wire::LoadResult> result);

  // ---- Time. tick() comes at least every half second.
  void tick();

  // Orders the run by what want_durations() asked for.
  void durations(const std::vector<JobDuration>& jobs);

  // The broker has every record that follows from the first `upto` changes.
  void published(std::uint64_t upto);

  // Says what of running jobs somebody looks at; the runners that have them are told. It comes as
  // often as a status.
  void watch(const wire::Watch& wanted);
  // Packs `status/` events. Several of one moment have all but the running jobs in common.
  Narrator::Common status_common();
  std::string pack_status(StatusOf of, const Narrator::Common& common) const {
    return narrator_.status(of, common);
  }
  std::string pack_status(StatusOf of) { return pack_status(of, status_common()); }
  // Whether something of the status has changed since the last call.
  bool take_status_changed();
  void set_cache(wire::CacheSection cache);
  // Publishes an error of the scheduler itself, outside of any task.
  void publish_error(const Error& error);

  const SessionModel& model() const { return changes_.model(); }
  const Fleet& fleet() const { return fleet_; }
  bool ended() const { return model()->ended; }
  bool running() const { return model()->run != nullptr; }
  bool suspended() const { return model()->suspended; }
  std::uint64_t malformed() const { return malformed_; }
  // The settings of the run in progress, else of the last one; nullptr before the first.
  const model::Settings* settings() const {
    return model()->loaded ? &model()->loaded->snapshot.settings : nullptr;
  }
  // Adds all that decides what may follow: the model, and what this process knows besides; no
  // times.
  void add_to(StateDigest& digest) const;

 private:
  // ---- core.cc
  // Makes happen what now can: gives jobs, cancels, ends the run; then flushes.
  void drive();
  void flush();
  void maybe_finish();
  void finish_session();
  void check_suspended(bool expired);
  // Reads the snapshot of `change`, with what was known of it and what the store says now, and
  // fills in the change, which makes it the session's.
  Result<std::unique_ptr<KnownSnapshot>> prepare(RunStarted& change);
  Status terminate() { return changes_.commit(RunSteered{changes_.stamp(), "terminate", 0}); }

  // ---- Effects: records are the narrator's, attempts the fleet's.
  void session_is(std::string_view type) override { narrator_.session_is(type); }
  void run_started(const RunStarted& change) override;
  void run_finishes(const RunFinished& change) override { narrator_.run_finishes(change); }
  void prompt_opened(const Prompt& prompt) override { narrator_.prompt_opened(prompt); }
  void prompt_closed(const Prompt& prompt) override { narrator_.prompt_closed(prompt); }
  void job_started(const Attempt& attempt) override { narrator_.job_started(attempt); }
  void job_says(const Attempt& attempt, std::string_view level, std::string_view text,
                std::string_view detail) override {
    narrator_.job_says(attempt, level, text, detail);
  }
  void job_finished(const Attempt& attempt, const JobEnd& end) override {
    narrator_.job_finished(attempt, end);
  }
  void elements_changed(const std::vector<ElementIndex>& elements) override {
    narrator_.elements_changed(elements);
  }
  void given(const Attempt& attempt) override;
  void started(const Attempt& attempt) override;
  void released(const Attempt& attempt) override;
  void worked(const Attempt& attempt, const wire::JobResult& result) override;
  void resumed(const Stamp& at) override { changes_.resumed(at); }

  // ---- core_snapshot.cc
  void write_next_refs();
  bool waits_for_snapshot();
  void resolve_keys();
  void ask_for_reload();
  Status take_keys(Result<wire::LoadResult> result);
  void take_snapshot(Result<wire::LoadResult> result);

  // ---- core_runners.cc
  void on_hello(const std::string& peer, const std::string& body);
  void on_started(Runner& runner, const wire::Started& message);
  void on_results(Runner& runner, wire::Results message);
  void on_progress(Runner& runner, const wire::Progress& message);
  void on_beat(Runner& runner, const wire::RunnerBeat& message);
  void on_drain(Runner& runner, const wire::Drain& message);
  // Says in the log that a runner has named another's attempt.
  void note_foreign(const Runner& runner, const wire::JobId& id);
  void note_foreign(const Runner& runner, const std::vector<wire::JobId>& ids);
  void on_goodbye(Runner& runner, const wire::Goodbye& message);
  // What a runner's fingerprint is refused for; "" when it isn't.
  std::string skew_of(const wire::RunnerHello& hello);
  void quarantine(Runner& runner, const std::string& last);
  // Says which runners from elsewhere are gone.
  void say_who_left();
  // Notes a start that no STARTED has said: that was lost with a connection, or is on its way.
  void start(const wire::JobId& id, std::uint32_t slot, const Runner& runner,
             std::int64_t time = 0);
  void judge_leases();
  void send_limits(const Runner& runner);
  template <typename T>
  void send(const Runner& runner, const T& message) {
    tell(runner.peer, message);
  }
  template <typename T>
  void tell(const std::string& peer, const T& message) {
    changes_.send(peer, T::kName, wire::encode(message));
  }

  const Clock& clock_;
  StoreView& store_;
  Outputs& outputs_;
  const CoreOptions options_;
  Changes changes_;
  Fleet fleet_;
  Choice choice_;
  Forecast forecast_;
  Watching watching_;
  Narrator narrator_;
  Dispatcher dispatcher_;

  std::optional<std::string> fingerprint_;
  std::map<std::string, std::string> goodbyes_;  // why, of runners whose leaving isn't said yet
  // Runners that were told to leave, by instance: their epochs, and whether at once.
  std::map<std::string, std::pair<std::uint64_t, bool>> sent_away_;
  bool refs_asked_ = false;    // of the loader, for the first of Session::writing
  bool reload_asked_ = false;  // of the loader, in this run
  bool settle_due_ = false;    // a run has ended, which the store is to be told
  Duration last_tick_{};
  Duration last_beat_{};
  std::uint64_t beats_ = 0;
  std::uint64_t malformed_ = 0;
  Occurrences foreign_;
  std::function<void(Status)> suspend_done_;
  Duration suspend_deadline_{};
  bool ending_ = false;
  Duration end_deadline_{};
  std::uint64_t status_version_ = 0, status_seen_ = 0;  // of what isn't a change
  std::optional<wire::CacheSection> cache_;
};

}  // namespace sluice::scheduler
