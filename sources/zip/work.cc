// A zip archive, unpacked (buildstream-plugins-community, zip).
#include "sources/works.h"

namespace sluice::sources::zip {

Result<model::Digest> stage(const model::Source& source, Surroundings& surroundings) {
  return stage_archive(source, surroundings, {"--zip"});
}

}  // namespace sluice::sources::zip
