#include "loader/elements/element.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/try.h"
#include "loader/elements/cache_keys.h"
#include "loader/elements/variables.h"
#include "loader/project/source_project.h"
#include "loader/yaml.h"
#include "model/source_kinds.h"
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

const Obstacle* ResolvedElement::obstacle(model::Obstacle::To to) const {
  for (const Obstacle& each : obstacles) {
    if (each.to == to) return &each;
  }
  return nullptr;
}

void ResolvedElement::add_obstacle(model::Obstacle::To to, std::string why, const Provenance& at) {
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

void ElementResolver::look_around(const Graph& graph, LoadIndex index) {
  const LoadElement& element = graph.elements()[index];
  const auto defaults = defaults_of(element);
  if (!defaults || !(*defaults)->kind->sees_neighbours) return;
  for (const LoadDependency& dependency : element.dependencies) {
    // What is known stays: the element may have been forgotten since.
    const auto [entry, fresh] = common_->neighbours.try_emplace(dependency.element);
    if (!fresh) continue;
    const LoadElement& neighbour = graph.elements()[dependency.element];
    entry->second.name = neighbour.name;
    for (const LoadDependency& below : neighbour.dependencies) {
      if ((below.type & LoadDependency::kRuntime) != 0)
        entry->second.runtime.push_back(graph.elements()[below.element].name);
    }
  }
}

void ElementResolver::start_plugins(std::size_t elements) {
  if (common_->asker == nullptr) return;
  for (const auto& [use, defaults] : common_->defaults) {
    if (defaults->module && defaults->kind->configure == nullptr)
      common_->asker->expect(*use.first, *defaults->module, use.second);
  }
  for (const auto& [use, source] : common_->sources) {
    if (source->module && source->row.key == nullptr)
      common_->asker->expect(*use.first, *source->module, use.second);
  }
  common_->asker->start_hosts(elements);
}

void ElementResolver::collect_questions(LoadElement& element) {
  if (common_->asker == nullptr) return;
  const auto kind = common_->defaults.find({element.project, element.kind});
  bool asks = kind != common_->defaults.end() && kind->second->module;
  if (workspace_of(element) == nullptr) {
    for (const std::string& name : element.source_kinds->kinds) {
      const auto found = common_->sources.find({element.project, name});
      asks = asks || (found != common_->sources.end() && found->second->module &&
                      found->second->row.key == nullptr);
    }
  }
  if (!asks) return;
  ElementResolver collector(*this);
  collector.collecting_ = true;
  static_cast<void>(collector.resolve(element));
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
Status ElementResolver::check_runs(const ElementInstance& instance, Variables& variables,
                                   ResolvedElement& result) const {
  for (std::string_view name : instance.directories) {
    const auto value = TRY(variables.get(name));
    if (value && value->starts_with('/')) continue;
    const Node* node = variables.node_of(name);
    result.add_obstacle(
        model::Obstacle::To::kRun,
        fmt::format("The variable '{}' is '{}', which is not an absolute path", name,
                    value.value_or("")),
        node != nullptr && !node->mark.synthetic() ? provenance(*node) : result.body->provenance);
  }
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
  result.strict_rebuild = defaults.kind->strict_rebuild;
  result.has_artifact = defaults.kind->has_artifact;
  draft.artifact_version = defaults.kind->artifact_version;
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
  if (!defaults.unsupported.empty())
    draft.result.add_obstacle(model::Obstacle::To::kKey, defaults.unsupported, place);
  if (&kind == &defaults.own && kind.configure != nullptr && kind.builds_as.empty() &&
      !defaults.module) {
    draft.result.add_obstacle(
        model::Obstacle::To::kRun,
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
  if (kind.sees_neighbours) instance.neighbours = &common_->neighbours;
  CHECK(add_dependencies(draft));
  if (kind.configure != nullptr) CHECK(kind.configure(instance, draft.plugin_key));
  if (draft.defaults.module) CHECK(ask_of_element(draft));
  Node*& sandbox = draft.values.sandbox;
  if (sandbox == nullptr) {
    sandbox = TRY(compose_part(element, "sandbox", *draft.defaults.sandbox));
    CHECK(variables.expand(*sandbox));
  }
  CHECK(read_sandbox(*sandbox, draft.result.body->sandbox, draft.sandbox_key));
  if (instance.runs_commands) CHECK(check_runs(instance, variables, draft.result));
  if (!element.first_pass) CHECK(find_place(draft));
  return {};
}

// Finds where the element is to be built: programs run on machines of their platform, and a
// variable names what a runner must offer. Of what the machine is only the sandbox's part is in the
// key, and variables are in it only where something refers to them.
Status ElementResolver::find_place(Draft& draft) {
  ResolvedElement& result = draft.result;
  if (draft.instance.runs_commands) {
    const model::Sandbox& sandbox = result.body->sandbox;
    if (!sandbox.build_arch.empty()) result.platform = sandbox.build_os + "/" + sandbox.build_arch;
  }
  const auto said = TRY(draft.values.variables->get("runner-labels"));
  std::string_view rest = said.value_or("");
  constexpr std::string_view kBetween = ", \t\n";
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(kBetween), rest.size()));
    if (rest.empty()) break;
    const std::size_t end = std::min(rest.find_first_of(kBetween), rest.size());
    result.labels.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  std::sort(result.labels.begin(), result.labels.end());
  result.labels.erase(std::unique(result.labels.begin(), result.labels.end()), result.labels.end());
  return {};
}

PluginAsker::ElementFacts::Dependency ElementResolver::fact_of(LoadIndex index) const {
  const LoadElement& element = (*common_->elements)[index];
  return {element.full_name(), std::string(element.kind), element.project->name};
}

void ElementResolver::add_needs(
    std::vector<LoadIndex> elements,
    std::vector<PluginAsker::ElementFacts::Dependency>& dependencies) const {
  std::unordered_map<LoadIndex, std::size_t> positions;
  for (std::size_t i = 0; i < elements.size(); ++i) positions.emplace(elements[i], i);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    std::vector<std::size_t> needs;
    for (const LoadDependency& below : (*common_->elements)[elements[i]].dependencies) {
      if ((below.type & LoadDependency::kRuntime) == 0) continue;
      const auto [found, fresh] = positions.emplace(below.element, elements.size());
      if (fresh) {
        elements.push_back(below.element);
        dependencies.push_back(fact_of(below.element));
      }
      needs.push_back(found->second);
    }
    dependencies[i].needs = std::move(needs);
  }
}

// Notes what the plugin of the element's kind is asked when it is built. Has it check the element,
// and make its part of the key, unless the kind does that.
Status ElementResolver::ask_of_element(Draft& draft) {
  const LoadElement& element = draft.element;
  const bool asks = draft.defaults.kind->configure == nullptr;
  const bool has_body = common_->bodies.has(element.full_name());
  if (!asks && !has_body) return {};
  const Mark mark = element.mark;
  const model::StringMap variables = TRY(draft.values.variables->values());
  // The facts only look at it.
  const std::string full_name = element.full_name();
  PluginAsker::ElementFacts facts{element.kind,
                                  full_name,
                                  mark,
                                  *draft.values.config,
                                  *draft.values.public_data,
                                  *draft.values.environment,
                                  variables,
                                  {},
                                  {}};
  if (workspace_of(element) != nullptr) {
    facts.sources = {model::kWorkspaceKind};
  } else {
    const std::vector<std::string>& kinds = element.source_kinds->kinds;
    facts.sources.assign(kinds.begin(), kinds.end());
  }
  const std::string below = full_name.substr(0, full_name.size() - element.name.size());
  std::vector<LoadIndex> elements;
  for (const LoadDependency& dependency : element.dependencies) {
    PluginAsker::ElementFacts::Dependency fact = fact_of(dependency.element);
    fact.build = (dependency.type & LoadDependency::kBuild) != 0;
    fact.runtime = (dependency.type & LoadDependency::kRuntime) != 0;
    if (fmt::format("{}{}", below, dependency.path) != fact.name) fact.path = dependency.path;
    const std::size_t before = facts.dependencies.size();
    for (const ConfiguredDependency& each : draft.instance.dependencies) {
      if (each.element != dependency.element || each.config == nullptr) continue;
      fact.config = each.config;
      facts.dependencies.push_back(fact);
    }
    if (facts.dependencies.size() == before) facts.dependencies.push_back(std::move(fact));
    elements.resize(facts.dependencies.size(), dependency.element);
  }
  PluginAsker& asker = *common_->asker;
  PluginQuestion question{PluginType::kElement,    element.project,
                          element.first_pass,      element.kind,
                          &*draft.defaults.module, PluginAsker::pack(*draft.defaults.module, facts),
                          provenance(mark)};
  if (has_body) {
    model::Plugin& plugin = draft.result.body->plugin;
    plugin.file = draft.defaults.module->file;
    plugin.readable =
        PluginAsker::readable(*element.project, element.first_pass, &*draft.defaults.module);
    plugin.question = TRY(PluginAsker::without_body(question.packed));
    plugin.project =
        PluginAsker::pack_project(*element.project, element.first_pass, {}, question.place);
  }
  if (!asks) return {};
  const auto with_needs = [&] {
    add_needs(elements, facts.dependencies);
    PluginQuestion more = question;
    more.packed = PluginAsker::pack(*draft.defaults.module, facts);
    return more;
  };
  if (collecting_) {
    asker.collect(asker.wants_needs(question) ? with_needs() : std::move(question));
    return {};
  }
  const PluginAnswer* first = TRY(asker.ask(question));
  const PluginAnswer& answer = first->wants_needs() ? *TRY(asker.ask(with_needs())) : *first;
  if (answer.error) {
    Error error = *answer.error;
    if (!error.provenance.known()) error.provenance = provenance(mark);
    return tl::unexpected<Error>(std::move(error));
  }
  std::vector<std::string> warnings;
  for (const PluginAnswer::Warning& warning : answer.warnings)
    CHECK(add_warning(*element.project, warning.name, warning.text, warning.detail,
                      provenance(mark), warnings));
  for (std::string& warning : warnings) warnings_.emplace_back(position_, std::move(warning));
  draft.plugin_key = answer.key;
  draft.instance.runs_commands = answer.has("BST_RUN_COMMANDS");
  draft.result.strict_rebuild = answer.has("BST_STRICT_REBUILD");
  draft.result.has_artifact = answer.has("BST_ELEMENT_HAS_ARTIFACT");
  draft.artifact_version = answer.artifact_version;
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
  // What a plugin forbids that makes its own key, it has said.
  if (!draft.defaults.module || kind.configure != nullptr)
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
  if (result.obstacle(model::Obstacle::To::kKey) != nullptr) return {};
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
  tail += fmt::format(",\"element-plugin-version\":{}", draft.artifact_version);
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
