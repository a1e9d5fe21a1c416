// Projects behind junctions: from a junction element over its configuration, and its sources in a
// directory, to project.conf (buildstream/plugins/elements/junction.py, Loader._get_loader).
//
// A junction with one local source is read where it is. Any other is staged below the project, in
// .bst/staged-junctions/NAME/KEY, once for each key; BuildStream uses the same directories. When
// its sources aren't in the store they have to be fetched first: needed() then says which.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "loader/elements/element.h"
#include "loader/elements/graph.h"

namespace sluice::loader {

// Puts the sources of a junction below `directory`, which is there and empty. False when
// they aren't in the store.
using StageJunction =
    std::function<Result<bool>(const ResolvedElement& junction, const std::string& directory)>;

class Subprojects : public FirstPass {
 public:
  // All must outlive this; `stage` may be empty: then nothing is in the store.
  Subprojects(Graph& graph, ElementResolver& resolver, const ProjectContext& context,
              const StageJunction& stage)
      : graph_(graph), resolver_(resolver), context_(context), stage_(stage) {}

  Result<const Node*> link_target(LoadElement& link) override;
  Result<std::unique_ptr<Project>> open(LoadIndex junction, const Node* at) override;

  // The junction that ended the load because its sources aren't there. open()'s error is
  // then no user's fault.
  struct Needed {
    LoadIndex junction = 0;
    Provenance provenance;  // of who needs it
  };
  const std::optional<Needed>& needed() const { return needed_; }

 private:
  Result<std::string> directory_of(LoadIndex junction, const ResolvedElement& resolved,
                                   const Node* at);

  Graph& graph_;
  ElementResolver& resolver_;
  const ProjectContext& context_;
  const StageJunction& stage_;
  std::optional<Needed> needed_;
};

}  // namespace sluice::loader
