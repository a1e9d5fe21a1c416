// From what a command asks for to the load that it takes, and from the load's answer to the run. No
// sockets.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/options.h"
#include "model/model.h"
#include "wire/messages.h"

namespace sluice::cli {

// What the loader is asked, but for the snapshot's file.
Result<wire::LoadArguments> load_for(const Work& work, const GlobalOptions& global);

struct RunPlan {
  model::Settings settings;
  wire::RunArguments run;
  // The run gets what the load lacks: projects behind junctions, artifacts with dependencies.
  bool fetching = false;
  bool nothing_matched = false;  // patterns for names of artifacts: there is no project to run in
};

// Plans the run. `prompts`: somebody can be asked about elements that fail. Its remotes are those
// that are configured, or named; which of them answer has yet to be seen (remotes.h).
Result<RunPlan> plan_run(const Work& work, const wire::LoadArguments& load,
                         const wire::LoadResult& loaded, bool prompts);

// Why there is no sense in the run without more remotes than it has; "" when there is. `backing`:
// the storage service alone is worth to be asked, as where a command wants what there is.
std::string lacks_remotes(const wire::RunArguments& run, bool backing);

}  // namespace sluice::cli
