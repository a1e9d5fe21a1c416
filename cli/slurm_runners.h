// Runners as jobs of a Slurm cluster, for as long as the session lives (slurm_plan.h says when one
// is submitted). The join file goes in the job's script, over sbatch's standard input: what Slurm
// keeps of it is the job's owner's to read, and its administrators'.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/runner_order.h"
#include "cli/sessions.h"
#include "cli/slurm_plan.h"
#include "wire/reactor.h"

namespace sluice::cli {

// What sbatch reads.
std::string slurm_script(const RunnerOrder& order);

class SlurmRunners {
 public:
  // `options`: of sbatch, as the user gave them.
  SlurmRunners(Invocation& invocation, const SessionInfo& session, RunnerOrder order,
               std::vector<std::string> options, unsigned wanted);
  // Asks Slurm whether it would take such a job, then starts them, and ends all of them: when the
  // session is over, a signal came, or none is wanted any more. The status to return.
  int run();

 private:
  struct Answer {
    int status = 0;
    std::string output, errors;
  };
  Result<Answer> ask(const std::vector<std::string>& argv, const std::string& input = {});
  std::vector<std::string> sbatch(const std::vector<std::string>& more) const;
  Status dry_run();
  void look();
  void submit();
  void drain();
  void cancel_all();
  void learn_who_has_joined();
  void say(const SlurmPlan::Step& step);
  void wait();
  std::vector<SlurmJob> jobs_of(bool running) const;

  Invocation& invocation_;
  const SessionInfo& session_;
  RunnerOrder order_;
  std::vector<std::string> options_;
  std::string job_name_, script_;
  SlurmPlan plan_;
  wire::Reactor reactor_;
  std::set<std::string> joined_;
  std::string trouble_;  // squeue's, said once
  bool changed_ = true;  // since the last look
  Duration pause_ = {};  // until the next look
  unsigned signals_ = 0;
};

}  // namespace sluice::cli
