// SourceSurroundings is a job as the surroundings of its sources' work (sources/work.h).
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "plugins/hosts.h"
#include "sandbox/sandbox.h"
#include "sandbox/scratch.h"
#include "sources/work.h"
#include "store/tree.h"

namespace sluice::jobs {

class SourceSurroundings final : public sources::Surroundings {
 public:
  // Refers to all it is given.
  SourceSurroundings(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel), scratch_(data.scratch),
        plugins_(data.settings.plugins) {}

  const model::Settings& settings() const override { return data_.settings; }
  store::Cas& cas() override { return cas_; }
  void message(sources::Weight weight, std::string_view text, std::string_view detail) override;
  void log(std::string_view text) override;
  void begin(std::string_view text, std::string_view detail) override;
  void end(bool success) override;
  bool is_fatal(std::string_view warning) const override;
  Status check() override { return cancel_.check(); }
  Stop stop() override;
  Status wait_for_retry(unsigned attempt, const Error& error) override;
  Result<std::string> directory(const std::string& name) override {
    return scratch_.directory(name);
  }
  Result<std::string> previous() override;
  // Has previous() give a copy of the tree that `stage` makes; gives what it asked until now.
  using Stage = std::function<Result<store::Tree>()>;
  Stage previous_by(Stage stage) { return std::exchange(previous_, std::move(stage)); }
  plugins::Hosts& plugins() override { return plugins_; }
  bool in_doubt() const override { return data_.job.id.attempt > 1; }

 private:
  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  Cancel& cancel_;
  Scratch scratch_;
  std::deque<Reporter::Activity> steps_;
  Stage previous_;
  plugins::Hosts plugins_;
};

}  // namespace sluice::jobs
