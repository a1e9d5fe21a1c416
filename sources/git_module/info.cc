#include "sources/infos.h"

namespace sluice::sources::git_module {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::git_module
