// The loader as a process of a session: answers the control requests `load`, `reload` and
// `write-refs`, and says in records how loading went, as BuildStream's lines do.
#pragma once

#include "base/result.h"
#include "wire/session.h"

namespace sluice::loader {

// Serves until the supervisor says "end" or is gone.
Status serve(const wire::ServiceOptions& options);

}  // namespace sluice::loader
