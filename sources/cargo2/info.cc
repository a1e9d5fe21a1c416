#include "sources/infos.h"

namespace sluice::sources::cargo2 {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::cargo2
