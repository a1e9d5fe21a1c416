// Where a project is: from a directory in it, or in a workspace of it.
#pragma once

#include <string>

#include "base/result.h"

namespace sluice::project {

class Lookups;

struct Whereabouts {
  std::string directory;          // absolute, resolved
  std::string workspace_element;  // whose workspace it is; "" outside of one
};
// The nearest directory at or above `directory` with a project.conf, or that of the
// project that a workspace was opened from; load/missing-project-conf when there is none.
Result<Whereabouts> find_project(Lookups& lookups, const std::string& directory);

}  // namespace sluice::project
