#include "sources/infos.h"

namespace sluice::sources::bzr {

Infos info(const model::Source& source) {
  return std::vector{Info{
      source.url, "bzr", "commit", source.ref_text(), source.config.get_string("version"), {}}};
}

}  // namespace sluice::sources::bzr
