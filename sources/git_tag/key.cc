#include "sources/keys.h"

namespace sluice::sources::git_tag {

// STUB
Status key(Instance& instance, std::string&) { return source_error(instance, "stub", "stub"); }

}  // namespace sluice::sources::git_tag
