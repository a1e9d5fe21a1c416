// The values of an element: what its kind starts from in a project, and the element's own words
// composed onto that and expanded (buildstream/element.py, __initialize_from_yaml).
#include <fmt/format.h>

#include "base/try.h"
#include "loader/elements/element.h"
#include "loader/elements/variables.h"
#include "loader/project/plugins.h"
#include "loader/yaml.h"
#include "project/builtin.h"
#include "project/lookups.h"
#include "project/project_file.h"

namespace sluice::loader {

namespace {

// The map under `key`, made when absent.
Result<Node*> make_submap(Arena& arena, Node& map, std::string_view key) {
  Node* below = TRY(find_map(map, key));
  if (below == nullptr) {
    below = make_map(arena);
    map.set(arena, key, below);
  }
  return below;
}

}  // namespace

Result<Node*> ElementResolver::find_kind(const LoadElement& element, KindDefaults& defaults) {
  Project& project = *element.project;
  Arena& arena = project.arena;
  const auto files = TRY(locate_plugin(project, PluginType::kElement, element.kind));
  const ElementKind* native = find_element_kind(element.kind);
  if (!files && (native == nullptr || !native->core)) {
    return fail("plugin", "plugin-not-found",
                fmt::format("No element plugin registered for kind '{}'", element.kind),
                provenance(element.mark));
  }
  common_->plugins[&project].elements.emplace_back(element.kind,
                                                   files ? files->display : "core plugin");
  if (!files || files->python.empty()) {
    defaults.kind = native;
    defaults.file.path = defaults.file.display = fmt::format("{}.yaml", element.kind);
    const std::string_view text = builtin_file(defaults.file.path);
    return text.empty() ? make_map(arena) : parse_yaml(arena, defaults.file, text);
  }
  const PluginClass plugin =
      TRY(read_plugin(project, PluginType::kElement, element.kind, *files, element.mark));
  std::string text;
  if (has_known_texts(element.kind))
    text = TRY(plugin_fingerprint(project.lookups(), files->python));
  // The kind's name is copied, since the element's own text moves when more are loaded.
  defaults.own = plugin_element_kind(plugin, arena.copy(element.kind), text);
  defaults.kind = &defaults.own;
  defaults.deprecated = deprecation(project, PluginType::kElement, element.kind, plugin);
  if (defaults.own.builds_as.empty() && common_->asker != nullptr) {
    defaults.module = module_of(project.lookups(), *files);
    defaults.own.lists_sources = true;
    // The plugin says when it doesn't, where it is asked.
    if (defaults.own.configure == nullptr) defaults.own.configures_dependencies = true;
  } else if (defaults.own.configure == nullptr) {
    defaults.unsupported = not_supported(PluginType::kElement, element.kind, *files);
  }
  if (files->defaults.empty()) return make_map(arena);
  defaults.file = {files->defaults, files->defaults.substr(files->defaults.rfind('/') + 1)};
  return load_yaml(project.lookups(), arena, defaults.file);
}

Result<const ElementResolver::KindDefaults*> ElementResolver::defaults_of(
    const LoadElement& element) {
  Project& project = *element.project;
  const ProjectPass& pass = project.pass(element.first_pass);
  const auto found = common_->defaults.find({&project, element.kind});
  if (found != common_->defaults.end()) return found->second.get();

  auto defaults = std::make_unique<KindDefaults>();
  Arena& arena = project.arena;
  Node* node = TRY(find_kind(element, *defaults));

  // Split rules of the project come before those of the kind. An element that is made before its
  // project is complete has nothing of the project but variables.
  const Node nothing = *make_map(arena);
  Node* element_public = TRY(make_submap(arena, *node, "public"));
  Node* bst = TRY(make_submap(arena, *element_public, "bst"));
  Node* splits = clone(arena, element.first_pass ? nothing : *project.split_rules);
  if (const Node* own = TRY(find_map(*bst, "split-rules"))) CHECK(compose(arena, *own, *splits));
  bst->set(arena, "split-rules", splits);

  if (pass.element_overrides != nullptr) {
    const Node* overrides = TRY(find_map(*pass.element_overrides, element.kind));
    if (overrides != nullptr) CHECK(compose(arena, *overrides, *node));
  }

  const auto below = [&](const Node& base, std::string_view key) -> Result<Node*> {
    Node* result = clone(arena, base);
    if (const Node* own = TRY(find_map(*node, key))) CHECK(compose(arena, *own, *result));
    return result;
  };
  defaults->variables = TRY(below(*pass.variables, "variables"));
  defaults->environment =
      TRY(below(element.first_pass ? nothing : *project.environment, "environment"));
  defaults->config = TRY(below(nothing, "config"));
  defaults->sandbox = TRY(below(element.first_pass ? nothing : *project.sandbox, "sandbox"));
  if (!element.first_pass) defaults->environment_nocache = project.environment_nocache;
  for (std::string& name : TRY(find_strings(*node, "environment-nocache")))
    defaults->environment_nocache.push_back(std::move(name));
  element_public = TRY(make_submap(arena, *node, "public"));
  bst = TRY(make_submap(arena, *element_public, "bst"));
  defaults->split_rules = TRY(make_submap(arena, *bst, "split-rules"));
  if (!element.first_pass) share(arena, *defaults);
  return common_->defaults.emplace(std::pair(&project, element.kind), std::move(defaults))
      .first->second.get();
}

void ElementResolver::share(Arena& arena, KindDefaults& defaults) {
  defaults.shared = SharedVariables::make(arena, *defaults.variables);
  if (!defaults.shared) return;
  defaults.shared_environment = SharedTree(arena, *defaults.environment, *defaults.shared);
  defaults.shared_config = SharedTree(arena, *defaults.config, *defaults.shared);
  defaults.shared_split_rules = SharedTree(arena, *defaults.split_rules, *defaults.shared);
  defaults.shared_sandbox = SharedTree(arena, *defaults.sandbox, *defaults.shared);
  if (!defaults.shared_environment.known() || !defaults.shared_config.known() ||
      !defaults.shared_split_rules.known() || !defaults.shared_sandbox.known()) {
    defaults.shared.reset();
  }
}

Result<Node*> ElementResolver::compose_part(const LoadElement& element, std::string_view key,
                                            const Node& defaults) {
  Node* result = clone(arena_, defaults);
  if (const Node* own = TRY(find_map(*element.node, key))) CHECK(compose(arena_, *own, *result));
  CHECK(assert_composited(*result));
  return result;
}

Result<Node*> ElementResolver::compose_variables(const LoadElement& element,
                                                 const KindDefaults& defaults) {
  Node* variables = TRY(compose_part(element, "variables", *defaults.variables));
  for (std::string_view name : {"project-name", "element-name", "max-jobs"}) {
    const Node* node = variables->find(name);
    if (node != nullptr && !node->mark.synthetic()) {
      return load_error(*node, "protected-variable-redefined",
                        fmt::format("invalid redefinition of protected variable '{}'", name));
    }
  }
  variables->set(arena_, "element-name", make_scalar(arena_, element.name));
  return variables;
}

// Public data: only split rules are inherited, the rest is the element's own.
Result<Node*> ElementResolver::compose_public(const LoadElement& element,
                                              const KindDefaults& defaults) {
  const Node* own = TRY(find_map(*element.node, "public"));
  Node* result = own != nullptr ? clone(arena_, *own) : make_map(arena_);
  Node* splits = clone(arena_, *defaults.split_rules);
  Node* bst = TRY(make_submap(arena_, *result, "bst"));
  if (const Node* own_splits = TRY(find_map(*bst, "split-rules")))
    CHECK(compose(arena_, *own_splits, *splits));
  bst->set(arena_, "split-rules", splits);
  CHECK(assert_composited(*result));
  return result;
}

Status ElementResolver::make_values(const LoadElement& element, const KindDefaults& defaults,
                                    Values& values) {
  values.variables = TRY(Variables::create(arena_, *TRY(compose_variables(element, defaults))));
  Variables& variables = *values.variables;
  if (!element.first_pass) CHECK(variables.check());
  values.environment = TRY(compose_part(element, "environment", *defaults.environment));
  CHECK(variables.expand(*values.environment));
  CHECK(find_strings(*element.node, "environment-nocache"));
  values.public_data = TRY(compose_public(element, defaults));
  CHECK(variables.expand(*values.public_data));
  values.config = TRY(compose_part(element, "config", *defaults.config));
  CHECK(variables.expand(*values.config));
  return {};
}

Status ElementResolver::share_values(const LoadElement& element, const KindDefaults& defaults,
                                     Values& values) {
  VariableSet changed;
  values.variables = defaults.shared->derive(arena_, TRY(find_map(*element.node, "variables")),
                                             element.name, changed);
  if (!values.variables) return fail("impl", "", "Not to be shared");
  Variables& variables = *values.variables;
  CHECK(variables.check());
  const auto expand = [&](const SharedTree& tree, std::string_view key) -> Result<Node*> {
    return tree.expand(arena_, TRY(find_map(*element.node, key)), variables, changed);
  };
  values.environment = TRY(expand(defaults.shared_environment, "environment"));
  CHECK(find_strings(*element.node, "environment-nocache"));
  values.config = TRY(expand(defaults.shared_config, "config"));
  values.sandbox = TRY(expand(defaults.shared_sandbox, "sandbox"));
  const Node* own = TRY(find_map(*element.node, "public"));
  values.public_data = own != nullptr ? clone(arena_, *own) : make_map(arena_);
  Node* bst = TRY(make_submap(arena_, *values.public_data, "bst"));
  const Node* own_splits = TRY(find_map(*bst, "split-rules"));
  Node* splits = TRY(defaults.shared_split_rules.expand(arena_, own_splits, variables, changed));
  bst->set(arena_, "split-rules", make_scalar(arena_, ""));
  CHECK(assert_composited(*values.public_data));
  CHECK(variables.expand(*values.public_data));
  bst->set(arena_, "split-rules", splits);
  return {};
}

}  // namespace sluice::loader
