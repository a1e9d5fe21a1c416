// The log of a job that runs, wherever that is, from a byte on and to its end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/report.h"
#include "cli/sessions.h"
#include "wire/events.h"
#include "wire/log_reader.h"
#include "wire/reactor.h"
#include "wire/record_reader.h"
#include "wire/socket.h"

namespace sluice::cli {

// The standard output for logs. What a build wrote doesn't steer a terminal; its colours stay. With
// a prefix each line begins with that, and only whole lines are written.
class LogOutput {
 public:
  explicit LogOutput(std::string prefix = {});
  Status write(std::string_view text);
  // Writes what is held back, at the log's end.
  Status flush();

 private:
  std::size_t complete() const;
  Status put(std::string_view text) const;

  const std::string prefix_;
  const bool terminal_;
  std::string held_;
};

// Follows the log of one job of a session that lives. In the reactor's thread.
class JobLog {
 public:
  struct Wanted {
    std::string what;  // an element's full name: its last job that has started; or a job's number
    std::uint64_t from = 0;
    // Waits for a job of the element, and goes on to its further jobs as long as the run lasts.
    bool goes_on = false;
  };
  struct Callbacks {
    std::function<Status(std::string_view text)> on_text;
    // Called once: all was given, or why there is no more.
    std::function<void(std::optional<Error> error)> on_end;
  };
  // Waits for the broker's answer. Warnings about attempts that are lost, and runners that aren't
  // heard, go to the report. All that it is given must outlive it.
  static Result<std::unique_ptr<JobLog>> create(wire::Context& context, wire::Reactor& reactor,
                                                Report& report, const SessionInfo& session,
                                                Wanted wanted, Callbacks callbacks);
  ~JobLog();

 private:
  JobLog(wire::Context& context, wire::Reactor& reactor, Report& report, const SessionInfo& session,
         Wanted wanted, Callbacks callbacks);
  Status begin();
  void record(std::string_view packed);
  bool is_meant(const wire::Event& event, bool past) const;
  void started(const wire::JobSection& job);
  void decide();
  void follow();
  void rest();
  void session_is_over();
  bool print_file();
  void print(std::string_view text);
  void job_done(std::optional<Error> error = {});
  void next_job();
  void stop(std::optional<Error> error = {});

  wire::Context& context_;
  wire::Reactor& reactor_;
  Report& report_;
  const SessionInfo& session_;
  const Wanted wanted_;
  const Callbacks callbacks_;
  std::optional<std::uint64_t> number_;  // of the job, when the user has given that
  std::unique_ptr<wire::RecordReader> reader_;
  std::unique_ptr<wire::LogReader> live_;
  std::uint64_t known_ = 0;               // cursor: records before it have been, when this began
  std::optional<wire::JobSection> job_;   // what is shown
  std::optional<wire::JobSection> next_;  // what comes behind it
  std::uint64_t offset_;
  bool decided_ = false;
  bool finished_ = false;
  bool done_ = false;  // all of the job's log was given
  bool run_lasts_ = false;
  bool said_silent_ = false;
  bool over_ = false;
  wire::Reactor::TimerId rest_timer_ = 0, next_timer_ = 0;
};

}  // namespace sluice::cli
