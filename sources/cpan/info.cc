#include "sources/infos.h"

namespace sluice::sources::cpan {

// STUB
Infos info(const model::Source&) { return fail("app", "unsupported", "stub"); }

}  // namespace sluice::sources::cpan
