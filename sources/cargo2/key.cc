#include "sources/keys.h"

namespace sluice::sources::cargo2 {

// STUB
Status key(Instance& instance, std::string&) { return source_error(instance, "stub", "stub"); }

}  // namespace sluice::sources::cargo2
