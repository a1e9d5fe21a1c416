// A tar archive, unpacked (buildstream/plugins/sources/tar.py).
#include "sources/works.h"

namespace sluice::sources::tar {

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return stage_archive(source, surroundings, {});
}

}  // namespace sluice::sources::tar
