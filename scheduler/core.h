// The scheduler without sockets: one data model, the runs over it, the jobs in
// flight, the runners that have them. Everything comes in by calls, everything
// goes out through Outputs; time is injected. One thread.
//
// The model changes in one way only: a change (journal.h) is packed for the
// journal, applied, and what follows from it (records, messages to runners) is
// held back until the journal has it: store, journal, publish. A scheduler that is
// started again replays the changes through the same apply() and so has the same
// model, and the same records where the broker may not have had them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/job_duration.h"
#include "scheduler/journal.h"
#include "scheduler/loaded.h"
#include "scheduler/run.h"
#include "scheduler/store_view.h"
#include "wire/events.h"
#include "wire/messages.h"
#include "wire/socket.h"

namespace sluice::scheduler {

// Numbers of spec/jobs.md.
inline constexpr Duration kLease = std::chrono::seconds(10);
inline constexpr std::uint32_t kPrefill = 2;
inline constexpr std::uint32_t kBriefPrefill = 16;   // or as many as a runner has slots
inline constexpr std::uint32_t kRunnerCapacity = 128;  // jobs that a runner does itself, one after the other
inline constexpr std::uint32_t kMaxAttempts = 3;  // that had started
inline constexpr std::uint32_t kMaxGiven = 20;    // of any kind
inline constexpr std::uint32_t kGraceMs = 5000;
// How long the first jobs of a run wait for their order. A runner takes longer to start.
inline constexpr Duration kOrderDeadline = std::chrono::milliseconds(100);
// How long suspend waits for the runners' answers, and the end of a session for its jobs'.
inline constexpr Duration kSuspendDeadline = std::chrono::seconds(5);
inline constexpr Duration kEndDeadline = std::chrono::seconds(8);
// Jobs in `status/`; `status/full/` has all.
inline constexpr std::size_t kActiveShown = 64;
inline constexpr std::size_t kPromptsShown = 16;

// Where everything goes. Calls come in the order in which they must take effect.
class Outputs {
 public:
  virtual ~Outputs() = default;
  // An error ends the process: nothing of what is in the records has happened yet.
  virtual Status journal(const std::vector<std::string_view>& records) = 0;
  // `ordinal`: how many changes the journal had when this record was made.
  virtual void publish(std::string_view type, std::string packed, std::uint64_t ordinal) = 0;
  virtual void send(const std::string& peer, std::string_view name, std::string body) = 0;
  virtual void start_runner() = 0;
  // What was added to the store at `cachedir` is to survive loss of power. Nobody waits for it.
  virtual void sync(const std::string& /*cachedir*/) {}
  // How long jobs took. want_durations(): Core::durations() is called, soon; false: nobody knows any.
  virtual bool want_durations(const std::string& /*cachedir*/, const std::vector<std::string>& /*projects*/) { return false; }
  virtual void took(JobDuration) {}
  // Packed wire::WriteRefs, for the loader; answered by refs_written() or refs_unknown(), sooner or later.
  virtual void write_refs(std::uint64_t /*job*/, std::string /*arguments*/) {}
  // Packed wire::LoadArguments, for the loader; answered by reloaded().
  virtual void reload(std::string /*arguments*/) {}
  // No new jobs for now: records wait to be acknowledged.
  virtual bool congested() const { return false; }
};

struct CoreOptions {
  std::string session;
  std::string verb;      // of the command that the session was started for
  std::string instance = "scheduler";
  std::uint64_t epoch = 1;
  Duration lease = kLease;
  // Of a runner, both ways; a scheduler that didn't look for so long was stopped; a silent runner is forgotten.
  Duration heartbeat() const { return lease / 10; }
  Duration stopped() const { return lease / 4; }
  Duration forget() const { return lease * 3; }
};

// "bad-journal": what a record says can't follow from those before it. Begins with "the journal ".
tl::unexpected<Error> bad_journal(std::string_view what);

class Core {
 public:
  Core(const Clock& clock, StoreView& store, Outputs& outputs, CoreOptions options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  // ---- Start: every record of the journal in order, then recovered().
  // `published`: the last Published mark. An error: the journal can't be followed.
  void begin_replay(std::uint64_t published);
  Status replay(std::string_view record);
  Status recovered();

  // ---- Control. Errors are refusals.
  // `request`: the same request asked again, also of the next process, is the same run.
  Result<wire::RunAccepted> run(const wire::RunArguments& arguments, const std::string& request = {});
  // `done` is called once: all runners have stopped their jobs, or an error names who has not.
  void suspend(std::function<void(Status)> done);
  void resume();
  Status quit();
  Status kill();
  Status retry(const std::string& element);
  // How many jobs at once. Fewer: nothing starts until enough have ended; what several runners have in hand beyond is taken back.
  Status set_limits(const wire::LimitsArguments& arguments);
  // Of a failed element that asks. The first answer wins; reason `answered` for the others.
  Status answer(std::uint64_t prompt, const std::string& choice, const std::string& by);
  // Ends the session: what runs is cancelled. ended() becomes true then.
  void end();

  // ---- Runners (spec/jobs.md). Bytes from outside.
  // `peer`: the connection, as the link names it. A runner may come by another one at any time; what its instance
  // is, its HELLO says.
  void on_message(const std::string& peer, const wire::Frames& frames);
  // The same for several: what follows from all of them happens in react(), which must come.
  void take_message(const std::string& peer, const wire::Frames& frames);
  void react() { drive(); }
  // The supervisor says that the process is gone: the one of that epoch.
  void runner_died(const std::string& instance, std::uint64_t epoch);

  // ---- New refs in the project's files
  void refs_written(std::uint64_t job, wire::WriteRefsResult result);
  // Nobody knows whether they were written: it is asked for again, which does no harm.
  void refs_unknown(std::uint64_t job);
  // The project as it is after that. Without it the run ends as well, and nobody knows the new keys yet.
  void reloaded(Result<wire::LoadResult> result);

  // ---- Time: at least every half second.
  void tick();

  // What want_durations() asked for: the run's order goes by it.
  void durations(const std::vector<JobDuration>& jobs);

  // The broker has every record that follows from the first `upto` changes.
  void published(std::uint64_t upto);

  // A `status/` event; `full`: with all running jobs.
  std::string pack_status(bool full) const;
  // Something of the status changed since the last call.
  bool take_status_changed();
  void set_cache(wire::CacheSection cache);
  // For an error of the scheduler itself, outside of any task.
  void publish_error(const Error& error);

  bool ended() const { return ended_; }
  bool running() const { return run_ != nullptr; }
  bool suspended() const { return suspended_; }
  std::uint64_t changes() const { return ordinal_; }
  std::uint64_t malformed() const { return malformed_; }
  // Of the run in progress, else of the last one; nullptr before the first.
  const model::Settings* settings() const { return loaded_ ? &loaded_->snapshot.settings : nullptr; }

 private:
  friend struct CoreState;  // tests/model: what of all this tells two states apart
  enum class AttemptState : std::uint8_t { kGiven, kRunning, kInDoubt };
  struct Attempt {
    wire::JobId id;
    ElementIndex element = 0;
    std::string runner;
    AttemptState state = AttemptState::kGiven;
    bool started = false;
    bool cancelled = false;  // CANCEL was sent
    Action action = Action::kBuild;
    const model::ActionTraits& traits() const { return model::traits(action); }
    Duration lease_until{};
    wire::JobSection section;
    std::int64_t began = 0;  // the session's elapsed time
  };
  // Of an element's job in its present queue, over its attempts.
  struct History {
    std::uint64_t job = 0;
    std::uint32_t attempts = 0;
    std::uint32_t lost = 0;
  };
  struct Runner {
    std::string peer;  // its connection, as the link names it
    std::string host;
    std::uint64_t epoch = 0;
    std::uint64_t connection = 0;
    std::uint32_t slots = 0;
    std::array<std::uint32_t, kResources> given{};
    Duration heard{};
    bool suspended = false;
  };
  struct Prompt {
    ElementIndex element = 0;
    wire::PromptSection section;
  };
  // Of an attempt that is over but for its refs.
  struct Writing {
    Attempt attempt;
    wire::JobResult result;
  };
  struct Effect {
    enum class Kind : std::uint8_t { kPublish, kSend, kStartRunner, kWriteRefs, kReload } kind;
    std::string name;    // type or message name
    std::string body;
    std::string peer;
    std::uint64_t ordinal = 0;  // kWriteRefs: the job
  };

  // core.cc
  Stamp stamp() const;
  std::int64_t elapsed() const;
  template <typename T>
  Status commit(const T& change);
  Status flush();
  // Makes things happen that now can: gives jobs, cancels, ends the run; then flushes.
  void drive();
  Status load(const wire::RunArguments& arguments, const std::string& expected_id);
  Status query(Run& run, RunStarted& change);
  // Whether a run takes no cached failure for what a build would come to; and one that has this key.
  bool retries_failed(const wire::RunArguments& arguments) const;
  bool discards(const wire::RunArguments& arguments, ElementIndex e, const std::string& key) const;
  std::string discarded_text(const wire::RunArguments& arguments, const std::string& key) const;
  // The run was told to stop, and the element's present queue is none that is emptied all the same.
  bool stopped(ElementIndex e) const;
  void maybe_finish();
  void finish_session();
  Status check_store();
  void open_prompt(ElementIndex e, const wire::FailureSection& failure);
  void close_prompt(std::uint64_t id, const std::string& answer, const std::string& by);
  void close_prompts(std::optional<ElementIndex> of);
  void at(const Stamp& stamp);
  Status apply(const ProcessStarted& change);
  Status apply(const RunStarted& change);
  Status apply(const RunSteered& change);
  Status apply(const PromptAnswered& change);
  Status apply(const StoreLost& change);
  Status apply(const Suspended& change);
  Status apply(const Resumed& change);
  Status apply(const LimitsSet& change);
  Status apply(const RunFinished& change);
  Status apply(const SessionEnded& change);
  Status apply(const Published&) { return {}; }

  // core_jobs.cc
  Status apply(const AttemptGiven& change);
  Status apply(const AttemptStarted& change);
  Status apply(const AttemptLost& change);
  Status apply(const AttemptEnded& change);
  Status apply(const RefsFound& change);
  Status apply(const RefsWritten& change);
  Status apply(const SnapshotSuperseded& change);
  Status apply(const KeysResolved& change);
  void resolve_keys();
  Status take_keys(Result<wire::LoadResult> result);
  bool waits_for_snapshot();
  void write_next_refs();
  void dispatch();
  bool waits_for_order();
  void ask_for_runner();
  std::uint32_t limit(Resource resource) const;
  // How many jobs of it a runner does at once, and how many more it is given.
  std::uint32_t capacity(const Runner& runner, Resource resource) const;
  std::uint32_t prefill(const Runner& runner, const QueueType& type) const;
  bool give(ElementIndex e, const std::string& runner, std::vector<std::string>& jobs);
  // What a build is told besides; false as above.
  bool add_inputs(ElementIndex e, wire::Job& job);
  Result<std::vector<model::ArtifactRef>> dependencies(ElementIndex e);
  Result<StoreLost> lost_inputs(ElementIndex e);
  void replay_failure(ElementIndex e);
  std::string log_file_of(ElementIndex e, const QueueType& type) const;
  std::string log_path(const std::string& log_file) const;
  std::string artifact_name(ElementIndex e) const;
  // The first characters of its key; question marks while it isn't known, as BuildStream says it.
  std::string display_key(ElementIndex e) const;
  std::vector<wire::ElementSection> resolved() const;
  void cancel(const std::string& runner, const std::vector<wire::JobId>& ids);
  void lose(const wire::JobId& id, const std::string& why);
  // Out of the attempts under way; its runner has credit again.
  Attempt release(std::map<std::uint64_t, Attempt>::iterator found);
  Attempt* current(const wire::JobId& id, const std::string& runner);
  void take_result(const std::string& runner, wire::JobResult result);
  void cancel_unwanted();

  // core_runners.cc
  void on_hello(const std::string& peer, const std::string& body);
  void on_started(const std::string& runner, const wire::Started& message);
  void on_results(const std::string& runner, wire::Results message);
  void on_beat(const std::string& runner, const wire::RunnerBeat& message);
  void judge_leases();
  void send_limits(const std::string& runner);
  void take_back();
  void check_suspended(bool expired);
  void send(const std::string& runner, std::string_view name, std::string body);
  template <typename T>
  void send(const std::string& runner, const T& message) {
    send(runner, T::kName, wire::encode(message));
  }
  void tell(const std::string& peer, std::string_view name, std::string body);
  template <typename T>
  void tell(const std::string& peer, const T& message) {
    tell(peer, T::kName, wire::encode(message));
  }

  // core_events.cc
  // `e`: the element whose position the run's section tells.
  void publish(const wire::EventHead& head, std::vector<std::string> sections, std::optional<ElementIndex> e = std::nullopt);
  void publish_main(std::string_view level, std::string_view text, std::int64_t elapsed, std::string_view detail = {});
  void publish_job(const Attempt& attempt, const wire::EventHead& head, std::vector<std::string> more = {});
  void publish_element_states();
  void publish_run_started(const RunStarted& change);
  void publish_run_finished(const RunFinished& change);
  std::string session_part() const;
  std::string run_part(std::optional<ElementIndex> e) const;
  std::string queues_part() const;
  std::string prompts_part() const;
  std::string limits_part() const;
  wire::ElementSection element_section(ElementIndex e) const;
  std::string context(const Attempt& attempt) const;
  std::string_view verb_text() const;

  const Clock& clock_;
  StoreView& store_;
  Outputs& outputs_;
  CoreOptions options_;

  // The model.
  std::unique_ptr<Loaded> loaded_;
  std::unique_ptr<Run> run_;
  std::uint32_t runs_ = 0;         // numbers given
  std::string last_request_;       // what asked for the last one
  std::uint64_t jobs_given_ = 0;   // job numbers given
  std::map<std::uint64_t, Attempt> attempts_;  // by job: the oldest first
  std::map<std::uint64_t, Writing> writing_;   // by job
  bool refs_asked_ = false;                    // for the first of them
  std::unique_ptr<Loaded> next_;               // the snapshot when the run is over
  enum class Reload : std::uint8_t { kNone, kAsked, kDone } reload_ = Reload::kNone;
  std::unordered_map<ElementIndex, History> history_;
  std::vector<std::pair<ElementIndex, wire::FailureSection>> failures_;
  std::map<std::uint64_t, Prompt> prompts_;  // that are open
  std::uint64_t prompts_given_ = 0;
  bool any_failed_ = false;
  bool stopping_ = false;     // start nothing more but what was built is pushed (Run::drains)
  bool terminated_ = false;
  bool stored_ = false;       // a job has added to the store since it was settled
  bool settle_due_ = false;
  std::int64_t run_began_ = 0;
  std::string project_;
  std::int64_t session_began_ = 0;
  std::string session_state_ = "active";
  bool suspended_ = false;
  std::array<std::uint32_t, kResources> limits_{};  // that somebody has set; 0: as the settings say
  // elapsed = base + monotonic now - since, or base while suspended or replaying.
  std::int64_t elapsed_base_ = 0;
  std::int64_t time_ = 0;     // of the change that is being applied
  Duration since_{};

  // Journal and what waits for it.
  bool replaying_ = false;
  std::uint64_t ordinal_ = 0;
  std::uint64_t published_ = 0;
  std::vector<std::string> pending_;
  std::vector<Effect> effects_;
  bool broken_ = false;       // the journal can't be written: nothing happens any more

  // Runners and time.
  std::map<std::string, Runner> runners_;
  std::map<std::string, std::uint64_t> died_;  // by instance: the newest epoch that is known to be dead
  bool runner_asked_ = false;
  bool order_asked_ = false;              // in this run
  std::optional<Duration> order_until_;   // nothing is given before, unless durations() comes
  Duration last_tick_{};
  Duration last_beat_{};
  std::uint64_t beats_ = 0;
  std::uint64_t malformed_ = 0;
  std::function<void(Status)> suspend_done_;
  Duration suspend_deadline_{};
  bool ending_ = false;
  bool ended_ = false;
  Duration end_deadline_{};
  mutable std::uint64_t status_version_ = 0, status_seen_ = 0;
  std::optional<wire::CacheSection> cache_;
};

template <typename T>
Status Core::commit(const T& change) {
  if (broken_) return fail("scheduler", "journal", "The journal can't be written");
  pending_.push_back(pack_change(change));
  ++ordinal_;
  ++status_version_;
  return apply(change);
}

}  // namespace sluice::scheduler
