// The plugins that a project declares, and where their files are
// (buildstream/_pluginfactory/).
//
// A kind that `plugins:` of project.conf declares comes from its origin, also when it has
// the name of one of BuildStream's own. Nothing of a plugin is run: its YAML file gives
// the defaults, its Python is only looked at (python_text.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "loader/python/python_text.h"
#include "loader/yaml.h"

namespace sluice::project {
class Lookups;
}

namespace sluice::loader {

using project::Lookups;

class Project;
struct LoadElement;

enum class PluginType { kElement, kSource, kSourceMirror };

// The family of plugins as messages name it: "element", "source" or "source-mirror".
std::string_view noun(PluginType type);

struct PluginDeclaration {
  enum class Origin { kLocal, kPip, kJunction };
  Origin origin = Origin::kLocal;
  const Node* node = nullptr;   // the origin's dictionary
  const Node* item = nullptr;   // the kind in its list
  const Node* where = nullptr;  // its path, package-name or junction
  bool allow_deprecated = false;
};

class PluginTable {
 public:
  // Reads the list `plugins:` of `project`. Errors: load/invalid-data and those of
  // Project::checked_path, plugin/duplicate-plugin.
  Status load(const Project& project, const Node& origins);

  // The declaration of a kind; nullptr when there is none.
  const PluginDeclaration* find(PluginType type, std::string_view kind) const;

 private:
  using Kinds = std::unordered_map<std::string_view, PluginDeclaration>;
  Kinds kinds_[3];
};

struct PluginFiles {
  std::string
      python;  // "" when the package isn't installed, and the plugin is one that is built in
  std::string defaults;     // the YAML file beside it; "" for none
  std::string display;      // where it comes from, for people
  bool in_package = false;  // of an installed package, as which Python imports it
};

// PluginModule says where Python finds a plugin.
struct PluginModule {
  std::string file;
  std::string root;  // the directory to import from
  std::string name;  // dotted below it; without a dot for files of projects
};

PluginModule module_of(Lookups& lookups, const PluginFiles& files);

// Where a kind's files are; nullopt when the project doesn't declare it. Loads projects
// behind junctions. Errors, all of domain "plugin": package-malformed-requirement,
// package-not-found, package-version-conflict, plugin-not-found, junction-plugin-not-found,
// junction-plugin-load-error; and what loading a subproject gives. A package that isn't
// installed is an error only when its plugins aren't built in.
Result<std::optional<PluginFiles>> locate_plugin(Project& project, PluginType type,
                                                 std::string_view kind);

// Loads the projects behind the junctions that the kinds of an element and of its sources come
// from. To be done before ElementResolver::resolve(), in the midst of which no other
// element can be resolved.
Status load_plugin_projects(const LoadElement& element);

// Reads a plugin's Python, without running it. Errors are at `mark`, which is who uses the kind.
Result<PluginClass> read_plugin(Project& project, PluginType type, std::string_view kind,
                                const PluginFiles& files, const Mark& mark);

// SHA-256 over what is said by the plugin's Python, by the modules of its package that it imports,
// and by those that they import. The names of the modules are a part of it, that of the plugin's
// own file is not.
Result<std::string> plugin_fingerprint(Lookups& lookups, const std::string& file);

// The message for a plugin whose Python would have to be run.
std::string not_supported(PluginType type, std::string_view kind, const PluginFiles& files);

// The warning for a plugin that is used; "" when it isn't deprecated, or that is allowed.
std::string deprecation(const Project& project, PluginType type, std::string_view kind,
                        const PluginClass& plugin);

}  // namespace sluice::loader
