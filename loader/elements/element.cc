#include "loader/elements/element.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "loader/elements/cache_keys.h"
#include "loader/elements/variables.h"
#include "loader/project/plugins.h"
#include "loader/yaml.h"
#include "model/source_kinds.h"
#include "project/builtin.h"
#include "project/lookups.h"
#include "project/project_file.h"
#include "yaml/json.h"

namespace sluice::loader {

namespace {

// Lets an element have its tree for as long as this lives, in an arena that lives as long.
class Unpacked {
 public:
  Unpacked(LoadElement& element, Arena& arena) : element_(element), own_(element.node == nullptr) {
    if (own_) element_.node = element_.unpack(arena);
    assert(element_.node != nullptr);
  }
  ~Unpacked() {
    if (own_) element_.node = nullptr;
  }
  Unpacked(const Unpacked&) = delete;
  Unpacked& operator=(const Unpacked&) = delete;

 private:
  LoadElement& element_;
  const bool own_;
};

tl::unexpected<Error> element_error(const LoadElement& element, std::string reason,
                                    std::string message) {
  return fail("element", std::move(reason), std::move(message), provenance(element.mark));
}

// The map under `key`, made when absent.
Result<Node*> make_submap(Arena& arena, Node& map, std::string_view key) {
  Node* below = TRY(find_map(map, key));
  if (below == nullptr) {
    below = make_map(arena);
    map.set(arena, key, below);
  }
  return below;
}

model::StringMap to_string_map(const Node& map) {
  model::StringMap strings;
  strings.reserve(map.size());
  for (const Entry& entry : map.entries()) strings.emplace_back(entry.key, entry.value->text);
  return strings;
}

// Fails when the element has what its kind forbids.
Status check_forbidden(const LoadElement& element, const ElementKind& kind,
                       const ResolvedElement& resolved) {
  if (kind.forbids_build_dependencies && kind.forbids_runtime_dependencies &&
      !(resolved.build.empty() && resolved.runtime.empty())) {
    return element_error(element, "element-forbidden-depends",
                         fmt::format("Dependencies are forbidden for '{}' elements", kind.name));
  }
  if (kind.forbids_runtime_dependencies && !resolved.runtime.empty()) {
    return element_error(
        element, "element-forbidden-rdepends",
        fmt::format("Runtime dependencies are forbidden for '{}' elements", kind.name));
  }
  if (kind.forbids_build_dependencies && !resolved.build.empty()) {
    return element_error(
        element, "element-forbidden-bdepends",
        fmt::format("Build dependencies are forbidden for '{}' elements", kind.name));
  }
  if (kind.forbids_sources && resolved.has_sources) {
    return element_error(element, "element-forbidden-sources",
                         fmt::format("Sources are forbidden for '{}' elements", kind.name));
  }
  return {};
}

}  // namespace

const Obstacle* ResolvedElement::obstacle(std::string_view to) const {
  for (const Obstacle& each : obstacles) {
    if (each.to == to) return &each;
  }
  return nullptr;
}

void ResolvedElement::add_obstacle(std::string_view to, std::string why, const Provenance& at) {
  for (const Obstacle& each : obstacles) {
    if (each.to == to && each.why == why) return;
  }
  obstacles.push_back({to, std::move(why), at});
}

void take_dependencies_of(const LoadElement& element, ResolvedElement& resolved) {
  for (const LoadDependency& dependency : element.dependencies) {
    if ((dependency.type & LoadDependency::kRuntime) != 0)
      resolved.runtime.push_back(dependency.element);
    if ((dependency.type & LoadDependency::kBuild) != 0)
      resolved.build.push_back(dependency.element);
    if (dependency.strict) resolved.strict.push_back(dependency.element);
  }
}

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
  // The kind's name is copied, since the element's own text moves when more are loaded.
  defaults.own = plugin_element_kind(plugin, arena.copy(element.kind));
  defaults.kind = &defaults.own;
  defaults.deprecated = deprecation(project, PluginType::kElement, element.kind, plugin);
  if (defaults.own.configure == nullptr)
    defaults.unsupported = not_supported(PluginType::kElement, element.kind, *files);
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

bool ElementResolver::prepare(LoadElement& element) {
  if (common_->prepared.insert({element.project, element.kind}).second && !defaults_of(element))
    return false;
  if (workspace_of(element) != nullptr) return true;
  const SourceKinds& sources = *element.source_kinds;
  for (std::size_t i = 0; i < sources.kinds.size(); ++i) {
    const std::string& name = sources.kinds[i];
    if (name == model::kWorkspaceKind) return false;
    if (!common_->prepared.insert({element.project, "source " + name}).second) continue;
    if (!source_plugin(*element.project, name, sources.marks[i])) return false;
  }
  return sources.complete;
}

void ElementResolver::absorb(
    const std::vector<std::unique_ptr<ElementResolver>>& thread_resolvers) {
  const auto merge = [](Remarks& all, const Remarks& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  const auto sort = [](Remarks& all) {
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  };
  for (const auto& resolver : thread_resolvers) {
    merge(warnings_, resolver->warnings_);
    merge(redundant_refs_, resolver->redundant_refs_);
  }
  sort(warnings_);
  sort(redundant_refs_);
}

std::vector<std::string> ElementResolver::warnings() const {
  std::vector<std::string> all;
  for (const auto& remark : warnings_) all.push_back(remark.second);
  return all;
}

std::vector<std::string> ElementResolver::redundant_refs() const {
  std::vector<std::string> all;
  for (const auto& remark : redundant_refs_) all.push_back(remark.second);
  return all;
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

Status ElementResolver::read_sandbox(const Node& config, model::Sandbox& sandbox,
                                     std::string& json) const {
  CHECK(validate_keys(config,
                      {"build-uid", "build-gid", "build-os", "build-arch", "remote-apis-socket"}));
  const auto lower = [](std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
  };
  const std::string os(TRY(get_string(config, "build-os", "")));
  sandbox.build_os = lower(os.empty() ? platform_.os : os);
  const Node* arch = TRY(find_scalar(config, "build-arch"));
  if (arch != nullptr && !arch->text.empty()) {
    auto canonical = canonical_arch(arch->text);
    if (!canonical) {
      canonical.error().provenance = provenance(*arch);
      return forward(canonical);
    }
    sandbox.build_arch = *canonical;
  } else {
    sandbox.build_arch = platform_.arch;
  }
  json += "{\"build-arch\":";
  json_string(json, sandbox.build_arch);
  const auto gid = TRY(find_int(config, "build-gid"));
  const auto uid = TRY(find_int(config, "build-uid"));
  for (const auto& [id, key] : {std::pair(gid, "build-gid"), std::pair(uid, "build-uid")}) {
    if (id && (*id < 0 || *id >= UINT32_MAX))
      return invalid_data(*config.find(key), fmt::format("Value of '{}' is out of range", key));
  }
  if (gid) json += fmt::format(",\"build-gid\":{}", *gid);
  json += ",\"build-os\":";
  json_string(json, sandbox.build_os);
  if (uid) json += fmt::format(",\"build-uid\":{}", *uid);
  if (const Node* socket = TRY(find_map(config, "remote-apis-socket"))) {
    CHECK(validate_keys(*socket, {"path", "action-cache-enable-update"}));
    sandbox.remote_apis_socket = TRY(get_string(*socket, "path"));
    sandbox.remote_apis_update = TRY(get_bool(*socket, "action-cache-enable-update", false));
    json += ",\"remote-apis-socket\":{";
    if (sandbox.remote_apis_update) json += "\"action-cache-enable-update\":true,";
    json += "\"path\":";
    json_string(json, sandbox.remote_apis_socket);
    json += '}';
  }
  json += '}';
  sandbox.build_uid = static_cast<std::uint32_t>(uid.value_or(0));
  sandbox.build_gid = static_cast<std::uint32_t>(gid.value_or(0));
  return {};
}

// Adds obstacles for what can be said of commands before anything is staged for them. BuildStream
// fails where it runs them.
Status ElementResolver::check_runs(const Node& sandbox, const ElementInstance& instance,
                                   Variables& variables, ResolvedElement& result) const {
  if (!result.body->sandbox.remote_apis_socket.empty()) {
    result.add_obstacle("run", "The sandbox's remote-apis-socket is not supported yet",
                        provenance(*sandbox.find("remote-apis-socket")));
  }
  for (std::string_view name : instance.directories) {
    const auto value = TRY(variables.get(name));
    if (value && value->starts_with('/')) continue;
    const Node* node = variables.node_of(name);
    result.add_obstacle(
        "run",
        fmt::format("The variable '{}' is '{}', which is not an absolute path", name,
                    value.value_or("")),
        node != nullptr && !node->mark.synthetic() ? provenance(*node) : result.body->provenance);
  }
  return {};
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

Result<ResolvedElement> ElementResolver::resolve_origin(LoadElement& element) {
  const bool aside = std::exchange(aside_, false);
  auto resolved = resolve(element);
  aside_ = aside;
  return resolved;
}

Result<ResolvedElement> ElementResolver::resolve(LoadElement& element) {
  if (!element.first_pass && TRY(defaults_of(element))->shared) {
    const std::size_t warnings = warnings_.size();
    const std::size_t redundant_refs = redundant_refs_.size();
    auto resolved = resolve(element, true);
    if (resolved) return resolved;
    // The long way says what was wrong as it should be said, warnings of this way included.
    warnings_.resize(warnings);
    redundant_refs_.resize(redundant_refs);
  }
  return said_by("element", element.kind, element.mark, resolve(element, false));
}

Result<ResolvedElement> ElementResolver::resolve(LoadElement& element, bool shared) {
  arena_.reset();
  const Unpacked unpacked(element, arena_);
  Draft draft{element, *TRY(defaults_of(element))};
  CHECK(compose_values(draft, shared));
  CHECK(configure_by_kind(draft));
  CHECK(add_sources(draft));
  CHECK(make_body_and_key(draft));
  return std::move(draft.result);
}

Status ElementResolver::compose_values(Draft& draft, bool shared) {
  const LoadElement& element = draft.element;
  const KindDefaults& defaults = draft.defaults;
  ResolvedElement& result = draft.result;
  result.kind = defaults.kind;
  result.body = std::make_unique<model::ElementBody>();
  model::ElementBody& body = *result.body;
  body.provenance = provenance(element.mark);
  body.builds_as = defaults.kind->builds_as;
  note_plugin(draft);
  body.description = TRY(get_string(*element.node, "description", ""));

  Values& values = draft.values;
  CHECK(shared ? share_values(element, defaults, values) : make_values(element, defaults, values));
  body.environment_nocache = defaults.environment_nocache;
  for (std::string& name : TRY(find_strings(*element.node, "environment-nocache")))
    body.environment_nocache.push_back(std::move(name));
  std::sort(body.environment_nocache.begin(), body.environment_nocache.end());
  body.environment_nocache.erase(
      std::unique(body.environment_nocache.begin(), body.environment_nocache.end()),
      body.environment_nocache.end());
  if (element.first_pass) {
    const std::lock_guard lock(common_->one);
    // The configuration outlives the scratch arena, where expanded texts are: junctions' options
    // are read once their project is loaded.
    result.first_pass_config = clone_with_texts(element.project->arena, *values.config);
  }
  return {};
}

// Adds the obstacles and warnings that an element has because of the plugin that its kind is.
void ElementResolver::note_plugin(Draft& draft) {
  const KindDefaults& defaults = draft.defaults;
  const ElementKind& kind = *defaults.kind;
  const Provenance& place = draft.result.body->provenance;
  if (!defaults.unsupported.empty()) draft.result.add_obstacle("key", defaults.unsupported, place);
  if (&kind == &defaults.own && kind.configure != nullptr && kind.builds_as.empty()) {
    draft.result.add_obstacle(
        "run",
        fmt::format("Elements of kind '{}' can't be built: how they are is only said in Python",
                    kind.name),
        place);
  }
  if (!defaults.deprecated.empty())
    warnings_.emplace_back(position_, fmt::format("{}: {}", place.str(), defaults.deprecated));
}

Status ElementResolver::configure_by_kind(Draft& draft) {
  LoadElement& element = draft.element;
  const ElementKind& kind = *draft.defaults.kind;
  Variables& variables = *draft.values.variables;
  ElementInstance& instance = draft.instance;
  instance.element = &element;
  instance.variables = &variables;
  instance.config = draft.values.config;
  instance.runs_commands = kind.runs_commands;
  CHECK(add_dependencies(draft));
  if (kind.configure != nullptr) CHECK(kind.configure(instance, draft.plugin_key));
  Node*& sandbox = draft.values.sandbox;
  if (sandbox == nullptr) {
    sandbox = TRY(compose_part(element, "sandbox", *draft.defaults.sandbox));
    CHECK(variables.expand(*sandbox));
  }
  CHECK(read_sandbox(*sandbox, draft.result.body->sandbox, draft.sandbox_key));
  if (instance.runs_commands) CHECK(check_runs(*sandbox, instance, variables, draft.result));
  return {};
}

// Takes the dependencies, with their `config` as far as the element gives them one.
Status ElementResolver::add_dependencies(Draft& draft) {
  const ElementKind& kind = *draft.defaults.kind;
  take_dependencies_of(draft.element, draft.result);
  for (LoadDependency& dependency : draft.element.dependencies) {
    if ((dependency.type & LoadDependency::kBuild) == 0) continue;
    if (dependency.configs == nullptr) {
      draft.instance.dependencies.push_back({dependency.element, dependency.path, nullptr});
      continue;
    }
    for (const Node* given : *dependency.configs) {
      if (!kind.configures_dependencies) {
        return load_error(
            *given, "invalid-dependency-config",
            fmt::format("Custom dependency configuration is not supported by element plugin '{}'",
                        kind.name));
      }
      Node* expanded = clone(arena_, *given);
      CHECK(draft.values.variables->expand(*expanded));
      draft.instance.dependencies.push_back({dependency.element, dependency.path, expanded});
      draft.result.dependency_configs.emplace_back(dependency.element, to_model(*expanded));
    }
  }
  return {};
}

Status ElementResolver::add_sources(Draft& draft) {
  const ElementKind& kind = *draft.defaults.kind;
  ResolvedElement& result = draft.result;
  CHECK(resolve_sources(draft.element, *draft.values.variables, result, draft.sources_json));
  draft.instance.has_sources = result.has_sources;
  CHECK(check_forbidden(draft.element, kind, result));
  if (kind.preflight != nullptr) CHECK(kind.preflight(draft.instance));
  if (result.misplaced_source) {
    const model::Source& first = result.body->sources.front();
    return fail("element", "",
                fmt::format("A {} source cannot be the first source of an element as it requires "
                            "access to previous sources",
                            first.kind),
                first.provenance);
  }
  return {};
}

Status ElementResolver::make_body_and_key(Draft& draft) {
  ResolvedElement& result = draft.result;
  const bool has_body = common_->bodies.has(draft.element.full_name());
  if (has_body || draft.element.first_pass) CHECK(fill_body(draft));
  if (!result.sources_resolved || !result.sources_supported) return {};
  if (result.has_sources) result.sources_key = sha256_hex(draft.sources_json);
  if (result.obstacle("key") != nullptr) return {};
  CHECK(make_key_tail(draft));
  if (common_->bodies.key_inputs && has_body) result.body->key_inputs = key_inputs(result);
  return {};
}

Status ElementResolver::fill_body(Draft& draft) {
  model::ElementBody& body = *draft.result.body;
  auto variables = draft.values.variables->values();
  if (variables) {
    body.variables = std::move(*variables);
  } else if (!draft.element.first_pass) {
    // Variables of the first pass aren't checked, and so need not resolve.
    return forward(variables);
  }
  const Node& environment = *draft.values.environment;
  body.environment = to_string_map(environment);
  for (const Entry& entry : environment.entries()) {
    if (entry.value->is_scalar()) continue;
    if (!body.nested_environment.is_map()) body.nested_environment = model::Node::make_map();
    body.nested_environment.set(std::string(entry.key), to_model(*entry.value));
  }
  body.config = to_model(*draft.values.config);
  body.public_data = to_model(*draft.values.public_data);
  return {};
}

// Writes the keys of the dictionary in the order of their names, as JSON for keys has them.
Status ElementResolver::make_key_tail(Draft& draft) {
  const LoadElement& element = draft.element;
  const ElementKind& kind = *draft.defaults.kind;
  std::string& tail = draft.result.key_tail;
  tail += ",\"element-base-key\":{\"build-root\":";
  const auto build_root = TRY(draft.values.variables->get("build-root"));
  if (build_root) {
    json_string(tail, *build_root);
  } else {
    tail += "null";
  }
  tail += "},\"element-plugin-key\":";
  tail += draft.plugin_key;
  tail += ",\"element-plugin-name\":";
  json_string(tail, element.kind);
  tail += fmt::format(",\"element-plugin-version\":{}", kind.artifact_version);
  if (draft.instance.runs_commands) {
    Node* cached = make_map(arena_);
    for (const Entry& entry : draft.values.environment->entries()) {
      const auto& nocache = draft.result.body->environment_nocache;
      if (!std::binary_search(nocache.begin(), nocache.end(), entry.key))
        cached->set(arena_, entry.key, entry.value);
    }
    tail += ",\"environment\":";
    json_node(tail, *cached);
  }
  std::vector<std::string> fatal = element.project->fatal_warnings;
  std::sort(fatal.begin(), fatal.end());
  tail += ",\"fatal-warnings\":";
  json_strings(tail, fatal);
  tail += ",\"public\":";
  json_node(tail, *draft.values.public_data);
  if (draft.instance.runs_commands) tail += ",\"sandbox\":" + draft.sandbox_key;
  tail += ",\"sources\":" + draft.sources_json;
  return {};
}

}  // namespace sluice::loader
