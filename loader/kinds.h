// The kinds of elements and sources that are built in: for each what it accepts, and
// what of it goes into cache keys. Adding a kind is an entry in a table of kinds.cc,
// source_kinds.cc or plugin_source_kinds.cc, and for elements a file of defaults.
//
// Kinds that only somebody's Python knows are made of their plugin's text: as one that just
// brings defaults for BuildElement, or as one of which all but behaviour is known.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/graph.h"
#include "loader/python_text.h"
#include "loader/variables.h"
#include "loader/yaml.h"
#include "model/model.h"

namespace sluice::loader {

// One build dependency, with `config` when the element gives it one. An element that
// names a dependency with several configs has it here as often.
struct ConfiguredDependency {
  LoadIndex element = 0;
  std::string_view path;  // as named
  Node* config = nullptr;  // expanded
};

// What a kind sees of an element.
struct ElementInstance {
  const LoadElement* element = nullptr;
  Variables* variables = nullptr;
  Node* config = nullptr;  // composed and expanded
  std::vector<ConfiguredDependency> dependencies;  // build dependencies, in order
  bool has_sources = false;
  // The first source can only follow others.
  const Node* misplaced_source = nullptr;
  // Set by the kind's configure(): whether commands run, so that sandbox and environment
  // are part of the key.
  bool runs_commands = true;
  // Set by the kind's configure(): variables that commands can't be run without being absolute paths.
  std::vector<std::string_view> directories;
};

struct ElementKind {
  std::string_view name;
  // Part of BuildStream itself; others must be declared in `plugins:`.
  bool core = true;
  bool runs_commands = true;
  // The weak key of an element takes in those of its dependencies, not just their names.
  bool strict_rebuild = false;
  bool forbids_sources = false;
  bool forbids_runtime_dependencies = false;
  bool forbids_build_dependencies = false;
  // Whether building gives an artifact that others can be made of.
  bool has_artifact = true;
  // Needs that its build dependency has one.
  bool filters = false;
  // Whether dependencies may have `config`.
  bool configures_dependencies = false;
  int artifact_version = 0;
  // model::ElementBody::builds_as
  std::string_view builds_as;
  // Checks the config and appends the JSON of the plugin's unique key. Null when only
  // Python knows.
  Status (*configure)(ElementInstance& instance, std::string& key) = nullptr;
  // What can only be said of an element as a whole; may be null.
  Status (*preflight)(const ElementInstance& instance) = nullptr;
};

// nullptr when it isn't built in.
const ElementKind* find_element_kind(std::string_view name);
// The kind that a plugin's class makes, called `name`. One that is plainly BuildElement
// has everything; of any other it's known what it forbids, but neither key nor build.
// `name` must live as long as what is made.
ElementKind plugin_element_kind(const PluginClass& plugin, std::string_view name);

// A kind that a plugin is if its configure() and get_unique_key() have these PluginClass::fingerprint()s: what it forbids is in
// its class. Its key is known, not its build.
struct KnownElement {
  std::string_view name;
  std::string_view configure_fingerprint, key_fingerprint;
  Status (*configure)(ElementInstance& instance, std::string& key);
};
// Those of community_element_kinds.cc.
std::span<const KnownElement> community_element_kinds();

// What a kind sees of a source.
struct SourceInstance {
  const Project* project = nullptr;
  Node* config = nullptr;  // composed and expanded, without kind, directory and provenance
  Mark mark;               // of the source in its element
  model::Source* source = nullptr;  // kind and directory set; the kind sets the rest
  std::vector<std::string>* warnings = nullptr;
  bool first_pass = false;  // of a junction: see project.h
  // Whether the element itself gives a ref, whatever project.refs says.
  bool inline_ref = false;
};

struct SourceKind {
  std::string_view name;
  bool core = true;
  // Has no ref: its content is in the project, and its digest is its key.
  bool local = false;
  // Takes no `provenance` of its own, since it has several origins.
  bool custom_provenance = false;
  // What of its config project.refs says.
  std::array<std::string_view, 2> ref_keys = {"ref", ""};
  // jobs/fetch.cc can fetch it.
  bool fetched = false;
  // Is tracked or fetched by what lies before it in the list.
  bool needs_previous = false;
  // Checks the config, fills the source in, and appends the JSON of its unique key
  // (nothing when it is local; nothing when it has no ref). Null when only Python knows.
  Status (*configure)(SourceInstance& instance, std::string& key) = nullptr;
};

const SourceKind* find_source_kind(std::string_view name);
// The kind that a plugin's class makes. `file` is where it was read: what buildstream-plugins
// has is known natively wherever it lies, anything else isn't. `name` must live as long as what is made.
SourceKind plugin_source_kind(const PluginClass& plugin, std::string_view name, std::string_view file);

// The plugins of buildstream-plugins, of plugin_source_kinds.cc.
std::span<const SourceKind> plugin_source_kinds();

// A kind that a plugin is if its get_unique_key() has this PluginClass::fingerprint().
struct KnownSource {
  std::string_view fingerprint;
  SourceKind kind;
};
// Those of community_source_kinds.cc.
std::span<const KnownSource> community_source_kinds();

// For source kinds: checks a URL that will be downloaded from, and translates its alias.
// `primary` is what the source is fetched by, and is kept in it.
Status mark_url(SourceInstance& instance, std::string_view url, bool primary = true);

}  // namespace sluice::loader
