#include "store/artifact_names.h"

#include <set>
#include <utility>

#include "base/glob.h"
#include "base/try.h"

namespace sluice::store {

Result<std::vector<NamedArtifact>> resolve_names(const Artifacts& artifacts,
                                                 const std::vector<std::string>& names,
                                                 bool build_dependencies,
                                                 std::vector<std::string>& warnings) {
  std::vector<std::string> refs;
  for (const auto& name : names) {
    if (!is_glob(name)) {
      refs.push_back(name);
      continue;
    }
    auto all = TRY(artifacts.list());
    bool any = false;
    for (const auto& ref : all) {
      if (!glob_matches(name, ref)) continue;
      any = true;
      refs.push_back(ref);
    }
    if (!any) warnings.push_back("No artifact names matched the glob expression: " + name);
  }
  std::vector<NamedArtifact> found;
  std::set<std::string> seen;
  for (const auto& ref : refs) {
    auto artifact = TRY(artifacts.lookup_ref(ref));
    if (!build_dependencies) {
      std::string strong =
          artifact ? ref.substr(0, ref.rfind('/') + 1) + artifact->strong_key : ref;
      if (seen.insert(strong).second) found.push_back({std::move(strong), std::move(artifact)});
    } else if (artifact) {
      for (const auto& dependency : artifact->build_deps) {
        std::string one = artifact_ref(dependency.project, dependency.element, dependency.key);
        if (!seen.insert(one).second) continue;
        auto cached = TRY(artifacts.lookup_ref(one));
        found.push_back({std::move(one), std::move(cached)});
      }
    }
  }
  return found;
}

}  // namespace sluice::store
