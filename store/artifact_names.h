// Names of artifacts as users give them where no project says what they are: "PROJECT/ELEMENT/KEY",
// with wildcards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/artifact.h"

namespace sluice::store {

struct NamedArtifact {
  std::string ref;                       // by its strong key, when it is cached
  std::optional<ArtifactInfo> artifact;  // when it is cached, failed builds included
};

// Finds what `names` mean in this store, each artifact once: weak and strong names may lead to the
// same. Wildcards match what is cached; `warnings` says which match nothing. `build_dependencies`:
// instead of an artifact those that it was built with, which only one that is cached knows. Errors:
// "bad-artifact" for what is no such name.
Result<std::vector<NamedArtifact>> resolve_names(const Artifacts& artifacts,
                                                 const std::vector<std::string>& names,
                                                 bool build_dependencies,
                                                 std::vector<std::string>& warnings);

}  // namespace sluice::store
