// Runs one of Sluice's helper programs (sluice-unpack, sluice-download) for a job:
// waits for it, and ends it when the job is cancelled.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/sandbox.h"

namespace sluice::jobs {

// What it wrote to standard output. When it ends with a status but 0 its output is a packed
// wire::ErrorBody, which becomes the error; when it died, that is the error ("job"/"helper-died").
// It dies with this process.
Result<std::string> run_helper(const std::vector<std::string>& argv, Cancel& cancel);

}  // namespace sluice::jobs
