// What builds need of this machine, and what runners elsewhere are given of the session's store
// (spec/jobs.md, J80 to J89).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/model.h"
#include "scheduler/store_view.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

// Why a job can't be done by a runner that has a store of its own; "" when it can. Only builds
// travel. One whose kind, or a source that it tells of, is a plugin's needs the plugin's file, and
// one that tells of patches needs these. Nor does one travel that would bring credentials along, in
// a source's URL. `dependency_sources`: as in the Job, of an element that
// lists sources.
std::string why_it_stays(model::Action action, const model::ElementBody& body,
                         const std::vector<wire::SourceList>& dependency_sources);

// What the build looks up in its store besides the job's dependencies and `sources`: the trees of
// local sources and of workspaces, and the artifact that the last build of a workspace left.
Result<std::vector<wire::JobInput>> further_inputs(StoreView& store, const std::string& project,
                                                   const std::string& element,
                                                   const model::ElementBody& body,
                                                   const wire::Job& job);

}  // namespace sluice::scheduler
