// Sources of elements for commands that put them somewhere: what they are, fetched by a run of a
// session where they aren't in the store, and their trees.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "store/cas.h"

namespace sluice::cli {

class Sources {
 public:
  struct Wanted {
    std::vector<std::string> targets;
    std::vector<std::string> except;
    std::string deps;
    bool ignore_workspaces = false;
    bool fetch = true;  // false: only load
    bool warn = true;   // false: what the loader warns of was said already
    RemoteOptions remotes = {};
  };
  // Loads what is wanted, and fetches it. Projects behind junctions are fetched where that takes
  // them. An error with domain "" has been reported.
  static Result<Sources> get(Invocation& invocation, const Wanted& wanted);

  const LoadedProject& loaded() const { return *loaded_; }
  const std::vector<model::ElementIndex>& selection() const { return loaded_->selection; }
  const model::Element& element(model::ElementIndex index) const {
    return loaded_->snapshot.elements[index];
  }
  store::Cas& cas() { return *cas_; }
  // All sources of an element, as they are staged together.
  Result<model::Digest> root(model::ElementIndex index);

 private:
  std::unique_ptr<LoadedProject> loaded_;
  std::unique_ptr<store::Cas> cas_;
};

}  // namespace sluice::cli
