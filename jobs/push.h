// The push actions: an artifact, or an element's sources, to the caches that the job names and that take them.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "jobs/build.h"

namespace sluice::jobs {

struct Pushed {
  bool any = false;      // a remote was updated
  std::string why_not;   // otherwise
};

// The artifact under its full key. Errors: those of ask_remotes(); "remote"/"not-cached" and "incomplete-artifact" when it, or its
// buildtree or buildroot, isn't in the store.
Result<Pushed> push_artifact(const JobData& data, Reporter& reporter, Cancel& cancel);
Result<Pushed> push_sources(const JobData& data, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
