// Artifacts as they are named on the command line: elements (hello.bst), references
// (PROJECT/ELEMENT/KEY), and wildcards over references in the cache.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "cli/states.h"
#include "store/artifact.h"
#include "wire/messages.h"

namespace sluice::cli {

// The settings of the user's configuration alone, for commands that need no project.
Result<model::Settings> user_settings(const GlobalOptions& global);

struct ArtifactTarget {
  std::optional<model::ElementIndex> element;  // none: named by its reference
  std::string name;                            // the element's, or the reference
  std::string full_name;  // of an element with its junctions; else the reference
  std::string ref;        // PROJECT/ELEMENT/KEY; "" while the key is not known
  std::optional<store::ArtifactInfo> artifact;  // when it is cached, failed builds included
};

// What names on a command line mean. Elements of the project are loaded only when some are named.
class ArtifactTargets {
 public:
  // Resolves names. `deps` says which elements are meant besides (none | run | build | all; for
  // references only none and build). With `remotes` what isn't cached is pulled by a run of a
  // session, when something is configured to pull from; an error with domain "" has been reported
  // then. Without (nullptr) what is here is all. Warnings about wildcards that match nothing are
  // reported. Errors: of loading, "stream"/"deps-not-supported",
  // "stream"/"unrecognized-target-format".
  static Result<ArtifactTargets> resolve(Invocation& invocation,
                                         const std::vector<std::string>& names,
                                         const std::string& deps,
                                         const RemoteOptions* remotes = nullptr);

  const std::vector<ArtifactTarget>& targets() const { return targets_; }
  // The project; nullptr when only references were named.
  const LoadedProject* loaded() const { return loaded_.get(); }
  const model::Settings& settings() const { return settings_; }
  store::Cas& cas() { return *cas_; }

  // Artifacts that aren't cached, whose names are known, and what serves those of their project.
  struct Elsewhere {
    std::vector<std::string> refs;
    wire::ProjectServers servers;
  };
  // What isn't cached, by project. What is named by its reference has the servers that the user's
  // configuration says for the project's name.
  Result<std::vector<Elsewhere>> not_cached(const Invocation& invocation) const;

 private:
  Status add_elements(Invocation& invocation, const std::vector<std::string>& names,
                      const std::string& deps);
  bool want_pull(const RemoteOptions& remotes) const;
  Status add_references(Invocation& invocation, const std::vector<std::string>& names,
                        const std::string& deps);

  model::Settings settings_;
  std::unique_ptr<LoadedProject> loaded_;
  std::unique_ptr<States> states_;
  std::unique_ptr<store::Cas> own_cas_;  // without a project
  store::Cas* cas_ = nullptr;
  std::vector<ArtifactTarget> targets_;
  bool lacks_reference_ = false;  // one that was named isn't cached
};

}  // namespace sluice::cli
