// The root of one build's sandbox, as a tree in the store: dependencies and sources are staged in
// it, commands change it (command_runner.h), and it is what the artifact is taken from
// (artifact_writer.h). The order of steps and their texts are BuildStream's (Element._assemble).
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "elements/staging.h"
#include "model/model.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/tree.h"

namespace sluice::elements {

// Refers to all it is given. One thread.
class BuildRoot {
 public:
  BuildRoot(const JobData& data, store::Cas& cas, Reporter& reporter, sandbox::Cancel& cancel);

  store::Tree& tree() { return tree_; }

  // Stages artifacts at `location`, absolute, or of each what `choice` selects. Errors: those of
  // Staging::stage(); "job"/"killed".
  Status stage(const Selection& selection, std::string_view location,
               const SplitRules::Choice* choice = nullptr);
  // The staging of this root, for who has other roots too.
  Staging& staging() { return staging_; }

  // Sources may be in the store one by one, and not as the one tree that is staged: `join` makes
  // that tree of them. Whoever can fetch gives it.
  void join_sources_by(std::function<Result<model::Digest>()> join) {
    join_sources_ = std::move(join);
  }
  // Stages the element's sources in a directory of the root, which must be empty.
  // "element"/"staging-not-empty" when it isn't, "source"/"missing-sources" when they aren't
  // cached.
  Status stage_sources(std::string_view directory);
  // The tree of all sources together.
  Result<model::Digest> sources();

  // A root of its own with `selection` staged; its digest, which the artifact names as well. For
  // digest-environment.
  Result<model::Digest> subsandbox(const Selection& selection);
  const std::vector<model::Digest>& subsandboxes() const { return subsandboxes_; }
  // Names one that somebody else has filled.
  void add_subsandbox(model::Digest root) { subsandboxes_.push_back(std::move(root)); }

 private:
  Result<std::optional<model::Digest>> last_build(const model::Digest& sources);

  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  sandbox::Cancel& cancel_;
  store::Tree tree_;
  Staging staging_;
  std::function<Result<model::Digest>()> join_sources_;
  std::vector<model::Digest> subsandboxes_;
};

}  // namespace sluice::elements
