// What a session is: everything that its journal says, and the one way in which it changes.
//
// A change (journal.h) that is applied to a session alters it, whichever process does that, and
// whenever: the state follows from the changes before and from the snapshots that they name, from
// nothing else. So a scheduler that is started again has the same model, and so can a test, or
// whoever else reads the journal. What only this process knows (connections, leases, what was asked
// of others) is no part of it.
//
// What follows from a change outside of the model is told to an Effects while it is applied: the
// model is then as the record that says it shall have it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <experimental/propagate_const>

#include "base/result.h"
#include "scheduler/journal.h"
#include "scheduler/known_snapshot.h"
#include "scheduler/run.h"
#include "scheduler/state_digest.h"
#include "wire/events.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

// How many attempts of a job may be lost (spec/jobs.md, J40).
inline constexpr std::uint32_t kMaxAttempts = 3;  // that had started, with one machine
inline constexpr std::uint32_t kMaxMachines = 2;  // with which one was lost that had started
inline constexpr std::uint32_t kMaxGiven = 20;    // that were given, and not given back

// A pointer whose object is constant where the pointer is.
template <typename T>
using Owned = std::experimental::propagate_const<std::unique_ptr<T>>;

// An attempt that is under way.
struct Attempt {
  wire::JobId id;
  ElementIndex element = 0;
  std::string runner;  // "": the scheduler itself replays a cached failure
  bool started = false;
  Action action = Action::kBuild;
  std::int64_t began = 0;  // the session's elapsed time
  wire::JobSection section;
  std::string machine;  // where it has started

  const model::ActionTraits& traits() const { return model::traits(action); }
};

// The history of an element's job in its present queue, over its attempts.
struct History {
  std::uint64_t job = 0;
  std::uint32_t attempts = 0;
  std::uint32_t returned = 0;  // of these, given back by runners, or counted as such
  // The machines with which attempts that had started were lost: their hosts, and how many.
  struct Machine {
    std::string host;
    std::uint32_t lost = 0;
  };
  std::map<std::string, Machine> machines;

  // No attempt follows when one more is lost with that machine.
  bool ends_with(const std::string& machine) const;
  // What has become of them, when no more follow.
  std::string lost_text() const;
};

struct Prompt {
  ElementIndex element = 0;
  wire::PromptSection section;
};

struct Failure {
  ElementIndex element = 0;
  wire::FailureSection section;
};

// An attempt whose job has ended, and whose refs are still to be written into the project.
struct Writing {
  Attempt attempt;
  wire::JobResult result;
};

struct Session {
  Owned<KnownSnapshot> loaded;   // null before the first run
  Owned<KnownSnapshot> next;     // the snapshot when the run is over, if another
  bool reloaded = false;         // in this run the project was loaded again, or can't be
  Owned<Run> run;                // null when there is none
  std::uint32_t runs = 0;        // numbers given
  std::string last_request;      // what asked for the last one
  std::uint64_t jobs_given = 0;  // job numbers given
  std::map<std::uint64_t, Attempt> attempts;  // by job: the oldest first
  std::set<std::uint64_t> running;            // jobs whose attempts have started
  std::map<std::uint64_t, Writing> writing;   // by job
  std::unordered_map<ElementIndex, History> history;
  std::vector<Failure> failures;
  std::map<std::uint64_t, Prompt> prompts;  // that are open
  std::uint64_t prompts_given = 0;
  bool any_failed = false;
  bool stopping = false;  // start nothing more but what was built is pushed (Run::drains)
  bool terminated = false;
  bool suspended = false;
  bool ended = false;
  std::string state = "active";                    // as records and `session list` have it
  std::array<std::uint32_t, kResources> limits{};  // that somebody has set; 0: as the settings say
  std::int64_t began = 0;                          // wall clock
  std::int64_t run_began = 0;                      // the session's elapsed time
  Stamp at;                                        // of the last change

  // The run was told to stop, and the element's present queue is none that is emptied all the same.
  bool stopped(ElementIndex e) const {
    return terminated || (stopping && !run->drains(run->queue_of(e)));
  }
  // How many jobs may hold the resource at a time. Asked only when something is loaded.
  std::uint32_t limit(Resource resource) const;
};

// The reason of a pull's result whose artifact isn't taken.
inline constexpr std::string_view kDiscarded = "discarded";

// How an attempt ended, as its record says it.
struct JobEnd {
  std::string_view level, text, detail, outcome, origin;
  std::int64_t elapsed = 0;
  const wire::JobResult* result = nullptr;  // what it has used is there
  const wire::ErrorSection* error = nullptr;
  std::string_view log_tail;
};

// What follows from a change outside of the model, told while the change is applied: the model is
// then as the change's record is to say it. The base class does nothing.
class Effects {
 public:
  virtual ~Effects() = default;
  // Each of these is a record. `type`: session.started, suspended, resumed, ended, limits.
  virtual void session_is(std::string_view /*type*/) {}
  virtual void run_started(const RunStarted&) {}
  // Told while the run is still there, and nothing of it has changed.
  virtual void run_finishes(const RunFinished&) {}
  virtual void prompt_opened(const Prompt&) {}
  virtual void prompt_closed(const Prompt&) {}
  virtual void job_started(const Attempt&) {}
  virtual void job_says(const Attempt&, std::string_view /*level*/, std::string_view /*text*/,
                        std::string_view /*detail*/) {}
  virtual void job_finished(const Attempt&, const JobEnd&) {}
  virtual void elements_changed(const std::vector<ElementIndex>&) {}
  // The attempt is in a runner's hand; it has a slot there; it is that runner's no more.
  virtual void given(const Attempt&) {}
  virtual void started(const Attempt&) {}
  virtual void released(const Attempt&) {}
  // A job has done its work; its result says how long that took.
  virtual void worked(const Attempt&, const wire::JobResult&) {}
  virtual void resumed(const Stamp&) {}
};

// An error with the reason "bad-journal": what a record says can't follow from those before it. Its
// message begins with "the journal ".
tl::unexpected<Error> bad_journal(std::string_view what);

// A session that changes only by apply(). One thread.
class SessionModel {
 public:
  const Session& operator*() const { return session_; }
  const Session* operator->() const { return &session_; }

  // Applies a change. An error says that it can't follow from those before it, or that its snapshot
  // can't be read; the model can't be used after it.
  template <typename T>
  Status apply(const T& change, Effects& effects) {
    effects_ = &effects;
    if constexpr (requires { change.at; }) session_.at = change.at;
    return on(change);
  }
  // Offers a snapshot that was read already, and asked about: the next change that names its file
  // and id takes it. Without an offer that change reads the file.
  void offer(std::unique_ptr<KnownSnapshot> loaded) { offered_ = std::move(loaded); }

  // Adds all that decides what may follow. Times, and texts that are only said, are left out; so is
  // the order of what is ready.
  void add_to(StateDigest& digest) const;

 private:
  Status on(const ProcessStarted& change);
  Status on(const RunStarted& change);
  Status on(const RunSteered& change);
  Status on(const PromptAnswered& change);
  Status on(const StoreLost& change);
  Status on(const Suspended& change);
  Status on(const Resumed& change);
  Status on(const LimitsSet& change);
  Status on(const RunFinished& change);
  Status on(const SessionEnded& change);
  Status on(const AttemptGiven& change);
  Status on(const AttemptStarted& change);
  Status on(const AttemptLost& change);
  Status on(const AttemptEnded& change);
  Status on(const RefsFound& change);
  Status on(const RefsWritten& change);
  Status on(const SnapshotSuperseded& change);
  Status on(const KeysResolved& change);
  Status on(const Published&) { return {}; }

  // `earlier` has what is known of a snapshot that has to be read; it may be null.
  Result<std::unique_ptr<KnownSnapshot>> take_snapshot(const std::string& file,
                                                       const std::string& id,
                                                       const KnownSnapshot* earlier);
  using AttemptNode = std::map<std::uint64_t, Attempt>::node_type;
  Result<AttemptNode> release(const wire::JobId& id, std::string_view what);
  void end(Attempt& attempt, const wire::JobResult& result, const std::string& log_tail);
  void fail_attempt(const Attempt& attempt, const wire::JobResult& result,
                    const std::string& log_tail);
  void open_prompt(ElementIndex e, const wire::FailureSection& failure);
  void close_prompt(std::uint64_t id, const std::string& answer, const std::string& by);
  void close_prompts(std::optional<ElementIndex> of);
  void say_elements();

  Session session_;
  std::unique_ptr<KnownSnapshot> offered_;
  Effects* effects_ = nullptr;  // of the change that is being applied
};

// ---- Names in messages and in the store ---------------------------------------

// The first characters of an element's key; question marks while it isn't known, as BuildStream
// says it.
std::string display_key(const KnownSnapshot& loaded, ElementIndex e);
wire::ElementSection element_section(const Session& session, ElementIndex e);

}  // namespace sluice::scheduler
