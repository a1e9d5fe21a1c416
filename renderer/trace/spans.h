// Spans: what of a session took time, made of its records one after the other. For traces, of a
// session that is over and of one that goes on alike.
//
// Two clocks: `wall` is the time of day, `active` that of the session without what it was suspended
// for, from its start. Both in nanoseconds. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "wire/events.h"

namespace sluice::trace {

struct Moment {
  std::int64_t wall = 0;
  std::int64_t active = 0;
};

struct Interval {
  Moment begin, end;
};

// A job's number and attempt: one of each in a session.
using JobName = std::pair<std::uint64_t, std::uint32_t>;

// What a job has said to have done, from its beginning to its end.
struct Step {
  std::string text;
  std::string level;  // success | failure | skipped
  std::string detail;
  Interval interval;
};

// An attempt of a job.
struct JobSpan {
  wire::JobSection job;
  wire::ElementSection element;
  std::uint32_t run = 0;
  Interval interval;
  // As job.finished has it; "" while it runs; lost: another attempt of the job has started since.
  std::string outcome;
  std::string origin;
  std::string text, detail;
  std::optional<wire::ErrorSection> error;
  wire::UsageSection usage;
  std::vector<Step> steps;
  // The jobs before it that it goes on from: the last one of its element, and of each that this is
  // built with or needs. Where the record of the run doesn't say these, the first only.
  std::vector<JobName> needs;
};

struct RunSpan {
  std::uint32_t number = 0;
  std::string verb;
  std::vector<std::string> targets;
  Interval interval;
  std::string outcome;  // as run.finished has it; "" while it goes on
  std::vector<wire::FailureSection> failures;
};

struct SessionSpan {
  wire::SessionSection session;
  Interval interval;
  bool ended = false;
  // By the time of day; both are the same in the time of the session.
  std::vector<std::pair<std::int64_t, std::int64_t>> suspensions;
};

class Spans {
 public:
  // Each is called when the span has ended. Any may be empty.
  struct Callbacks {
    std::function<void(const JobSpan&)> on_job;
    std::function<void(const RunSpan&)> on_run;
    std::function<void(const SessionSpan&)> on_session;
  };
  explicit Spans(Callbacks callbacks) : callbacks_(std::move(callbacks)) {}

  // Takes the next record.
  void take(const wire::Event& event);
  // Hands over what hasn't ended, as it is now: its end is the time of the last record. For those
  // who ask how a session is that goes on, or died.
  void finish();

  const SessionSpan& session() const { return session_; }

 private:
  Moment moment(const wire::Event& event) const;
  std::int64_t active_at(std::int64_t wall) const;
  void run_started(const wire::Event& event);
  void run_finished(const wire::Event& event);
  void job_started(const wire::Event& event);
  void job_said(const wire::Event& event);
  void job_finished(const wire::Event& event);
  void deliver(JobSpan& span);
  std::vector<JobName> needs_of(const std::string& element) const;

  const Callbacks callbacks_;
  SessionSpan session_;
  bool began_ = false;
  std::optional<std::int64_t> suspended_since_;  // by the time of day
  Moment last_;
  std::optional<RunSpan> run_;
  std::map<JobName, JobSpan> running_;
  std::set<JobName> finished_;
  std::map<std::string, JobName> last_of_;  // element's full name: its last job that was a success
  // Of the run that is under way: full names of what an element is built with or needs.
  std::map<std::string, std::vector<std::string>> dependencies_;
};

}  // namespace sluice::trace
