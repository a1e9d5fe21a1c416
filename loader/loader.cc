#include "loader/loader.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include <fmt/format.h>

#include "base/glob.h"
#include "base/try.h"
#include "loader/elements/cache_keys.h"
#include "loader/elements/graph.h"
#include "loader/elements/resolve_all.h"
#include "loader/elements/selection.h"
#include "loader/elements/targets.h"
#include "loader/project/plugins.h"
#include "loader/project/project.h"
#include "loader/project/project_loader.h"
#include "loader/project/subprojects.h"
#include "loader/yaml.h"
#include "project/lookups.h"
#include "project/read_ahead.h"
#include "project/whereabouts.h"

namespace sluice::loader {

namespace {

// Fills the snapshot from what was resolved, element by element in their final order.
class Assembler {
 public:
  Assembler(Graph& graph, std::vector<ResolvedElement>& resolved,
            const std::vector<LoadIndex>& order, const LoadHooks& hooks, bool strict,
            LoadedSnapshot& loaded)
      : elements_(graph.elements()), resolved_(resolved), keys_(graph.elements(), resolved),
        hooks_(hooks), strict_(strict), loaded_(loaded), position_(graph.elements().size()) {
    for (std::size_t i = 0; i < order.size(); ++i)
      position_[order[i]] = static_cast<model::ElementIndex>(i);
    const std::vector<Project*> projects = graph.projects();
    for (std::size_t i = 0; i < projects.size(); ++i)
      project_.emplace(projects[i], static_cast<std::uint32_t>(i));
    if (!hooks.take_element) loaded.snapshot.elements.reserve(order.size());
  }

  model::ElementIndex position(LoadIndex index) const { return position_[index]; }

  // Adds an element, behind what it depends on. Of what was resolved of it only its dependencies
  // stay.
  Status add(LoadIndex index) {
    LoadElement& from = elements_[index];
    ResolvedElement& resolved = resolved_[index];
    model::Element element;
    element.name = from.name;
    element.full_name = from.full_name();
    element.kind = from.kind;
    element.project = project_.at(from.project);
    element.builds = !from.first_pass;
    element.lists_sources = resolved.kind != nullptr && resolved.kind->lists_sources;
    element.dependencies.reserve(from.dependencies.size());
    for (const LoadDependency& dependency : from.dependencies) {
      element.dependencies.push_back(
          {position(dependency.element), (dependency.type & LoadDependency::kBuild) != 0,
           (dependency.type & LoadDependency::kRuntime) != 0, dependency.strict});
    }
    element.keys = keys_.make(index);
    if (strict_) {
      element.keys.full = element.keys.strict;
    } else if (!element.keys.weak.empty() && element.builds) {
      // An artifact in the cache stays under its key, whatever its dependencies are now.
      if (hooks_.find_artifact)
        element.keys.full = TRY(hooks_.find_artifact(from.project->name, from.name, element.keys));
      if (element.keys.full.empty()) element.keys.full = keys_.strong(index);
      keys_.set_full(index, element.keys.full);
    }
    element.platform = std::move(resolved.platform);
    element.labels = std::move(resolved.labels);
    element.sources_key = std::move(resolved.sources_key);
    element.has_sources = resolved.has_sources;
    element.sources_resolved = resolved.sources_resolved;
    element.sources_local = resolved.sources_local;
    for (Obstacle& obstacle : resolved.obstacles) {
      element.obstacles.push_back({obstacle.to, std::move(obstacle.why), obstacle.at.str()});
    }
    note_unsupported(index, element);
    for (auto& [dependency, config] : resolved.dependency_configs) {
      if (resolved.body != nullptr)
        resolved.body->dependency_configs.push_back({position(dependency), std::move(config)});
    }
    if (resolved.body != nullptr && hooks_.pack_body) {
      element.body = hooks_.pack_body(*resolved.body);
    } else if (resolved.body != nullptr) {
      loaded_.bodies.push_back(std::move(*resolved.body));
    } else {
      element.body = std::move(resolved.packed_body);
    }
    resolved.body.reset();
    std::string().swap(resolved.key_tail);
    from.forget();
    if (hooks_.take_element) {
      hooks_.take_element(added_, std::move(element));
    } else {
      loaded_.snapshot.elements.push_back(std::move(element));
    }
    ++added_;
    return {};
  }

 private:
  // Notes which element has no key that this one would need: itself, one that it is built with, or
  // one in the runtime closure of that.
  void note_unsupported(LoadIndex index, model::Element& element) {
    const ResolvedElement& resolved = resolved_[index];
    if (element.obstacle(model::Obstacle::To::kKey) != nullptr)
      element.unsupported_by = position(index) + 1;
    for (const LoadIndex dependency : resolved.build) {
      if (element.unsupported_by == 0)
        element.unsupported_by = unsupported_closure_[position(dependency)];
    }
    std::uint32_t closure = element.unsupported_by;
    for (const LoadIndex dependency : resolved.runtime) {
      if (closure == 0) closure = unsupported_closure_[position(dependency)];
    }
    unsupported_closure_.push_back(closure);
  }

  std::vector<LoadElement>& elements_;
  std::vector<ResolvedElement>& resolved_;
  KeyMaker keys_;
  const LoadHooks& hooks_;
  const bool strict_;
  LoadedSnapshot& loaded_;
  std::size_t added_ = 0;
  std::vector<model::ElementIndex> position_;
  std::unordered_map<const Project*, std::uint32_t> project_;
  // The `unsupported_by` of the runtime closure of each element, by position.
  std::vector<std::uint32_t> unsupported_closure_;
};

// Fails for a filter whose build dependency makes no artifact of which it could take a part. That
// dependency is known to be the only one.
Status check_filters(const std::vector<LoadElement>& elements,
                     const std::vector<ResolvedElement>& resolved) {
  for (std::size_t i = 0; i < resolved.size(); ++i) {
    if (resolved[i].kind == nullptr || !resolved[i].kind->filters) continue;
    const LoadIndex parent = resolved[i].build.front();
    if (resolved[parent].has_artifact) continue;
    auto failed = fail("element", "filter-bdepend-no-artifact",
                       "A filter element's build dependency must produce an artifact",
                       provenance(elements[i].mark),
                       fmt::format("{} does not produce an artifact, so there is nothing to filter",
                                   elements[parent].name));
    failed.value().subject = "filter element";
    return failed;
  }
  return {};
}

model::Project to_model(Project& project, const ElementResolver::Plugins& plugins) {
  model::Project model;
  model.name = project.name;
  model.directory = project.directory;
  if (const Junction* junction = project.junction.get()) {
    model.junction = junction->full_name;
    if (junction->loaded_from) model.loaded_by = provenance(*junction->loaded_from).str();
  }
  model.fatal_warnings = project.fatal_warnings;
  model.shell = std::move(project.shell);
  model.options = project.full.options.printable();
  model.element_plugins = plugins.elements;
  model.source_plugins = plugins.sources;
  return model;
}

// Adds the caches that a project recommends, behind those of the projects further out.
void recommend(const Project& project, model::Project& model, std::vector<std::string>& wrong) {
  if (const Junction* junction = project.junction.get())
    recommend(*junction->project, model, wrong);
  for (const auto& [from, to] : {std::pair{&project.artifact_remotes, &model.artifact_servers},
                                 {&project.source_remotes, &model.source_servers}}) {
    for (const Remote& remote : *from) {
      check_address(remote, wrong);
      to->recommended.push_back(remote);
    }
  }
}

// Introduces an error as BuildStream does before it looks at elements: in the first reading of the
// toplevel project. Errors of the second reading, and all of other projects, have no introduction.
template <typename T>
Result<T> introduced(const char* by, Result<T> result) {
  if (!result && result.error().reason != "missing-project-conf") result.error().introduction = by;
  return result;
}

// One load, with everything that it works with, in the order in which it depends on each other.
class Load {
 public:
  Load(const LoadRequest& request, const LoadHooks& hooks) : request_(request), hooks_(hooks) {}

  Result<LoadAnswer> run() {
    platform_ = TRY(introduced("Error instantiating platform", host_platform()));
    user_ =
        TRY(load_user_config(request_.config, request_.overrides, platform_.cpus, hooks_.lookups));
    const bool alone = request_.project_only != LoadRequest::ProjectOnly::kNo;
    if (alone) {
      const auto there = project::find_project(*user_->lookups, request_.directory);
      if (!there && there.error().reason == "missing-project-conf") {
        LoadedSnapshot nothing;
        nothing.snapshot.settings = user_->settings;
        return nothing;
      }
    }
    const Whereabouts found = TRY(find_project());
    user_->lookups->start(found.directory);
    const Workspaces workspaces = TRY(
        introduced("Error loading project", Workspaces::load(*user_->lookups, found.directory)));
    PluginAsker asker(user_->settings, *user_->lookups);
    ProjectContext context{&platform_, user_.get(), nullptr,
                           user_->settings.plugins.enabled ? &asker : nullptr};
    project_ = TRY(introduced("Error loading project",
                              Project::load(found.directory, context, nullptr, request_.options,
                                            request_.overrides.default_mirror.value_or(""))));
    context.toplevel = project_.get();

    Graph graph(*project_);
    ElementResolver resolver(platform_, workspaces, hooks_.digest_local, hooks_.digest_workspace);
    if (request_.ignore_workspaces) resolver.leave_workspaces_aside();
    resolver.set_bodies(request_.bodies);
    if (context.asker != nullptr) resolver.ask_plugins(asker, graph.elements());
    Subprojects subprojects(graph, resolver, context, hooks_.stage_junction);
    graph.set_first_pass(&subprojects);
    Status first = introduced("Error loading project", project_->finish_first());
    const bool unfinished = !first && !(alone && subprojects.needed());
    auto answer = unfinished ? Result<LoadAnswer>(forward(first))
                  : alone    ? project_alone(subprojects)
                             : load_elements(graph, resolver, found.workspace_element);
    user_->lookups->finish();
    if (!alone && !answer && subprojects.needed())
      return need(graph, resolver, *subprojects.needed());
    return answer;
  }

 private:
  // The project's place. Without a project nothing but artifacts can be looked at, and the error
  // says so.
  Result<Whereabouts> find_project() const {
    auto found = project::find_project(*user_->lookups, request_.directory);
    if (found || found.error().reason != "missing-project-conf")
      return introduced("Error loading project", std::move(found));
    CHECK(check_target_names(request_.targets));
    std::vector<std::string_view> globs;
    for (const std::string& target : request_.targets) {
      if (is_glob(target)) globs.push_back(target);
    }
    if (!globs.empty()) {
      return fail(
          "stream", "glob-elements-without-project",
          fmt::format("Element glob expressions were specified without any project directory: {}",
                      fmt::join(globs, ", ")));
    }
    return fail("stream", "project-not-loaded",
                request_.targets.empty()
                    ? "Unable to determine default targets"
                    : fmt::format("Unable to load elements: {}", fmt::join(request_.targets, ", ")),
                {}, "No project.conf or active workspace was located\n" + found.error().message);
  }

  Result<LoadAnswer> project_alone(const Subprojects& subprojects) {
    if (request_.project_only == LoadRequest::ProjectOnly::kComplete) {
      Status complete = project_->complete();
      if (!complete && !subprojects.needed()) return forward(complete);
    }
    LoadedSnapshot loaded;
    loaded.snapshot.settings = user_->settings;
    loaded.snapshot.settings.strict = TRY(strict());
    loaded.snapshot.warnings = user_->warnings;
    return loaded;
  }

  Result<bool> strict() const {
    if (request_.overrides.strict) return *request_.overrides.strict;
    const Node* overrides = TRY(user_->project(project_->name));
    return overrides == nullptr || TRY(get_bool(*overrides, "strict", true));
  }

  Result<LoadAnswer> load_elements(Graph& graph, ElementResolver& resolver,
                                   const std::string& workspace_element) {
    std::vector<std::string> targets = request_.targets;
    if (targets.empty() && !workspace_element.empty()) targets.push_back(workspace_element);
    if (targets.empty()) targets = project_->default_targets();
    CHECK(check_target_names(
        targets, [this](const std::string& name) { return project_->near_elements(name); }));
    targets = expand_targets(*user_->lookups, project_->element_path, targets, project_->warnings);
    user_->lookups->ahead()->expect(project_->element_path, targets);
    const std::vector<LoadIndex> roots = TRY(graph.load(targets));
    // Patterns without a match leave nothing from which anything could be excepted.
    const std::vector<LoadIndex> except =
        TRY(graph.load(targets.empty() ? std::vector<std::string>() : request_.except));
    std::vector<LoadIndex> all_roots = roots;
    all_roots.insert(all_roots.end(), except.begin(), except.end());
    std::vector<ResolvedElement> resolved;
    ResolveAll all(graph, resolver, request_.bodies, hooks_.pack_body, resolved);
    const bool prepared = all.prepare(all_roots);
    // Checking projects changes no element, and its errors come after theirs.
    Status projects = prepared ? check_projects(graph) : Status();
    auto is_strict = strict();
    if (!prepared || !projects || !is_strict) {
      CHECK(all.in_turn());
      CHECK(check_filters(graph.elements(), resolved));
      CHECK(projects);
      if (!prepared) CHECK(check_projects(graph));
      CHECK(is_strict);
    }
    const std::vector<LoadIndex> order = in_scope(resolved, roots, Deps::kAll);
    LoadedSnapshot loaded;
    Assembler assembler(graph, resolved, order, hooks_, *is_strict, loaded);
    if (Status status = all.at_once(order, [&](LoadIndex index) { return assembler.add(index); });
        !status) {
      // Of several errors the one that BuildStream meets first is told: in_turn() finds it. When it
      // finds none, the error was of taking elements.
      CHECK(all.in_turn());
      CHECK(check_filters(graph.elements(), resolved));
      return forward(status);
    }
    CHECK(check_filters(graph.elements(), resolved));

    std::vector<LoadIndex> selected =
        request_.track ? TRY(trackable(graph, resolved, roots)) : select(graph, resolved, roots);
    selected = except_elements(resolved, roots, std::move(selected), except);
    CHECK(complete(graph, resolver, assembler, roots, selected, loaded));
    return loaded;
  }

  std::vector<LoadIndex> select(const Graph& graph, const std::vector<ResolvedElement>& resolved,
                                const std::vector<LoadIndex>& roots) const {
    return request_.deps == Deps::kRedirect ? redirected(graph, resolved, roots)
                                            : in_scope(resolved, roots, request_.deps);
  }

  // What is selected in each project that has targets. The refs of other projects' sources have a
  // place only in project.refs.
  Result<std::vector<LoadIndex>> trackable(const Graph& graph,
                                           const std::vector<ResolvedElement>& resolved,
                                           const std::vector<LoadIndex>& roots) const {
    std::vector<std::pair<const Project*, std::vector<LoadIndex>>> groups;
    for (const LoadIndex root : roots) {
      const Project* project = graph.elements()[root].project;
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const auto& g) { return g.first == project; });
      if (group == groups.end()) group = groups.insert(group, {project, {}});
      group->second.push_back(root);
    }
    std::vector<LoadIndex> all;
    for (const auto& [project, targets] : groups) {
      for (const LoadIndex index : select(graph, resolved, targets)) {
        const Project* own = graph.elements()[index].project;
        if (own != project && !request_.cross_junctions) continue;
        if (own != project_.get() && !project_->refs_in_files) {
          return fail("stream", "untrackable-sources", "Untrackable sources", {},
                      "Requested to track sources across junction boundaries\n"
                      "in a project which does not use project.refs ref-storage.");
        }
        if (std::find(all.begin(), all.end(), index) == all.end()) all.push_back(index);
      }
    }
    return all;
  }

  Status check_projects(Graph& graph) {
    CHECK(graph.assert_no_conflicts());
    CHECK(user_->use_overrides_of(project_->name));
    for (std::size_t i = 0; i < graph.loaders().size(); ++i) {
      Project& project = *graph.loaders()[i]->project();
      // When it is to be tracked, a junction that project.conf includes something from need not be
      // there: nobody can read that yet.
      if (!request_.track) CHECK(project.complete());
      CHECK(user_->check_project(project.name));
    }
    return {};
  }

  // The answer for a junction that has to be fetched: as much as a fetch needs.
  Result<LoadAnswer> need(Graph& graph, ElementResolver& resolver,
                          const Subprojects::Needed& needed) {
    CHECK(load_plugin_projects(graph.at(needed.junction)));
    std::vector<ResolvedElement> resolved(graph.elements().size());
    resolved[needed.junction] = TRY(resolver.resolve(graph.at(needed.junction)));
    const std::vector<LoadIndex> junctions = {needed.junction};
    Needs needs;
    Assembler assembler(graph, resolved, junctions, hooks_, TRY(strict()), needs.known);
    CHECK(assembler.add(needed.junction));
    CHECK(complete(graph, resolver, assembler, junctions, junctions, needs.known));
    needs.junctions.push_back({graph.at(needed.junction).full_name(), needed.provenance});
    return LoadAnswer(std::move(needs));
  }

  // Fills all of the snapshot but its elements.
  Status complete(Graph& graph, ElementResolver& resolver, const Assembler& assembler,
                  const std::vector<LoadIndex>& roots, const std::vector<LoadIndex>& selected,
                  LoadedSnapshot& loaded) {
    loaded.snapshot.settings = user_->settings;
    loaded.snapshot.settings.strict = TRY(strict());
    const std::vector<Project*> projects = graph.projects();
    for (const LoadIndex root : roots) {
      const bool junction = graph.elements()[root].kind == "junction";
      if (!junction || !request_.ignore_junctions || !request_.targets.empty())
        loaded.snapshot.targets.push_back(assembler.position(root));
    }
    for (const LoadIndex index : selected) loaded.selection.push_back(assembler.position(index));

    std::vector<std::string>& warnings = loaded.snapshot.warnings;
    warnings = user_->warnings;
    std::vector<std::string> resolver_warnings = resolver.warnings();
    const std::vector<std::string> redundant = resolver.redundant_refs();
    for (Project* project : projects) {
      warnings.insert(warnings.end(), project->warnings.begin(), project->warnings.end());
      model::Project& model =
          loaded.snapshot.projects.emplace_back(to_model(*project, resolver.plugins(*project)));
      model.artifact_servers =
          TRY(user_->servers(project->name, "artifacts", user_->artifacts, warnings));
      model.source_servers =
          TRY(user_->servers(project->name, "source-caches", user_->source_caches, warnings));
      recommend(*project, model, warnings);
    }
    for (std::string& warning : resolver_warnings) {
      // A warning may come twice when a junction was made to load its project, and for itself.
      if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end())
        warnings.push_back(std::move(warning));
    }
    if (!redundant.empty()) {
      warnings.push_back(fmt::format(
          "Ignoring redundant source references\n\n"
          "    The following inline specified source references will be ignored:\n\n    {}",
          fmt::join(redundant, "\n    ")));
    }
    return {};
  }

  const LoadRequest& request_;
  const LoadHooks& hooks_;
  Platform platform_;
  std::unique_ptr<UserConfig> user_;
  std::unique_ptr<Project> project_;
};

}  // namespace

Result<LoadAnswer> load(const LoadRequest& request, const LoadHooks& hooks) {
  return Load(request, hooks).run();
}

}  // namespace sluice::loader
