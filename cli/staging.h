// From what was named on a command line to what jobs/ stages: the artifacts with their
// dependencies, and the surroundings (environment, user, settings) of their sandbox.
#pragma once

#include "base/result.h"
#include "cli/artifacts.h"
#include "elements/job_data.h"

namespace sluice::cli {

// Everything of `targets` as job.dependencies, in their order; the sandbox is that of the (one)
// element or reference that was named. Error "element"/"uncached-checkout-attempt" when something
// is not cached.
Result<elements::JobData> job_data(ArtifactTargets& targets);

// One cached artifact, as a job has it.
Result<model::ArtifactRef> artifact_ref_of(const ArtifactTargets& targets,
                                           const ArtifactTarget& target);

}  // namespace sluice::cli
