// An element's sandbox in this process, made of the same parts as those of jobs: what
// `artifact checkout` and `shell` stage, integrate and run commands in. Nothing of it stays.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/report.h"
#include "jobs/build.h"
#include "jobs/reporter.h"
#include "jobs/sandbox.h"
#include "jobs/scratch.h"
#include "store/realise.h"

namespace sluice::cli {

class Workbench {
 public:
  // `data` without a scratch directory, which is made; job.dependencies is what can be staged.
  static Result<std::unique_ptr<Workbench>> open(Report& report, store::Cas& cas, jobs::JobData data);
  // Removes the scratch directory.
  ~Workbench();

  jobs::Build& build() { return *build_; }
  store::Realiser& realiser() { return *realiser_; }
  const jobs::JobData& data() const { return data_; }

  // Stages all of job.dependencies at "/", in their order; runs their integration commands
  // when asked to. An error has the end of what the commands wrote as its detail.
  Status stage(bool integrate);
  // Stages what a build of the element has at its start, its sources included. The work directory and
  // environment are set.
  Status stage_build(const model::Digest& sources);
  // Scratch space that goes with this.
  const std::string& scratch() const { return data_.scratch; }
  // An error of `status` with what commands wrote added; reports the warnings that were said.
  Status told(Status status);

 private:
  Workbench(Report& report, jobs::JobData data) : report_(report), data_(std::move(data)) {}

  Report& report_;
  jobs::JobData data_;
  jobs::ScratchRoot scratch_;
  UniqueFd messages_;  // a file in memory that the reporter writes to
  std::optional<jobs::JobLog> log_;
  std::optional<jobs::Reporter> reporter_;
  std::optional<jobs::Cancel> cancel_;
  std::optional<store::Realiser> realiser_;
  std::optional<jobs::Build> build_;
};

}  // namespace sluice::cli
