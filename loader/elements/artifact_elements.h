// Artifacts that are named without a project, as elements of a snapshot, so that runs can pull and
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

// Adds an element for each artifact to `elements`, and the projects that they are of to `projects`;
// indices follow what is there. Nothing is known of such a project but its name, and the cache
// servers that the user's configuration has for it. An element has the key that it is named by, and
// nothing to be built from; its full name is the artifact's. Errors: "artifact"/"bad-artifact".
Status add_artifact_elements(const std::vector<store::NamedArtifact>& artifacts,
                             const UserConfig& user, std::vector<model::Project>& projects,
                             std::vector<model::Element>& elements,
                             std::vector<std::string>& warnings);

}  // namespace sluice::loader
