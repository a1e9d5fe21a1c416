// The kinds of elements and sources that are built in: for each what it accepts, and
// what of it goes into cache keys. Adding a kind is an entry in a table of kinds.cc or
// source_kinds.cc, and for elements a file of defaults.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/graph.h"
#include "loader/tree.h"
#include "loader/variables.h"
#include "model/model.h"

namespace sluice::loader {

// One build dependency, with `config` when the element gives it one. An element that
// names a dependency with several configs has it here as often.
struct ConfiguredDependency {
  LoadIndex element = 0;
  std::string path;  // as named
  Node* config = nullptr;  // expanded
};

// What a kind sees of an element.
struct ElementInstance {
  const LoadElement* element = nullptr;
  Variables* variables = nullptr;
  Node* config = nullptr;  // composed and expanded
  std::vector<ConfiguredDependency> dependencies;  // build dependencies, in order
  bool has_sources = false;
  // Set by the kind's configure(): whether commands run, so that sandbox and environment
  // are part of the key.
  bool runs_commands = true;
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
  // Whether dependencies may have `config`.
  bool configures_dependencies = false;
  int artifact_version = 0;
  // Checks the config and appends the JSON of the plugin's unique key.
  Status (*configure)(ElementInstance& instance, std::string& key) = nullptr;
  // What can only be said of an element as a whole; may be null.
  Status (*preflight)(const ElementInstance& instance) = nullptr;
};

// nullptr when it isn't built in.
const ElementKind* find_element_kind(std::string_view name);

// Reads the digest of a directory or file of the project. See LoadHooks.
struct SourceInstance {
  const Project* project = nullptr;
  Node* config = nullptr;  // composed and expanded, without kind, directory and provenance
  Mark mark;               // of the source in its element
  model::Source* source = nullptr;  // kind and directory set; the kind sets the rest
  std::vector<std::string>* warnings = nullptr;
  bool first_pass = false;  // of a junction: see project.h
};

struct SourceKind {
  std::string_view name;
  bool core = true;
  // Has no ref: its content is in the project, and its digest is its key.
  bool local = false;
  // Checks the config, fills the source in, and appends the JSON of its unique key
  // (nothing when it is local; nothing when it has no ref).
  Status (*configure)(SourceInstance& instance, std::string& key) = nullptr;
};

const SourceKind* find_source_kind(std::string_view name);

}  // namespace sluice::loader
