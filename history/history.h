// What happened in a session, as one structure: runs, the elements of each, the attempts at jobs,
// failures and pauses. Made of the session's records (spec/records.md), of one that has ended and
// of one that still lives alike; measures.h says what follows from it. No sockets and no clock: a
// moment is what a record says.
//
//   auto history = history::read(paths);                // a session of this machine, as it is now
//
//   history::Gatherer gatherer({});                      // or record by record, as they come
//   gatherer.add(packed);
//   gatherer.history().runs.back().outcome;
//
// Moments (`started`, `ended`, `time`) are of the wall clock, ns since 1970, 0: not yet, or not
// known. Durations are ns in which the session was suspended or dead left out. Elements are indices
// into Run::elements, jobs indices into History::jobs; both only grow, so they stay what they are.
// One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/events.h"
#include "wire/session.h"

namespace sluice::history {

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// What a job has said while it ran: "Staging sources", from its start to its end.
struct Step {
  std::string text;
  std::int64_t started = 0;
  std::int64_t ended = 0;
  std::int64_t duration = 0;  // as the job says
  std::string level;          // of its end: success | failure | skipped; "" while it runs
};

// One attempt at a job. A job that was lost with its runner and is given again has two.
struct Job {
  std::uint64_t id = 0;  // the same for all attempts of one
  std::uint32_t attempt = 1;
  std::size_t run = kNone;  // in History::runs
  std::size_t element = kNone;
  std::string action;  // track | pull | fetch | build | push | source-push...
  std::string key;     // full, as it was when the job ended; "" when nobody knew
  std::string runner, host;
  std::uint32_t slot = 0;  // of its runner
  std::int64_t started = 0, ended = 0;
  std::int64_t duration = 0;  // of one that has not ended: see Gatherer::settle()
  // success | failure | error | killed | skipped; lost: another attempt followed, or the session
  // ended without a word about it; "" while it runs
  std::string outcome;
  std::string origin;  // built | pulled | cached | fetched; "" of those who don't say
  std::string text, detail;
  std::string log_file;  // where the session is
  std::string log_tail;  // of a failure, for whoever can't read the file
  std::optional<wire::ErrorSection> error;
  wire::UsageSection usage;  // what isn't known is 0
  std::vector<Step> steps;   // when they are wanted

  bool running() const { return outcome.empty(); }
  bool failed() const { return outcome == "failure" || outcome == "error"; }
  bool succeeded() const { return outcome == "success"; }
};

struct Element {
  std::string project, name, kind, key, brief;
  std::string first_state;                // when the run began (model/states.h)
  std::string state;                      // as it was said last
  std::vector<std::size_t> dependencies;  // elements; see Run::has_dependencies
  std::int64_t expected = 0;              // what its jobs took the last time; 0: not known
  std::vector<std::size_t> jobs;          // in the order in which they have started
};

struct Run {
  std::uint32_t number = 0;  // from 1
  std::string verb;
  std::vector<std::string> targets;
  std::optional<wire::HeadingSection> heading;  // settings, projects, directories
  std::int64_t started = 0, ended = 0;
  std::int64_t duration = 0;   // of one that has not ended: until the newest record
  std::int64_t suspended = 0;  // the time that `duration` leaves out
  std::string outcome;         // success | failure | terminated | quit; "": has not ended
  std::uint32_t builders = 0;  // at once at most, as was said last; 0: not known
  std::vector<wire::QueueSection> queues;         // as they were said last
  std::optional<wire::ProgressSection> progress;  // at its end, where records say it
  std::vector<Element> elements;                  // in the order of the pipeline
  bool has_dependencies = false;                  // records of older sessions don't say them
  std::vector<std::size_t> jobs;                  // in the order in which they have started
};

// Time that counts for nothing.
struct Pause {
  std::int64_t began = 0, ended = 0;  // 0: lasts
  bool dead = false;                  // all processes were gone, and the session was resumed later
};

// A runner of another machine; the session's own is known by the jobs alone.
struct Runner {
  std::string name, host, platform;
  std::uint32_t slots = 0;
  std::int64_t joined = 0, left = 0;
  std::string why;  // it left, or gets no more jobs
};

// A warning, or an error that belongs to no job.
struct Note {
  std::int64_t time = 0;
  std::string level;    // warn | error | bug
  std::string element;  // full name; "": none
  std::string text, detail;
  std::optional<wire::ErrorSection> error;
};

struct History {
  std::string session, project, verb;
  std::int64_t started = 0, ended = 0;
  std::int64_t elapsed = 0;  // as the newest record says
  std::string state;         // active | suspended | quitting | ending | ended
  bool over = false;         // there will be no more records; without `ended` it died
  std::int64_t newest = 0;   // time of the newest record
  std::uint64_t records = 0, malformed = 0;
  std::vector<Run> runs;
  std::vector<Job> jobs;
  std::vector<Pause> pauses;
  std::vector<Runner> runners;
  std::vector<Note> notes;

  // That of the last run: success | failure | terminated | quit; failure of a session whose work
  // couldn't begin, or that has ended with a run under way; died of one whose processes are gone
  // without an end; "" while the session works, or waits for work and had none yet.
  std::string outcome() const;
  // The time in which the session was paused between two moments.
  std::int64_t paused_between(std::int64_t from, std::int64_t to) const;
};

// Makes a history of records that come one after the other.
class Gatherer {
 public:
  struct Wanted {
    bool steps = false;  // Job::steps: they are most of what there is
  };
  explicit Gatherer(Wanted wanted) : wanted_(wanted) {}

  // Takes a record of the log. One that can't be read is counted, and is the error.
  Status add(std::string_view packed);
  void add(const wire::Event& event);
  // Counts what runs up to the newest record: durations of what has not ended are as of the last
  // call. `over`: there will be no more records, and what has no end was lost.
  void settle(bool over);
  const History& history() const { return history_; }
  History take() { return std::move(history_); }

 private:
  Run* run_of(const wire::Event& event);
  std::size_t element_of(Run& run, const wire::ElementSection& section);
  Job& job_of(const wire::Event& event, Run& run);
  void note_time(const wire::Event& event);
  void note_run(const wire::Event& event);
  void run_started(const wire::Event& event, Run& run);
  void job_started(const wire::Event& event, Run& run);
  void job_finished(const wire::Event& event, Run& run);
  void job_message(const wire::Event& event, Run& run);
  void runner_is(const wire::Event& event);
  std::int64_t active_between(std::int64_t from, std::int64_t to) const;
  void paused(std::int64_t time, bool dead);
  void resumed(std::int64_t time);

  const Wanted wanted_;
  History history_;
  std::uint64_t scheduler_epoch_ = 0;
  std::unordered_map<std::string, std::size_t> elements_;  // of the last run, by full name
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::size_t> jobs_;  // by id and attempt
};

// The history of a session of this machine, as its log is now; nobody is waited for. Errors:
// "app"/"no-session", and those of the log's file. Records that can't be read are counted.
Result<History> read(const wire::SessionPaths& paths, Gatherer::Wanted wanted = {});

}  // namespace sluice::history
