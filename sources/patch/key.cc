// A patch of the project, applied to what was staged before (buildstream-plugins, patch).
#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::patch {

Status key(Instance& instance, std::string& json) {
  const Node& config = instance.config;
  CHECK(validate_keys(config, {"path", "strip-level", "kind", "directory", "provenance"}));
  const Node& path_node = *TRY(get_scalar(config, "path"));
  const std::string path = TRY(instance.project.checked_path(path_node, Project::PathKind::kFile));
  std::int64_t strip_level = 1;
  if (const auto given = TRY(find_int(config, "strip-level"))) strip_level = *given;
  instance.source.path = instance.project.absolute(path);
  Arena arena;
  const std::string_view content = TRY(instance.project.read(arena, instance.source.path));
  JsonList list(json);
  // The key has the patch as it was loaded, which is what is applied.
  instance.source.local_digest = {sha256_hex(content), static_cast<std::int64_t>(content.size())};
  list.text(path);
  list.text(instance.source.local_digest.hash);
  list.raw(fmt::format("{}", strip_level));
  return {};
}

}  // namespace sluice::sources::patch
