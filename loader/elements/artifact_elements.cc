#include "loader/elements/artifact_elements.h"

#include <algorithm>

#include "base/try.h"
#include "wire/snapshot.h"

namespace sluice::loader {

Status add_artifact_elements(const std::vector<store::NamedArtifact>& artifacts,
                             const UserConfig& user, std::vector<model::Project>& projects,
                             std::vector<model::Element>& elements,
                             std::vector<std::string>& warnings) {
  const std::size_t known = projects.size();
  for (const auto& [ref, artifact] : artifacts) {
    const std::size_t first = ref.find('/');
    const std::size_t last = ref.rfind('/');
    if (first == std::string::npos || first == last)
      return fail("artifact", "bad-artifact", "'" + ref + "' is not the name of an artifact");
    const std::string name = ref.substr(0, first);
    auto project = std::find_if(projects.begin() + static_cast<std::ptrdiff_t>(known),
                                projects.end(), [&](const auto& one) { return one.name == name; });
    if (project == projects.end()) {
      model::Project added;
      added.name = name;
      added.artifact_servers = TRY(user.servers(name, "artifacts", user.artifacts, warnings));
      added.source_servers = TRY(user.servers(name, "source-caches", user.source_caches, warnings));
      projects.push_back(std::move(added));
      project = projects.end() - 1;
    }
    model::Element element;
    // The extension is .bst, for the store takes the last one of a name off.
    element.name = ref.substr(first + 1, last - first - 1) + ".bst";
    element.full_name = ref;
    element.project = static_cast<std::uint32_t>(project - projects.begin());
    element.keys.strict = element.keys.full = ref.substr(last + 1);
    if (artifact) element.keys.weak = artifact->weak_key;
    element.body = wire::pack_body({});
    elements.push_back(std::move(element));
  }
  return {};
}

}  // namespace sluice::loader
