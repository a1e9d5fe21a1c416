// The fetch action: an element's sources into the store, under the names that
// BuildStream gives them (store/sources.h), downloading what is not there.
#pragma once

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"

namespace sluice::jobs {

// Fetches what isn't in the store; gives the root of all sources together. Errors: domain "source";
// "job"/"killed"; the store's.
Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                                    Cancel& cancel);

}  // namespace sluice::jobs
