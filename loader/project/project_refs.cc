#include "loader/project/project_refs.h"

#include <fmt/format.h>

#include "base/try.h"
#include "loader/yaml.h"
#include "project/project_file.h"

namespace sluice::loader {

Status ProjectRefs::load(Lookups& lookups, Arena& arena, const std::string& path,
                         const std::string& display, const Options& options) {
  file_ = std::make_unique<File>(File{path, display});
  auto loaded = load_yaml(lookups, arena, *file_);
  if (!loaded) {
    if (loaded.error().reason == "missing-file") return {};
    return forward(loaded);
  }
  Node& root = **loaded;
  CHECK(options.process(arena, root));
  CHECK(assert_composited(root));
  CHECK(validate_keys(root, {"projects"}));
  projects_ = TRY(find_map(root, "projects"));
  return {};
}

// As in BuildStream, a project or an element that has another shape than expected is as if it
// weren't there.
Result<const Node*> ProjectRefs::find(std::string_view project, std::string_view element,
                                      std::size_t source) const {
  if (projects_ == nullptr) return nullptr;
  const Node* elements = projects_->find(project);
  if (elements == nullptr || !elements->is_map()) return nullptr;
  const Node* sources = elements->find(element);
  if (sources == nullptr || !sources->is_list() || source >= sources->items().size())
    return nullptr;
  const Node* ref = sources->items()[source];
  if (!ref->is_map())
    return invalid_data(*sources,
                        fmt::format("Value of '{}' is not of the expected type 'dict'", element));
  return ref;
}

}  // namespace sluice::loader
