// The track action: what versions an element's sources have elsewhere now.
#pragma once

#include <vector>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"

namespace sluice::jobs {

struct Tracked {
  bool any = false;  // a source that can be tracked at all
  std::vector<wire::NewRef> changed;
};

// Downloads what it takes to know; the store takes what sources stage that others are tracked by.
// Errors: domain "source" or "plugin"; "job"/"killed".
Result<Tracked> track_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                              Cancel& cancel);

}  // namespace sluice::jobs
