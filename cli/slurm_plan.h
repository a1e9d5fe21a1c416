// What `runner start --slurm` does next, decided from what Slurm says of its jobs and the session
// of its runners. No process is started here, and no time is waited.
//
// A job is one runner. At most one is on its way: submitted, and its runner not joined. So a node,
// an image or a join file that doesn't work costs a job at a time, and no queue fills with jobs
// that will fail. After three starts in a row that came to nothing there is a pause, a minute
// first, then twice as long each time up to sixteen.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::cli {

struct SlurmJob {
  std::uint64_t id = 0;
  std::string state;            // "PENDING", "RUNNING", "NODE_FAIL", ...
  std::uint64_t elapsed_s = 0;  // since it started
  std::uint64_t limit_s = 0;    // its walltime; 0: it has none
  std::string nodes, reason;    // for people
  std::string cluster;          // of several; "": that of squeue's configuration
};

// squeue(1)'s command for the jobs of that name, on the clusters that `jobs` are on, and its
// answer. Error "slurm"/"bad-answer".
std::vector<std::string> squeue_command(const std::string& job_name,
                                        const std::vector<SlurmJob>& jobs);
Result<std::vector<SlurmJob>> read_squeue(std::string_view text);
// Seconds of "1-02:03:04", "02:03:04", "03:04"; 0 of words ("UNLIMITED").
std::uint64_t slurm_seconds(std::string_view text);

// scancel(1)'s commands for the jobs, one for each cluster; `options` come first.
std::vector<std::vector<std::string>> scancel_commands(const std::vector<SlurmJob>& jobs,
                                                       const std::vector<std::string>& options);
// The id and the cluster of what `sbatch --parsable` prints: "12", or "12;east". Error
// "slurm"/"bad-answer".
Result<SlurmJob> read_sbatch(std::string_view text);

// The name that the runner of a job has in its session (compose/slurm/join.sh).
std::string slurm_runner(std::uint64_t id);

class SlurmPlan {
 public:
  explicit SlurmPlan(unsigned wanted) : wanted_(wanted) {}

  struct Step {
    bool submit = false;
    std::vector<std::string> said;      // what became of jobs, for people
    std::vector<std::string> warnings;  // of these what went wrong
  };
  // `jobs`: all that Slurm knows of; `joined`: names of the runners that the session has now. To be
  // called when Slurm has answered.
  Step look(const std::vector<SlurmJob>& jobs, const std::set<std::string>& joined, Duration now);
  void submitted(std::uint64_t id, const std::string& cluster = {});
  // sbatch took none; that counts as a start that came to nothing.
  Step refused(const std::string& why, Duration now);

  // Jobs that have not ended, the oldest first.
  std::vector<SlurmJob> live() const;
  // All runners have left in order: nobody is to be started any more.
  bool over() const { return wanted_ == 0 && jobs_.empty(); }

 private:
  struct Known {
    SlurmJob last;  // as it was seen last; state "" before
    bool joined = false;
    Duration unseen{};  // how long Slurm has answered without it
  };
  void ended(const Known& job, Step& step, Duration now);
  void failed_start(Step& step, Duration now);

  unsigned wanted_;
  std::map<std::uint64_t, Known> jobs_;  // not ended
  unsigned failures_ = 0;                // starts in a row
  Duration pause_ = Duration::zero();
  Duration pause_until_ = Duration::zero();
  Duration looked_ = Duration::zero();  // when it did so last; zero: never
};

}  // namespace sluice::cli
