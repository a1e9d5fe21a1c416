// The pull action, an artifact from the caches that the job names; and the same for the sources of
// a fetch.
#pragma once

#include <optional>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"

namespace sluice::jobs {

// Pulls the artifact under the strict key, else, when the session isn't strict, under the weak one;
// std::nullopt when no remote has it. With settings.pull_buildtrees its build tree comes, too.
// Errors: those of ask_remotes(), domain "artifact" in place of "remote", as in BuildStream.
Result<std::optional<model::ArtifactRef>> pull_artifact(const JobData& data, store::Cas& cas,
                                                        Reporter& reporter, Cancel& cancel);

// Pulls those of the element's sources that would have to be downloaded, if a cache has them. A
// cache that can't be used is a warning, since the sources can be had elsewhere. Errors:
// "job"/"killed"; the store's.
Status pull_sources(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
