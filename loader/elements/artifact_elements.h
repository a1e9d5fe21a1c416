// Artifacts that are named without a project as elements of a snapshot, so that runs can pull and
// push them: BuildStream's ArtifactElement.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "project/user_config.h"
#include "store/artifact_names.h"

namespace sluice::loader {

// One for each project that an artifact is of: nothing is known of it but its name, and the caches
// on other machines that the user's configuration has for it. Elements have the key that they are
// named by, and nothing to be built from; their full names are the artifacts'. `projects` and
// `elements` are added to; indices follow what is there. Errors: "artifact"/"bad-artifact".
Status add_artifact_elements(const std::vector<store::NamedArtifact>& artifacts,
                             const UserConfig& user, std::vector<model::Project>& projects,
                             std::vector<model::Element>& elements,
                             std::vector<std::string>& warnings);

}  // namespace sluice::loader
