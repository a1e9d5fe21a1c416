#include "project/whereabouts.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "project/lookups.h"
#include "project/workspaces.h"

namespace sluice::project {

namespace {

constexpr std::string_view kFileName = "project.conf";
constexpr std::string_view kWorkspaceFileName = ".bstproject.yaml";

}  // namespace

Result<Whereabouts> find_project(Lookups& lookups, const std::string& directory) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(directory, error).lexically_normal();
  if (error)
    return fail("load", "missing-project-conf", fmt::format("{}: {}", directory, error.message()));
  const auto found = [&](const std::string& path, std::string element) -> Result<Whereabouts> {
    Lookups::Resolved resolved = lookups.resolve(path);
    if (resolved.error)
      return fail("load", "missing-project-conf",
                  fmt::format("{}: {}", path, resolved.error.message()));
    return Whereabouts{std::move(resolved.path), std::move(element)};
  };
  while (true) {
    if (lookups.exists((path / kFileName).string())) return found(path.string(), "");
    if (const std::string file = (path / kWorkspaceFileName).string(); lookups.exists(file)) {
      WorkspaceOrigin origin = TRY(read_workspace_origin(lookups, file));
      return found(origin.project, std::move(origin.element));
    }
    if (!path.has_relative_path()) break;
    path = path.parent_path();
  }
  return fail("load", "missing-project-conf",
              fmt::format("None of ['{}', '{}'] found in '{}' or any of its parent directories",
                          kFileName, kWorkspaceFileName, directory));
}

}  // namespace sluice::project
