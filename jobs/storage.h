// cache.storage-service, for a job: what it made or brought is kept there, too.
#pragma once

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"

namespace sluice::jobs {

// Without a storage service both do nothing. Errors: as ask_remotes(), with domain "artifact" for
// those of the service.
Status keep_artifact(const JobData& data, const std::string& key, Reporter& reporter,
                     Cancel& cancel);
Status keep_sources(const JobData& data, Reporter& reporter, Cancel& cancel);

}  // namespace sluice::jobs
