// The fetch action: an element's sources into the store, under the names that
// BuildStream gives them (store/sources.h), downloading what is not there.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "jobs/names.h"
#include "jobs/source_surroundings.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/tree.h"

namespace sluice::jobs {

// Fetches what isn't in the store; gives the root of all sources together. Errors: domain "source";
// "job"/"killed"; the store's.
Result<model::Digest> fetch_sources(const JobData& data, store::Cas& cas, Reporter& reporter,
                                    Cancel& cancel);

// Fetches sources, and stages them together into one tree. Those that have no key aren't looked for
// in the store, nor kept there.
Result<store::Tree> stage_sources(std::span<const model::Source> sources, std::string_view element,
                                  store::Cas& cas, SourceSurroundings& surroundings);

}  // namespace sluice::jobs
