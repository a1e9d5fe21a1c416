// The states of elements as `show` has them, from a snapshot and the store:
// cached, failed, buildable, fetch needed, waiting, no reference, junction.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/sources.h"

namespace sluice::cli {

// Looks into the store once for each element, when it is first asked about. One thread.
class States {
 public:
  // Opens (and makes, when absent) the store at the snapshot's cachedir. `snapshot`, with
  // bodies, must outlive this.
  static Result<std::unique_ptr<States>> open(const model::Snapshot& snapshot);

  Result<std::string_view> state(model::ElementIndex element);
  // The artifact under the element's key when it is cached, failed builds included; else nullptr.
  Result<const store::ArtifactInfo*> artifact(model::ElementIndex element);

  store::Cas& cas() { return cas_; }
  store::Artifacts& artifacts() { return artifacts_; }
  // Keeps what was learned about complete trees for the next process.
  void save() { (void)complete_.save(); }

 private:
  States(const model::Snapshot& snapshot, store::Cas cas);
  // Cached successfully, and its runtime dependencies are as well, through all levels.
  Result<bool> ready(model::ElementIndex element);
  Result<bool> sources_available(model::ElementIndex element);

  struct Known {
    bool asked = false;
    std::optional<store::ArtifactInfo> artifact;
    std::optional<bool> ready;
  };
  const model::Snapshot& snapshot_;
  store::Cas cas_;
  store::Completeness complete_;
  store::Artifacts artifacts_;
  store::SourceRefs sources_;
  std::vector<Known> known_;
};

}  // namespace sluice::cli
