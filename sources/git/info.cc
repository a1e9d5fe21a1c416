#include "sources/infos.h"

namespace sluice::sources::git {

Infos info(const model::Source& source) {
  return commit_info(source, source.ref.get_string("ref"));
}

}  // namespace sluice::sources::git
