// Elements with everything resolved, made from the trees of their files: defaults of the kind, the
// project's overrides and the element's own words composed, variables expanded, sources and
// configuration checked (buildstream/element.py, __initialize_from_yaml and __load_sources). What
// an element is depends on no other element; its key does, see cache_keys.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "loader/elements/graph.h"
#include "loader/elements/kinds.h"
#include "loader/elements/plugin_asker.h"
#include "loader/elements/shared_defaults.h"
#include "loader/project/project.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "project/workspaces.h"

namespace sluice::loader {

// A model::Obstacle with its place.
struct Obstacle {
  model::Obstacle::To to;
  std::string why;
  Provenance at;
};

// An element but for its key. There is one for each element, so what is rare lies apart.
struct ResolvedElement {
  // The body; null when it has been packed or nobody wants it. It lies apart because it's large.
  std::unique_ptr<model::ElementBody> body;
  std::string packed_body;
  const ElementKind* kind = nullptr;
  // As ElementKind has them, unless the plugin said otherwise of this element.
  bool strict_rebuild = false;
  bool has_artifact = true;
  // The configuration of junctions and links, in their project's arena; null for others.
  Node* first_pass_config = nullptr;
  bool has_sources = false;
  bool sources_resolved = true;
  bool sources_local = false;
  // False when a source is of a kind that only Python knows, whose key can't be had.
  bool sources_supported = true;
  // Whether the first source can only follow others.
  bool misplaced_source = false;
  // SHA-256 over the sources' part of the key; "" while that isn't known, or without sources.
  std::string sources_key;
  // model::Element has them; no platform where no command is run.
  std::string platform;
  std::vector<std::string> labels;
  std::vector<Obstacle> obstacles;

  // The first obstacle to that, or nullptr.
  const Obstacle* obstacle(model::Obstacle::To to) const;
  // Adds an obstacle, unless there is one of the same words.
  void add_obstacle(model::Obstacle::To to, std::string why, const Provenance& at);
  // The JSON of the key's dictionary from behind the list of dependencies to before the
  // closing brace; empty while the key can't be known.
  std::string key_tail;
  std::vector<LoadIndex> build;  // direct dependencies, in order
  std::vector<LoadIndex> runtime;
  std::vector<LoadIndex> strict;
  // The `config` of dependencies, by the dependency.
  std::vector<std::pair<LoadIndex, model::Node>> dependency_configs;
};

// Fills build, runtime and strict, which the graph knows.
void take_dependencies_of(const LoadElement& element, ResolvedElement& resolved);

// Gives the digest of a directory, or of a directory that holds just the named file.
using DigestLocal = std::function<Result<model::Digest>(const std::string& absolute_path)>;

// Which elements get their bodies, and how much is in them. Without bodies there is less work, and
// much less memory is taken.
struct Bodies {
  bool any = true;
  std::unordered_set<std::string> only;  // full names; empty: all
  bool key_inputs = false;               // bodies have the key's inputs, too
  bool ref_places = false;               // and the places of the refs of their sources

  bool has(const std::string& full_name) const {
    return any && (only.empty() || only.contains(full_name));
  }
};

class ElementResolver {
 public:
  // All must outlive this. `digest_local` may be called by several threads at a time.
  // `digest_workspace` is of a directory with the times of its files.
  ElementResolver(const Platform& platform, const Workspaces& workspaces,
                  const DigestLocal& digest_local, const DigestLocal& digest_workspace)
      : platform_(platform), workspaces_(workspaces), digest_local_(digest_local),
        digest_workspace_(digest_workspace), common_(std::make_shared<Common>()) {}

  // From here on elements have the sources that they have in the project, workspaces or not.
  void leave_workspaces_aside() { aside_ = true; }
  // Has plugins in Python asked, which are refused otherwise.
  // `elements` are those of the graph.
  void ask_plugins(PluginAsker& asker, const std::vector<LoadElement>& elements) {
    common_->asker = &asker;
    common_->elements = &elements;
  }
  // Collects the questions that an element has for plugins. Its errors come when it is resolved.
  void collect_questions(LoadElement& element);
  // Starts what will answer the questions of so many elements, which are prepared.
  void start_plugins(std::size_t elements);
  // True when the questions of some are to be collected once more.
  bool ask_collected() { return common_->asker != nullptr && common_->asker->ask_all(); }
  // Which elements get their bodies.
  void set_bodies(Bodies bodies) { common_->bodies = std::move(bodies); }

  // The element with everything resolved. Errors are the first that BuildStream would meet in it,
  // of the domains load, element, source and plugin.
  Result<ResolvedElement> resolve(LoadElement& element);
  // Resolves a junction or link by which a project is found. An open workspace of it counts in any
  // case, for that is where the project is.
  Result<ResolvedElement> resolve_origin(LoadElement& element);

  // Looks up the kinds that an element and its sources are of. False when that can't be done: then
  // resolve() says why.
  bool prepare(LoadElement& element);
  // Notes what elements of a kind that sees them see of their dependencies. It is to be done before
  // any element is resolved that may be one.
  void look_around(const Graph& graph, LoadIndex index);
  // A resolver for a thread of its own. It resolves elements that this has prepared, which must
  // outlive it.
  std::unique_ptr<ElementResolver> thread_resolver() const {
    return std::unique_ptr<ElementResolver>(new ElementResolver(*this));
  }
  // Takes over the warnings and redundant refs of thread resolvers, in the order of their elements.
  void absorb(const std::vector<std::unique_ptr<ElementResolver>>& thread_resolvers);
  // Sets the position of what is resolved next among all elements.
  void at(std::size_t position) { position_ = position; }

  // Warnings of sources and plugins, in the order of resolving.
  std::vector<std::string> warnings() const;
  // Refs that elements give though their project keeps them in files, as "place:ref".
  std::vector<std::string> redundant_refs() const;
  // The kinds that a project used, in the order of first use, with where they come from.
  struct Plugins {
    model::StringMap elements, sources;
  };
  const Plugins& plugins(const Project& project) { return common_->plugins[&project]; }

 private:
  // What all elements of a kind in a project start from.
  struct KindDefaults {
    const ElementKind* kind = nullptr;
    ElementKind own;          // what `kind` is when a plugin's text made it
    std::string unsupported;  // why its keys can't be known
    std::string deprecated;   // what to warn of at each use
    // Who builds its elements, when that is only Python, and makes their keys unless the kind does.
    std::optional<PluginModule> module;
    File file;
    Node* variables = nullptr;    // those of project and kind
    Node* environment = nullptr;  // those of project and kind
    std::vector<std::string> environment_nocache;
    Node* config = nullptr;
    Node* split_rules = nullptr;
    Node* sandbox = nullptr;  // that of project and kind
    // What elements share; of none that come before their project is complete.
    std::optional<SharedVariables> shared;
    SharedTree shared_environment, shared_config, shared_split_rules, shared_sandbox;
  };

  struct SourcePlugin {
    sources::KeyRow row;
    std::string unsupported;  // why its keys can't be known
    std::string unfetched;    // why it can't be fetched
    std::string works_as;     // model::Source::works_as
    std::string deprecated;   // what to warn of at each use
    // Who answers for it, when it is only Python, or does its work.
    std::optional<PluginModule> module;
  };

  // What a resolver shares with its thread resolvers, which only read it.
  struct Common {
    std::map<std::pair<const Project*, std::string>, std::unique_ptr<KindDefaults>> defaults;
    std::map<std::pair<const Project*, std::string>, std::unique_ptr<SourcePlugin>> sources;
    std::map<const Project*, Plugins> plugins;
    std::set<std::pair<const Project*, std::string>> prepared;
    Neighbours neighbours;
    Bodies bodies;
    PluginAsker* asker = nullptr;  // null: plugins in Python are refused
    const std::vector<LoadElement>* elements = nullptr;
    std::mutex one;  // guards the arenas of projects, and workspaces, while threads resolve
  };

  // Warnings and the like, each with the position of its element.
  using Remarks = std::vector<std::pair<std::size_t, std::string>>;

  // An element's variables and what is made of them.
  struct Values {
    std::optional<Variables> variables;
    Node* environment = nullptr;
    Node* public_data = nullptr;
    Node* config = nullptr;
    Node* sandbox = nullptr;
  };

  // An element while it is resolved. Trees are in `arena_`.
  struct Draft {
    LoadElement& element;
    const KindDefaults& defaults;
    Values values;
    ElementInstance instance;
    int artifact_version = 0;
    // Parts of the key, as JSON.
    std::string plugin_key, sandbox_key, sources_json;
    ResolvedElement result;
  };

  ElementResolver(const ElementResolver& other)
      : platform_(other.platform_), workspaces_(other.workspaces_),
        digest_local_(other.digest_local_), digest_workspace_(other.digest_workspace_),
        common_(other.common_), aside_(other.aside_) {}

  const Workspace* workspace_of(const LoadElement& element) const {
    return aside_ ? nullptr : workspaces_.find(element.full_name());
  }
  // Resolves by what the elements of the kind share (shared_defaults.h), or the long way.
  Result<ResolvedElement> resolve(LoadElement& element, bool shared);
  // The four steps of resolve(). Their order is BuildStream's, and so is that of errors.
  Status compose_values(Draft& draft, bool shared);
  Status configure_by_kind(Draft& draft);
  Status find_place(Draft& draft);
  Status ask_of_element(Draft& draft);
  PluginAsker::ElementFacts::Dependency fact_of(LoadIndex element) const;
  // Adds what the dependencies that an element has need at run time. `elements` are those that
  // the dependencies are.
  void add_needs(std::vector<LoadIndex> elements,
                 std::vector<PluginAsker::ElementFacts::Dependency>& dependencies) const;
  Status add_sources(Draft& draft);
  Status make_body_and_key(Draft& draft);
  // The parts of the steps.
  void note_plugin(Draft& draft);
  Status add_dependencies(Draft& draft);
  Status fill_body(Draft& draft);
  Status make_key_tail(Draft& draft);
  // Makes the values of an element the long way.
  Status make_values(const LoadElement& element, const KindDefaults& defaults, Values& values);
  // Makes them by what the kind's elements share. An error may be another than that of the long
  // way.
  Status share_values(const LoadElement& element, const KindDefaults& defaults, Values& values);
  // Prepares what elements of the kind share, in the project's arena.
  void share(Arena& arena, KindDefaults& defaults);
  // Made when the first element of the kind in a project asks for them.
  Result<const KindDefaults*> defaults_of(const LoadElement& element);
  // Finds the kind and fills what is known of it. The result is what its file of defaults says.
  Result<Node*> find_kind(const LoadElement& element, KindDefaults& defaults);
  Result<const SourcePlugin*> source_plugin(Project& project, const std::string& kind,
                                            const Mark& mark);
  Result<Node*> compose_variables(const LoadElement& element, const KindDefaults& defaults);
  Result<Node*> compose_public(const LoadElement& element, const KindDefaults& defaults);
  Result<Node*> compose_part(const LoadElement& element, std::string_view key,
                             const Node& defaults);
  Status check_runs(const ElementInstance& instance, Variables& variables,
                    ResolvedElement& result) const;
  Status read_sandbox(const Node& config, model::Sandbox& sandbox, std::string& json) const;
  Status resolve_sources(const LoadElement& element, Variables& variables, ResolvedElement& result,
                         std::string& json);
  Status resolve_source(const LoadElement& element, std::size_t index, Node& node,
                        Variables& variables, model::Source& source, std::string& key,
                        const SourcePlugin*& plugin);
  Status resolve_workspace(const Workspace& workspace, model::Source& source,
                           std::string& key) const;
  struct Asked {
    const Node& config;
    const Node* provenance = nullptr;  // null: none
    const std::optional<PluginAsker::Stored>& stored;
  };
  // Asks the plugin, or collects the question; then there is no answer.
  Result<const PluginAnswer*> ask(const LoadElement& element, std::size_t index, const Mark& mark,
                                  const SourcePlugin& plugin, const Asked& asked,
                                  model::Source& source);
  Status take_answer(const PluginAnswer& answer, sources::Instance& instance, std::string& key);
  Result<model::RefPlace> ref_place(const LoadElement& element, std::size_t index, const Node& node,
                                    std::string_view key);
  // Says what is kept elsewhere, which `config` has afterwards; nullopt where refs are in elements.
  // `plugin`: all that is kept is the ref.
  Result<std::optional<PluginAsker::Stored>> load_ref(const LoadElement& element, std::size_t index,
                                                      Mark mark,
                                                      std::span<const std::string_view> keys,
                                                      bool plugin, Node& config);

  const Platform& platform_;
  const Workspaces& workspaces_;
  const DigestLocal& digest_local_;
  const DigestLocal& digest_workspace_;
  std::shared_ptr<Common> common_;
  bool aside_ = false;
  bool collecting_ = false;
  Remarks warnings_;
  Remarks redundant_refs_;
  std::size_t position_ = 0;
  Arena arena_;  // scratch of one element
};

}  // namespace sluice::loader
