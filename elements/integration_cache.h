// IntegrationCache remembers integrated roots: many elements are built on the same dependencies,
// and integration (ldconfig and the like) takes longer than a small build.
//
//   CACHEDIR/sluice/integrated/KEY   "HASH SIZE\nHASH SIZE\n": the root that the commands
//                                    left, and their output; KEY is the SHA-256 of the input
//                                    root, the script, directory, environment and ids.
//
// Nobody looks whether all blobs of the root are there (a root has thousands): the store says so
// when one is missing, and then the entry is not to be trusted.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/model.h"
#include "sandbox/shell_script.h"
#include "store/cas.h"

namespace sluice::elements {

class IntegrationCache {
 public:
  IntegrationCache(store::Cas& cas, const model::Digest& input, const sandbox::ShellScript& script,
                   const model::Sandbox& sandbox, bool trust);

  struct Entry {
    model::Digest root;
    std::string output;
  };
  Result<std::optional<Entry>> lookup() const;
  Status remember(const model::Digest& root, const std::string& output);

 private:
  store::Cas& cas_;
  std::string path_;
  bool trust_;
};

// The environment of a dependency's artifact, in which its integration commands run.
Result<model::StringMap> environment_of(store::Cas& cas, const model::ArtifactRef& artifact);

}  // namespace sluice::elements
