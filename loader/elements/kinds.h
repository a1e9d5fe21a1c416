// The kinds of elements that are built in: for each what it accepts, and what of it goes into cache
// keys. Adding a kind is an entry in the table of kinds.cc, and a file of defaults. Kinds of
// sources are in sources/.
//
// Kinds that only somebody's Python knows are made of their plugin's text: as one that just brings
// defaults for BuildElement, or as one of which all but behaviour is known.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/elements/graph.h"
#include "loader/elements/variables.h"
#include "loader/python/python_text.h"
#include "loader/yaml.h"
#include "model/model.h"

namespace sluice::loader {

// One build dependency, with `config` when the element gives it one. A dependency that is named
// with several configs comes as often.
struct ConfiguredDependency {
  LoadIndex element = 0;
  std::string_view path;   // as named
  Node* config = nullptr;  // expanded
};

// What a kind may see of the element that a build dependency is.
struct Neighbour {
  std::string name;                  // in its project
  std::vector<std::string> runtime;  // such names of its direct runtime dependencies, in order
};
using Neighbours = std::map<LoadIndex, Neighbour>;

// What a kind sees of an element.
struct ElementInstance {
  const LoadElement* element = nullptr;
  Variables* variables = nullptr;
  Node* config = nullptr;                          // composed and expanded
  std::vector<ConfiguredDependency> dependencies;  // build dependencies, in order
  const Neighbours* neighbours = nullptr;          // of kinds that see them
  bool has_sources = false;
  // Whether commands run, so that sandbox and environment are part of the key. The kind's
  // configure() may change it.
  bool runs_commands = true;
  // Variables without which, as absolute paths, commands can't be run. The kind's configure() sets
  // them.
  std::vector<std::string_view> directories;
};

struct ElementKind {
  std::string_view name;
  // Whether the kind is part of BuildStream itself; others must be declared in `plugins:`.
  bool core = true;
  // Of those others: whether it is part of the community's collection, and not of Apache's.
  bool community = false;
  bool runs_commands = true;
  // Whether the weak key of an element takes in those of its dependencies, not just their names.
  bool strict_rebuild = false;
  bool forbids_sources = false;
  bool forbids_runtime_dependencies = false;
  bool forbids_build_dependencies = false;
  // Whether building gives an artifact that others can be made of.
  bool has_artifact = true;
  // Whether an element needs a build dependency that has an artifact.
  bool filters = false;
  // Whether dependencies may have `config`.
  bool configures_dependencies = false;
  bool sees_neighbours = false;  // ElementInstance::neighbours
  bool lists_sources = false;    // model::Element::lists_sources
  int artifact_version = 0;
  // model::ElementBody::builds_as
  std::string_view builds_as;
  // Checks the configuration and appends the JSON of the plugin's unique key. Null when only Python
  // knows.
  Status (*configure)(ElementInstance& instance, std::string& key) = nullptr;
  // Checks what can only be said of an element as a whole; may be null.
  Status (*preflight)(const ElementInstance& instance) = nullptr;
};

// The kind of that name; nullptr when it isn't built in.
const ElementKind* find_element_kind(std::string_view name);
// The kind that a plugin's class makes, called `name`, which must live as long as the kind. `text`
// is the fingerprint of the whole of the plugin (plugin_fingerprint()), where has_known_texts().
// One that is plainly BuildElement is known completely, and so is a known text; of any other it's
// known what it forbids, but neither key nor build.
ElementKind plugin_element_kind(const PluginClass& plugin, std::string_view name,
                                std::string_view text);

// A kind that a plugin is if its configure() and get_unique_key() have these fingerprints
// (PluginClass::fingerprint()). What it forbids is in its class. Its key is known, its build is
// not.
struct KnownElement {
  std::string_view name;
  std::string_view configure_fingerprint, key_fingerprint;
  Status (*configure)(ElementInstance& instance, std::string& key);
};
// A kind that a plugin is if all of it has this fingerprint. Its build is known, too.
struct KnownElementText {
  std::string_view name;
  std::string_view fingerprint;
  Status (*configure)(ElementInstance& instance, std::string& key);
  std::string_view builds_as;
  bool sees_neighbours = false;
  bool lists_sources = false;
};
// The kinds of community_element_kinds.cc. Those that are built in are as of the version that
// sources::package_name() gives.
std::span<const KnownElement> community_element_kinds();
std::span<const KnownElementText> community_element_texts();
std::span<const ElementKind> built_in_community_kinds();
bool has_known_texts(std::string_view name);

}  // namespace sluice::loader
