#include "cli/artifacts.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/remotes.h"
#include "cli/targets.h"
#include "cli/work.h"
#include "project/user_config.h"
#include "store/artifact_names.h"

namespace sluice::cli {

namespace {

// The configuration, for projects of which nothing else is known.
Result<std::unique_ptr<project::UserConfig>> user_config(const GlobalOptions& global) {
  const wire::LoadArguments load = load_arguments(global);
  return project::load_user_config(load.what.config, load.overrides, 1);
}

}  // namespace

Result<model::Settings> user_settings(const GlobalOptions& global) {
  auto config = TRY(user_config(global));
  return config->settings;
}

Result<ArtifactTargets> ArtifactTargets::resolve(Invocation& invocation,
                                                 const std::vector<std::string>& names,
                                                 const std::string& deps,
                                                 const RemoteOptions* remotes) {
  auto split = TRY(split_targets(names, deps));
  ArtifactTargets out;
  if (!split.elements.empty()) {
    CHECK(out.add_elements(invocation, split.elements, deps));
  }
  if (!split.artifacts.empty()) {
    CHECK(out.add_references(invocation, split.artifacts, deps));
  }
  if (remotes == nullptr || !out.want_pull(*remotes)) return out;
  Work work;
  work.verb = model::Action::kPull;
  work.targets = names;
  work.deps = deps;
  work.remotes = *remotes;
  work.if_possible = true;
  if (run_work(invocation, std::move(work)) != kSuccess)
    return tl::unexpected<Error>(Error{"", "", "", {}, {}});
  return resolve(invocation, names, deps);
}

// Something isn't here, or not as much of it as is wanted, and there is where to ask.
bool ArtifactTargets::want_pull(const RemoteOptions& remotes) const {
  const store::Artifacts artifacts(*cas_);
  const auto lacking = [&](const ArtifactTarget& target) {
    if (target.element && !loaded_->snapshot.elements[*target.element].builds) return false;
    if (!target.artifact) return true;
    const model::Digest& tree = target.artifact->buildtree;
    return settings_.pull_buildtrees && !tree.empty() && !artifacts.tree_complete(tree);
  };
  // The run is to find out whose the artifacts are that were named without a project, and what
  // serves those.
  if (lacks_reference_) return true;
  if (std::none_of(targets_.begin(), targets_.end(), lacking)) return false;
  if (loaded_ == nullptr) return true;
  std::vector<wire::ProjectServers> servers;
  for (const model::Project& project : loaded_->snapshot.projects)
    servers.push_back({project.artifact_servers, project.source_servers});
  return !choose_remotes(servers, remotes, true, false, settings_.storage_service).empty();
}

Status ArtifactTargets::add_elements(Invocation& invocation, const std::vector<std::string>& names,
                                     const std::string& deps) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.what.targets = names;
  arguments.what.deps = deps;
  auto loaded = TRY(load_once(arguments));
  loaded_ = std::make_unique<LoadedProject>(std::move(loaded));
  settings_ = loaded_->snapshot.settings;
  for (const auto& warning : loaded_->snapshot.warnings) invocation.report.warning(warning);
  states_ = TRY(States::open(loaded_->snapshot));
  cas_ = &states_->cas();
  for (const auto index : loaded_->selection) {
    const model::Element& element = loaded_->snapshot.elements[index];
    const std::string& key = element.keys.full.empty() ? element.keys.strict : element.keys.full;
    ArtifactTarget target;
    target.element = index;
    target.name = element.name;
    target.full_name = element.full_name;
    if (!key.empty())
      target.ref =
          store::artifact_ref(loaded_->snapshot.projects[element.project].name, element.name, key);
    auto artifact = TRY(states_->artifact(index));
    if (artifact != nullptr) target.artifact = *artifact;
    targets_.push_back(std::move(target));
  }
  states_->save();
  return {};
}

Status ArtifactTargets::add_references(Invocation& invocation,
                                       const std::vector<std::string>& names,
                                       const std::string& deps) {
  if (cas_ == nullptr) {
    settings_ = TRY(check_project(load_arguments(invocation.global), true));
    auto cas = TRY(store::Cas::open(settings_.cachedir));
    own_cas_ = std::make_unique<store::Cas>(std::move(cas));
    cas_ = own_cas_.get();
  }
  const store::Artifacts artifacts(*cas_);
  std::vector<std::string> warnings;
  auto found = TRY(store::resolve_names(artifacts, names, false, warnings));
  lacks_reference_ =
      std::any_of(found.begin(), found.end(), [](const auto& named) { return !named.artifact; });
  if (deps == "build") {
    warnings.clear();
    found = TRY(store::resolve_names(artifacts, names, true, warnings));
  }
  for (const auto& warning : warnings) invocation.report.warning(warning);
  for (auto& [ref, artifact] : found)
    targets_.push_back({std::nullopt, ref, ref, ref, std::move(artifact)});
  return {};
}

Result<std::vector<ArtifactTargets::Elsewhere>> ArtifactTargets::not_cached(
    const Invocation& invocation) const {
  std::map<std::uint32_t, std::vector<std::string>> of_elements;
  std::map<std::string, std::vector<std::string>> of_references;  // by the project's name
  for (const ArtifactTarget& target : targets_) {
    if (target.artifact || target.ref.empty()) continue;
    if (target.element) {
      of_elements[loaded_->snapshot.elements[*target.element].project].push_back(target.ref);
    } else {
      of_references[target.ref.substr(0, target.ref.find('/'))].push_back(target.ref);
    }
  }
  std::vector<Elsewhere> out;
  for (auto& [index, refs] : of_elements) {
    const model::Project& project = loaded_->snapshot.projects[index];
    out.push_back({std::move(refs), {project.artifact_servers, project.source_servers}});
  }
  if (of_references.empty()) return out;
  auto config = TRY(user_config(invocation.global));
  for (auto& [name, refs] : of_references) {
    std::vector<std::string> wrong;
    auto artifacts = config->servers(name, "artifacts", config->artifacts, wrong);
    for (const std::string& warning : wrong) invocation.report.warning(warning);
    if (!artifacts) return forward(artifacts);
    out.push_back({std::move(refs), {std::move(*artifacts), {}}});
  }
  return out;
}

}  // namespace sluice::cli
