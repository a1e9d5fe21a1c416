// The push actions: an artifact, or an element's sources, to the caches that the job names and that
// take them.
#pragma once

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"

namespace sluice::jobs {

// Both give false when no remote was updated, of which the job's messages say more. Errors have
// BuildStream's domains and the reasons of ask_remotes().

// Pushes the artifact under its full key. "element"/"not-cached" and "incomplete-artifact" when it,
// or its buildtree or buildroot, isn't in the store; the latter is nothing to push, and no error,
// if the job says so. "artifact" for what fails with the remotes.
Result<bool> push_artifact(const JobData& data, Reporter& reporter, Cancel& cancel);
// Pushes the element's sources. What fails with the remotes has the domain "sandbox", as in
// BuildStream.
Result<bool> push_sources(const JobData& data, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
