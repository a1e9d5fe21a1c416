#include "sources/infos.h"

namespace sluice::sources::go_module {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::go_module
