#include "cli/artifacts.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/glob.h"
#include "cli/remotes.h"
#include "cli/work.h"
#include "loader/user_config.h"

namespace sluice::cli {

namespace {

bool ends_in_bst(std::string_view name) { return name.ends_with(".bst"); }

// The configuration alone, for commands that need no project.
Result<model::Settings> settings_of(const GlobalOptions& global) {
  const wire::LoadArguments load = load_arguments(global);
  const loader::SettingsOverrides overrides{load.builders, load.fetchers, load.pushers, load.network_retries, load.max_jobs,
                                            load.error_lines, load.message_lines, load.on_error, load.cache_buildtrees,
                                            load.strict, load.debug, load.verbose, load.jobserver, load.pull_buildtrees};
  auto config = loader::load_user_config(load.config, overrides, 1);
  if (!config) return forward(config);
  return (*config)->settings;
}

}  // namespace

bool is_artifact_reference(std::string_view name) {
  const auto first = name.find('/');
  const auto second = first == std::string_view::npos ? first : name.find('/', first + 1);
  if (second == std::string_view::npos || first == 0 || second == first + 1) return false;
  const std::string_view key = name.substr(second + 1);
  return key.size() == 64 && key.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<ArtifactTargets> ArtifactTargets::resolve(Invocation& invocation, const std::vector<std::string>& names, const std::string& deps,
                                                 const RemoteOptions* remotes) {
  std::vector<std::string> elements;
  std::vector<std::string> references;
  for (const auto& name : names) {
    auto& list = ends_in_bst(name) ? elements : references;
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
    if (ends_in_bst(name) || is_glob(name) || is_artifact_reference(name)) continue;
    return fail("stream", "unrecognized-target-format",
                fmt::format("Specified target does not appear to be an artifact or element name: {}", name), {},
                "Element names and element glob expressions must end in '.bst'");
  }
  if (!references.empty() && (deps == "all" || deps == "run")) {
    return fail("stream", "deps-not-supported", fmt::format("Error: '--deps {}' is not supported for artifact names", deps));
  }
  ArtifactTargets out;
  if (!elements.empty()) {
    if (auto added = out.add_elements(invocation, elements, deps); !added) return forward(added);
  }
  if (remotes != nullptr && !elements.empty() && out.want_pull(*remotes)) {
    Work work;
    work.verb = "pull";
    work.targets = elements;
    work.deps = deps;
    work.remotes = *remotes;
    work.if_possible = true;
    if (run_work(invocation, std::move(work)) != kSuccess) return tl::unexpected<Error>(Error{"", "", "", {}, {}});
    return resolve(invocation, names, deps);
  }
  if (!references.empty()) {
    if (auto added = out.add_references(invocation, references, deps); !added) return forward(added);
  }
  return out;
}

// Something isn't here, or not as much of it as is wanted, and there is where to ask.
bool ArtifactTargets::want_pull(const RemoteOptions& remotes) const {
  const store::Artifacts artifacts(*cas_);
  const auto lacking = [&](const ArtifactTarget& target) {
    if (!target.element || !loaded_->snapshot.elements[*target.element].builds) return false;
    if (!target.artifact) return true;
    const model::Digest& tree = target.artifact->buildtree;
    return settings_.pull_buildtrees && !tree.empty() && !artifacts.tree_complete(tree);
  };
  if (std::none_of(targets_.begin(), targets_.end(), lacking)) return false;
  std::vector<wire::ProjectServers> servers;
  for (const model::Project& project : loaded_->snapshot.projects) servers.push_back({project.artifact_servers, project.source_servers});
  return !choose_remotes(servers, remotes, true, false).empty();
}

Status ArtifactTargets::add_elements(Invocation& invocation, const std::vector<std::string>& names, const std::string& deps) {
  wire::LoadArguments arguments = load_arguments(invocation.global);
  arguments.targets = names;
  arguments.deps = deps;
  auto loaded = load_once(arguments);
  if (!loaded) return forward(loaded);
  loaded_ = std::make_unique<Loaded>(std::move(*loaded));
  settings_ = loaded_->snapshot.settings;
  for (const auto& warning : loaded_->snapshot.warnings) invocation.report.warning(warning);
  auto states = States::open(loaded_->snapshot);
  if (!states) return forward(states);
  states_ = std::move(*states);
  cas_ = &states_->cas();
  for (const auto index : loaded_->selection) {
    const model::Element& element = loaded_->snapshot.elements[index];
    const std::string& key = element.keys.full.empty() ? element.keys.strict : element.keys.full;
    ArtifactTarget target;
    target.element = index;
    target.name = element.name;
    target.full_name = element.full_name;
    if (!key.empty()) target.ref = store::artifact_ref(loaded_->snapshot.projects[element.project].name, element.name, key);
    auto artifact = states_->artifact(index);
    if (!artifact) return forward(artifact);
    if (*artifact != nullptr) target.artifact = **artifact;
    targets_.push_back(std::move(target));
  }
  states_->save();
  return {};
}

Status ArtifactTargets::add_references(Invocation& invocation, const std::vector<std::string>& names, const std::string& deps) {
  if (cas_ == nullptr) {
    auto settings = settings_of(invocation.global);
    if (!settings) return forward(settings);
    settings_ = std::move(*settings);
    auto cas = store::Cas::open(settings_.cachedir);
    if (!cas) return forward(cas);
    own_cas_ = std::make_unique<store::Cas>(std::move(*cas));
    cas_ = own_cas_.get();
  }
  store::Artifacts artifacts(*cas_);
  std::vector<std::string> refs;
  for (const auto& name : names) {
    if (!is_glob(name)) {
      refs.push_back(name);
      continue;
    }
    auto all = artifacts.list();
    if (!all) return forward(all);
    bool any = false;
    for (const auto& ref : *all) {
      if (!glob_matches(name, ref)) continue;
      any = true;
      refs.push_back(ref);
    }
    if (!any) invocation.report.warning("No artifact names matched the glob expression: " + name);
  }
  std::set<std::string> seen;
  for (const auto& ref : refs) {
    auto artifact = artifacts.lookup_ref(ref);
    if (!artifact) return forward(artifact);
    // Weak and strong names may lead to the same artifact, which is shown once, by its strong key.
    const std::string strong = *artifact ? ref.substr(0, ref.rfind('/') + 1) + (*artifact)->strong_key : ref;
    std::vector<std::string> chosen{strong};
    if (deps == "build") {
      chosen.clear();
      if (*artifact) {
        for (const auto& dependency : (*artifact)->build_deps) {
          chosen.push_back(store::artifact_ref(dependency.project, dependency.element, dependency.key));
        }
      }
    }
    for (const auto& one : chosen) {
      if (!seen.insert(one).second) continue;
      ArtifactTarget target;
      target.name = one;
      target.full_name = one;
      target.ref = one;
      if (one == strong) {
        target.artifact = std::move(*artifact);
      } else {
        auto found = artifacts.lookup_ref(one);
        if (!found) return forward(found);
        target.artifact = std::move(*found);
      }
      targets_.push_back(std::move(target));
    }
  }
  return {};
}

}  // namespace sluice::cli
