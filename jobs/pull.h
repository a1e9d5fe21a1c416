// The pull action, an artifact from the caches that the job names; and the same for the sources of
// a fetch.
#pragma once

#include <optional>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"

namespace sluice::jobs {

// Under the strict key, else, when the session isn't strict, under the weak one. std::nullopt: no
// remote has it. With settings.pull_buildtrees also what it was built from. Errors: those of
// ask_remotes(), domain "artifact" in place of "remote", as in BuildStream.
Result<std::optional<model::ArtifactRef>> pull_artifact(const JobData& data, store::Cas& cas,
                                                        Reporter& reporter, Cancel& cancel);

// What of the element's sources would have to be downloaded, if a cache has it. That one can't be
// used is said as a warning: the sources can be had elsewhere. An error: "job"/"killed", or the
// store's.
Status pull_sources(const JobData& data, store::Cas& cas, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
