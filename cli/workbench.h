// An element's sandbox in this process, made of the same parts as those of jobs: what `artifact
// checkout` and `shell` stage, integrate and run commands in. Nothing of it stays.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/report.h"
#include "elements/build.h"
#include "elements/reporter.h"
#include "sandbox/sandbox.h"
#include "sandbox/scratch.h"
#include "store/realise.h"

namespace sluice::cli {

class Workbench {
 public:
  // `data` without a scratch directory, which is made; job.dependencies is what can be staged.
  static Result<std::unique_ptr<Workbench>> open(Report& report, store::Cas& cas,
                                                 elements::JobData data);
  // Removes the scratch directory.
  ~Workbench();

  elements::Build& build() { return *build_; }
  store::Realiser& realiser() { return *realiser_; }
  const elements::JobData& data() const { return data_; }

  // Stages all of job.dependencies at "/", in their order; runs their integration commands when
  // asked to. An error has the end of what the commands wrote as its detail.
  Status stage(bool integrate);
  // Stages what a build of the element has at its start, its sources included. The work directory
  // and environment are set.
  Status stage_build(const model::Digest& sources);
  // Scratch space that goes with this.
  const std::string& scratch() const { return data_.scratch; }
  // An error of `status` with what commands wrote added; reports the warnings that were said.
  Status told(Status status);

 private:
  Workbench(Report& report, elements::JobData data) : report_(report), data_(std::move(data)) {}

  Report& report_;
  elements::JobData data_;
  sandbox::ScratchRoot scratch_;
  UniqueFd messages_;  // a file in memory that the reporter writes to
  std::optional<elements::JobLog> log_;
  std::optional<elements::Reporter> reporter_;
  std::optional<sandbox::Cancel> cancel_;
  std::optional<store::Realiser> realiser_;
  std::optional<elements::Build> build_;
};

}  // namespace sluice::cli
