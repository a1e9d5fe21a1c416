#include "sources/infos.h"

namespace sluice::sources::local {

Infos info(const model::Source& source) {
  return content_info(source, source.config.get_string("path"), "local");
}
Infos workspace_info(const model::Source& source) {
  return content_info(source, source.path, "workspace");
}

}  // namespace sluice::sources::local
