#include "sources/infos.h"

namespace sluice::sources::cargo {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::cargo
