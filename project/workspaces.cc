#include "project/workspaces.h"

#include <fmt/format.h>

#include "base/paths.h"
#include "base/try.h"
#include "project/project_file.h"
#include "project/yaml.h"

namespace sluice::project {

namespace {

constexpr std::int64_t kFormat = 4;
constexpr std::int64_t kOriginFormat = 1;

}  // namespace

Result<Workspaces> Workspaces::load(Lookups& lookups, const std::string& directory) {
  Workspaces workspaces;
  Arena arena;
  const File file{directory + "/.bst2/workspaces.yml", "workspaces.yml"};
  auto root = load_yaml(lookups, arena, file);
  if (!root) {
    if (root.error().reason == "missing-file") return workspaces;
    return forward(root);
  }
  const std::int64_t version = TRY(find_int(**root, "format-version")).value_or(0);
  if (version != kFormat) {
    return invalid_data(
        **root, fmt::format("Workspace configuration format version {} not supported.", version),
        version < kFormat ? "Please recreate this workspace."
                          : fmt::format("The newest version that is understood is {}.", kFormat));
  }
  const Node* open = TRY(find_map(**root, "workspaces"));
  if (open == nullptr) return workspaces;
  for (const Entry& entry : open->entries()) {
    if (!entry.value->is_map())
      return invalid_data(*entry.value, "A workspace is not specified as a dictionary");
    Workspace workspace;
    workspace.path = join(directory, TRY(get_string(*entry.value, "path")));
    workspace.last_build = TRY(get_string(*entry.value, "last_build", ""));
    workspaces.open_.emplace(entry.key, std::move(workspace));
  }
  return workspaces;
}

const Workspace* Workspaces::find(std::string_view element) const {
  const auto found = open_.find(element);
  return found == open_.end() ? nullptr : &found->second;
}

Result<WorkspaceOrigin> read_workspace_origin(Lookups& lookups, const std::string& path) {
  Arena arena;
  const File file{path, path};
  const Node& root = *TRY(load_yaml(lookups, arena, file));
  const Node& version = *TRY(get_scalar(root, "format-version"));
  if (TRY(as_int(version, "format-version")) != kOriginFormat) {
    return invalid_data(
        version, fmt::format("Format version {} of workspaces is not supported", version.text));
  }
  const Node& projects = *TRY(get_list(root, "projects"));
  if (projects.empty() || !projects.items()[0]->is_map())
    return invalid_data(projects, "No project is named");
  const Node& first = *projects.items()[0];
  return WorkspaceOrigin{std::string(TRY(get_string(first, "project-path"))),
                         std::string(TRY(get_string(first, "element-name")))};
}

}  // namespace sluice::project
