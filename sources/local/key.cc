// Files of the project (buildstream/plugins/sources/local.py).
#include "base/try.h"
#include "sources/keys.h"

namespace sluice::sources::local {

Status key(Instance& instance, std::string&) {
  CHECK(validate_keys(instance.config, {"path", "kind", "directory", "provenance"}));
  const std::string path = TRY(instance.project.checked_path(
      *TRY(get_scalar(instance.config, "path")), Project::PathKind::kAny));
  instance.source.path = instance.project.absolute(path);
  return {};
}

}  // namespace sluice::sources::local
