#include "cli/run_plan.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "cli/remotes.h"
#include "cli/targets.h"
#include "model/remotes.h"
#include "wire/snapshot.h"

namespace sluice::cli {

using model::Action;

namespace {

std::string check_deps(const Work& work) { return work.deps.empty() ? "none" : work.deps; }

}  // namespace

Result<wire::LoadArguments> load_for(const Work& work, const GlobalOptions& global) {
  const bool builds = work.verb == Action::kBuild;
  wire::LoadArguments load = load_arguments(global);
  load.what.targets = work.targets;
  if (work.verb == Action::kPull || work.verb == Action::kPush) {
    auto targets = TRY(split_targets(work.targets, work.deps));
    load.what.targets = std::move(targets.elements);
    load.what.artifacts = std::move(targets.artifacts);
    // Artifacts that are pushed are here, so none is pulled first.
    load.what.artifacts_tried = work.verb == Action::kPush;
  }
  load.what.except = work.except;
  load.what.deps = work.check ? check_deps(work) : builds ? "all" : work.deps;
  load.wanted.import_sources = true;
  load.wanted.builds = builds;
  load.wanted.retry_failed = work.retry_failed;
  load.what.ignore_junctions = builds;
  load.wanted.accept_needs = true;
  load.wanted.key_inputs = builds;
  load.wanted.track = work.verb == Action::kTrack;
  load.wanted.cross_junctions = work.cross_junctions;
  load.what.ignore_workspaces = work.ignore_workspaces;
  return load;
}

Result<RunPlan> plan_run(const Work& work, const wire::LoadArguments& load,
                         const wire::LoadResult& loaded, bool prompts) {
  const bool builds = work.verb == Action::kBuild;
  RunPlan plan;
  plan.settings = TRY(wire::unpack_settings(loaded.settings.bytes));
  plan.fetching = !loaded.needs.empty();
  plan.nothing_matched = !plan.fetching && loaded.elements == 0 && !load.what.artifacts.empty();
  wire::RunArguments& run = plan.run;
  run.verb = work.verb;
  if (plan.fetching)
    run.verb = loaded.needs.front().ends_with(".bst") ? Action::kFetch : Action::kPull;
  run.snapshot_file = loaded.snapshot_file;
  run.selection = loaded.selection;
  if (!plan.fetching) {
    if (builds) run.deps = work.deps.empty() ? plan.settings.build_dependencies : work.deps;
    run.retry_failed = work.retry_failed;
    run.prompt = prompts && !work.check;
    if (work.check) {
      run.check = true;
      run.deps = check_deps(work);
      // What differs isn't in the way of what else is checked.
      if (!load.overrides.on_error) run.on_error = "continue";
    }
  }
  const bool moves_artifacts =
      run.verb == Action::kBuild || run.verb == Action::kPull || run.verb == Action::kPush;
  // Junctions come from where they are alone, as in BuildStream: which caches there are is known
  // only when all projects are loaded, and one that doesn't answer would delay every first look.
  const bool moves_sources = run.verb == Action::kBuild || run.verb == Action::kSourcePush ||
                             (run.verb == Action::kFetch && !plan.fetching);
  run.remotes = choose_remotes(loaded.servers, work.remotes, moves_artifacts, moves_sources,
                               plan.settings.storage_service);
  return plan;
}

std::string lacks_remotes(const wire::RunArguments& run, bool backing) {
  const auto any = [&](const auto& can, std::vector<model::Remote> wire::ProjectRemotes::*of) {
    return std::any_of(run.remotes.begin(), run.remotes.end(),
                       [&](const auto& remotes) { return can(remotes.*of); });
  };
  const auto can_pull = [&](const std::vector<model::Remote>& remotes) {
    std::vector<model::Remote> caches = remotes;
    if (!backing) std::erase_if(caches, model::is_backing);
    return model::can_pull(caches);
  };
  if (run.verb == Action::kPull && !any(can_pull, &wire::ProjectRemotes::artifacts))
    return "No artifact caches available for pulling artifacts";
  if (run.verb == Action::kPush && !any(model::can_push, &wire::ProjectRemotes::artifacts))
    return "No artifact caches available for pushing artifacts";
  if (run.verb == Action::kSourcePush && !any(model::can_push, &wire::ProjectRemotes::sources))
    return "No source caches available for pushing sources";
  return {};
}

}  // namespace sluice::cli
