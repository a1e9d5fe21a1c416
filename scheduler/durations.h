// How long jobs took the last time: what the order of a run goes by (order.cc).
//
// The durations are in a SQLite database in the cache directory, and SQLite is in
// `sluice-durations` alone: a process that starts when a run has work, reads or writes once, and
// ends. What it reads comes back in a file without a name, so nobody waits for a pipe. A run whose
// elements are all cached starts none.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "scheduler/job_duration.h"
#include "wire/reactor.h"

namespace sluice::scheduler {

std::string durations_file(const std::string& cachedir);

// Reads and writes durations by `sluice-durations`. Lives in the reactor's thread. Errors are
// logged: an order is all that is lost.
class DurationsHelper {
 public:
  using OnRead = std::function<void(const std::vector<JobDuration>&)>;
  // `on_written` is called when flush() has done what it began.
  DurationsHelper(wire::Reactor& reactor, OnRead on_read, std::function<void()> on_written)
      : reactor_(reactor), on_read_(std::move(on_read)), on_written_(std::move(on_written)) {}
  ~DurationsHelper();

  // Begins to read: `on_read` is called once, unless this returns false.
  bool read(const std::string& cachedir, const std::vector<std::string>& projects);
  // Adds a duration, which the next flush() writes.
  void add(JobDuration job) { unwritten_.jobs.push_back(std::move(job)); }
  void flush(const std::string& cachedir);
  // A program is reading or writing.
  bool busy() const { return reader_ || writer_; }

 private:
  struct Child {
    Process process;
    UniqueFd output;
  };
  std::optional<Child> start(const std::vector<std::string>& arguments, const std::string& input,
                             bool reads);
  void read_ended();

  wire::Reactor& reactor_;
  OnRead on_read_;
  std::function<void()> on_written_;
  JobDurations unwritten_;
  std::optional<Child> reader_, writer_;
};

}  // namespace sluice::scheduler
