#include "sources/infos.h"

namespace sluice::sources::docker {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::docker
