#include "sources/works.h"

namespace sluice::sources::zip {

// STUB
Result<model::Digest> stage(const model::Source& source, Surroundings&) {
  return source_error(source, "stub", "stub");
}

}  // namespace sluice::sources::zip
