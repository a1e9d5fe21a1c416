#include "loader/loader.h"

#include <unordered_map>

#include <fmt/format.h>

#include "loader/graph.h"
#include "loader/keys.h"
#include "loader/project.h"
#include "loader/selection.h"
#include "loader/try.h"

namespace sluice::loader {

namespace {

// Fills the snapshot from what was resolved; elements get their final order.
class Assembler {
 public:
  Assembler(std::vector<LoadElement>& elements, std::vector<ResolvedElement>& resolved, const std::vector<LoadIndex>& order)
      : elements_(elements), resolved_(resolved), order_(order) {
    for (std::size_t i = 0; i < order.size(); ++i) position_.emplace(order[i], static_cast<model::ElementIndex>(i));
  }

  model::ElementIndex position(LoadIndex index) const { return position_.at(index); }

  void run(KeyMaker& keys, bool strict, Loaded& loaded) {
    loaded.snapshot.elements.reserve(order_.size());
    loaded.bodies.reserve(order_.size());
    for (const LoadIndex index : order_) {
      LoadElement& from = elements_[index];
      ResolvedElement& resolved = resolved_[index];
      model::Element element;
      element.name = from.name;
      element.full_name = from.full_name;
      element.kind = from.kind;
      for (const LoadDependency& dependency : from.dependencies) {
        element.dependencies.push_back({position(dependency.element), (dependency.type & LoadDependency::kBuild) != 0,
                                        (dependency.type & LoadDependency::kRuntime) != 0, dependency.strict});
      }
      element.keys = keys.make(index);
      // In a build that isn't strict the full key depends on what is found in the cache.
      if (strict) element.keys.full = element.keys.strict;
      element.sources_key = std::move(resolved.sources_key);
      element.has_sources = resolved.has_sources;
      element.sources_resolved = resolved.sources_resolved;
      element.sources_local = resolved.sources_local;
      for (auto& [dependency, config] : resolved.dependency_configs) {
        resolved.body.dependency_configs.push_back({position(dependency), std::move(config)});
      }
      loaded.snapshot.elements.push_back(std::move(element));
      loaded.bodies.push_back(std::move(resolved.body));
    }
  }

 private:
  std::vector<LoadElement>& elements_;
  std::vector<ResolvedElement>& resolved_;
  const std::vector<LoadIndex>& order_;
  std::unordered_map<LoadIndex, model::ElementIndex> position_;
};

// Resolves everything reachable from `roots`, in the order in which BuildStream makes
// its elements: one before what it depends on.
Status resolve_all(Graph& graph, ElementResolver& resolver, const std::vector<LoadIndex>& roots, std::vector<ResolvedElement>& resolved) {
  const std::size_t count = graph.elements().size();
  resolved.resize(count);
  std::vector<bool> seen(count);
  std::vector<LoadIndex> pending(roots.rbegin(), roots.rend());
  while (!pending.empty()) {
    const LoadIndex index = pending.back();
    pending.pop_back();
    if (seen[index]) continue;
    seen[index] = true;
    resolved[index] = TRY(resolver.resolve(graph.at(index)));
    const std::vector<LoadDependency>& dependencies = graph.at(index).dependencies;
    for (auto dependency = dependencies.rbegin(); dependency != dependencies.rend(); ++dependency) {
      if (!seen[dependency->element]) pending.push_back(dependency->element);
    }
  }
  return {};
}

}  // namespace

Result<LoadAnswer> load(const LoadRequest& request, const LoadHooks& hooks) {
  const Platform platform = TRY(host_platform());
  const std::unique_ptr<UserConfig> user = TRY(load_user_config(request.config, request.overrides, platform.cpus));
  const std::string directory = TRY(Project::find_directory(request.directory));
  const std::unique_ptr<Project> project = TRY(Project::load(directory, platform, *user, request.options));

  Loaded loaded;
  loaded.snapshot.settings = user->settings;
  model::Settings& settings = loaded.snapshot.settings;
  settings.strict = true;
  if (const Node* overrides = TRY(user->project(project->name))) settings.strict = TRY(get_bool(*overrides, "strict", true));
  if (request.overrides.strict) settings.strict = *request.overrides.strict;

  const std::vector<std::string> targets = request.targets.empty() ? TRY(project->default_targets()) : request.targets;
  Graph graph(*project);
  const std::vector<LoadIndex> roots = TRY(graph.load(targets));
  const std::vector<LoadIndex> except = TRY(graph.load(request.except));

  ElementResolver resolver(*project, platform, hooks.digest_local);
  std::vector<LoadIndex> all_roots = roots;
  all_roots.insert(all_roots.end(), except.begin(), except.end());
  std::vector<ResolvedElement> resolved;
  CHECK(resolve_all(graph, resolver, all_roots, resolved));

  const std::vector<LoadIndex> order = in_scope(resolved, roots, Deps::kAll);
  std::vector<LoadIndex> selected = in_scope(resolved, roots, request.deps);
  selected = except_elements(resolved, roots, std::move(selected), except);

  KeyMaker keys(graph.elements(), resolved);
  std::vector<LoadElement>& elements = graph.elements();
  Assembler assembler(elements, resolved, order);
  assembler.run(keys, settings.strict, loaded);
  for (const LoadIndex root : roots) loaded.snapshot.targets.push_back(assembler.position(root));
  for (const LoadIndex index : selected) loaded.selection.push_back(assembler.position(index));

  model::Project top;
  top.name = project->name;
  top.directory = project->directory;
  top.fatal_warnings = project->fatal_warnings;
  top.shell = std::move(project->shell);
  top.options = project->options.printable();
  top.element_plugins = resolver.element_plugins();
  top.source_plugins = resolver.source_plugins();
  loaded.snapshot.projects.push_back(std::move(top));
  loaded.snapshot.warnings = std::move(project->warnings);
  for (std::string& warning : resolver.warnings()) loaded.snapshot.warnings.push_back(std::move(warning));
  return LoadAnswer(std::move(loaded));
}

}  // namespace sluice::loader
