// The states of elements (model/states.h) as `show` has them: the facts come from a snapshot and
// the store.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_surroundings.h"
#include "model/states.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/complete.h"
#include "store/sources.h"

namespace sluice::cli {

// The states of a snapshot's elements. Looks into the store once for each element, when it is first
// asked about. One thread.
class States {
 public:
  // Opens (and makes, when absent) the store at the snapshot's cachedir. `snapshot`, with bodies,
  // must outlive this.
  static Result<std::unique_ptr<States>> open(const model::Snapshot& snapshot);

  Result<model::ElementState> state(model::ElementIndex element);
  // The artifact under the element's key when it is cached, failed builds included; else nullptr.
  Result<const store::ArtifactInfo*> artifact(model::ElementIndex element);

  store::Cas& cas() { return cas_; }
  store::Artifacts& artifacts() { return artifacts_; }
  // Keeps what was learned about complete trees for the next process.
  void save() { (void)complete_.save(); }

 private:
  States(const model::Snapshot& snapshot, store::Cas cas);
  // Where sources are asked whether they are there; one for all, so that a plugin in Python starts
  // once.
  CommandSurroundings& surroundings();
  // Whether the element is cached successfully, and so are its runtime dependencies, through all
  // levels.
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
  std::unique_ptr<CommandSurroundings> surroundings_;
};

}  // namespace sluice::cli
