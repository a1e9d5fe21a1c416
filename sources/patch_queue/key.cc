// All patches of a directory of the project, in the order of their names
// (buildstream-plugins-community, patch_queue).
#include <algorithm>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::patch_queue {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"kind", "directory", "provenance", "path", "strip"}));
  const Node& path_node = *TRY(get_scalar(config, "path"));
  const std::string directory = instance.project.absolute(
      TRY(instance.project.checked_path(path_node, Project::PathKind::kDirectory)));
  std::vector<std::string> names = instance.project.names(directory);
  std::sort(names.begin(), names.end());
  instance.source.path = directory;
  JsonList list(json);
  for (const std::string& name : names) {
    Arena arena;
    auto content = instance.project.read(arena, fmt::format("{}/{}", directory, name));
    if (!content) {
      content.error().provenance = provenance(path_node);
      return forward(content);
    }
    list.text(sha256_hex(*content));
  }
  return {};
}

}  // namespace sluice::sources::patch_queue
