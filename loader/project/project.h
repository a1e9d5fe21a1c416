// A project: project.conf over the built-in defaults, with includes, options and
// conditionals resolved (buildstream/_project.py).
//
// It is read twice. The first pass leaves out what is included from other projects, for
// those can't be reached yet: it is what junctions and links are made of. complete() is
// the second, with everything; it may load subprojects, and is called before the first
// other element of the project is made. Nothing else changes a project once it is loaded.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/project/includes.h"
#include "loader/project/mirrors.h"
#include "loader/project/options.h"
#include "loader/project/plugins.h"
#include "loader/project/project_refs.h"
#include "loader/yaml.h"
#include "model/model.h"
#include "project/cache_servers.h"
#include "project/user_config.h"
#include "sources/key.h"

namespace sluice::loader {

class PluginAsker;
class Project;
class ProjectLoader;

// What a junction element says of the project behind it.
struct Junction {
  Project* project = nullptr;  // that the junction is in
  std::string name;            // in that project
  std::string full_name;
  std::string path;               // of the project in its sources
  const Node* options = nullptr;  // null: none
  // What takes the place of elements of the subproject, by their paths in it, as the junction's
  // project names it.
  std::vector<std::pair<std::string, const Node*>> overrides;
  const Node* aliases = nullptr;  // null: none
  bool map_identity = false;
  Provenance provenance;  // of the junction element
  // Where the project was asked for first; nullopt when that was the command line.
  std::optional<Mark> loaded_from;

  // The alias of the parent that stands for one of the subproject's.
  Result<std::optional<std::string>> parent_alias(std::string_view alias) const;
};

// What may differ between the two passes.
struct ProjectPass {
  explicit ProjectPass(const Platform& platform) : options(platform) {}

  Options options;
  Node* element_overrides = nullptr;  // `elements:`
  Node* source_overrides = nullptr;   // `sources:`
  // The variables with project-name, max-jobs and exported options; not expanded.
  Node* variables = nullptr;
  Node* aliases = nullptr;  // expanded; null: none
  std::vector<Mirror> mirrors;
  std::string default_mirror;
  // Items of `mirrors:` that aren't read yet, expanded: before the project has a loader, from the
  // first one on whose plugin comes from behind a junction.
  std::vector<const Node*> unread_mirrors;
};

// What may stand for an alias: a URI, or what the plugin of a mirror makes of the whole URL.
struct AliasTarget {
  std::string uri;
  const Mirror* mirror = nullptr;  // null: `uri`
  std::size_t number = 0;          // of the mirror, in Project::plugin_mirrors()
  std::string alias;               // what the alias is called where the mirror is
};

// What loading a project takes besides its directory.
struct ProjectContext {
  const Platform* platform = nullptr;
  const UserConfig* user = nullptr;
  Project* toplevel = nullptr;   // null for the toplevel itself
  PluginAsker* asker = nullptr;  // null: plugins in Python are refused
};

class Project {
 public:
  // Does the first pass. `junction` is what leads to the project, null for the toplevel; `options`
  // and `default_mirror` are the command line's and for the toplevel only. Errors:
  // load/missing-project-conf when there is none.
  static Result<std::unique_ptr<Project>> load(
      const std::string& directory, const ProjectContext& context,
      std::unique_ptr<Junction> junction,
      const std::vector<std::pair<std::string, std::string>>& options,
      const std::string& default_mirror);

  // Does what of the first pass takes projects behind junctions: to be called once the project has
  // its loader, before anything else is loaded.
  Status finish_first();
  // Does the second pass, once, and that of its parents.
  Status complete();

  // The project behind a junction ("a.bst:b.bst"), loaded when it isn't yet.
  Result<Project*> subproject(std::string_view junction, const Node& at);

  // Checks a path that project.conf or a source names: it must be relative, inside the project, and
  // no symbolic link. Errors: load/proj-path-invalid, proj-path-invalid-kind, missing-file.
  using PathKind = sources::Project::PathKind;
  Result<std::string> checked_path(const Node& node, PathKind kind = PathKind::kAny) const;

  // The elements to load when nobody names any: `defaults:`, or every file in the
  // element path, in the order in which the file system lists them, as BuildStream does.
  std::vector<std::string> default_targets() const;
  // The elements that may be meant by a name that none has (elements/targets.h).
  std::vector<std::string> near_elements(const std::string& name) const;

  // Checks a URL of a source: an alias in it must be one of this project, mapped to one of the
  // parent where the junction says so, and have somewhere to fetch and to track from. False when
  // the URL has no alias. Errors, at `at`, which is the source's place:
  // source/invalid-source-alias, missing-alias-mapping, missing-source-alias-target.
  Result<bool> check_url(std::string_view url, const Provenance& at, bool first_pass) const;
  // A URL with its alias replaced.
  Result<std::string> translate_url(std::string_view url, const Provenance& at,
                                    bool first_pass) const;
  // Where to fetch (or track) a URL from, in the order to try; by the plugins of mirrors, too
  // (sources/mirror_url.h).
  Result<std::vector<std::string>> download_urls(std::string_view url, bool first_pass,
                                                 bool tracking) const;
  // What may stand for an alias, in the order to try; one "" for what no alias of the project is.
  Result<std::vector<AliasTarget>> alias_targets(std::string_view alias, bool first_pass,
                                                 bool tracking) const;
  // The mirrors that are plugins, of this project and then of those above it.
  std::vector<const Mirror*> plugin_mirrors(bool first_pass) const;

  bool warning_is_fatal(std::string_view token) const;

  // Checks a source's `provenance:`. Before complete() it isn't known which attributes there are:
  // those of junctions that are opened by then are given to check_provenance_later(), and
  // complete() checks them. They must live that long.
  Status check_provenance(const Node& attributes) const;
  void check_provenance_later(const Node& attributes) { early_provenance_.push_back(&attributes); }

  // The name of a file of the project as errors have it.
  std::string display(std::string_view name) const;
  const Project& toplevel() const { return *context_.toplevel; }
  // The lookups through which the project sees the world.
  Lookups& lookups() const { return *context_.user->lookups; }

  std::string name;
  std::string directory;               // absolute, resolved
  std::string element_path;            // absolute
  std::unique_ptr<Junction> junction;  // null for the toplevel
  ProjectLoader* loader = nullptr;     // set by the loader, which is made later
  Arena arena;                         // of all trees below
  Includes includes;                   // of project.conf
  Includes element_includes;           // of elements
  PluginTable plugins;                 // `plugins:`
  ProjectPass first;
  ProjectPass full;  // after complete()
  const ProjectPass& pass(bool first_pass) const { return first_pass ? first : full; }

  // Whether refs of sources are in the files below, for `ref-storage: project.refs`.
  bool refs_in_files = false;
  ProjectRefs refs;           // project.refs; after complete()
  ProjectRefs junction_refs;  // junction.refs
  // `junctions:`: names of projects with the junctions that may load them once more, and
  // junctions of projects that nobody else sees.
  const Node* duplicates = nullptr;
  const Node* internal = nullptr;
  bool disallow_subproject_uris = false;

  // What follows is there after complete().
  Node* environment = nullptr;  // not expanded
  std::vector<std::string> environment_nocache;
  Node* sandbox = nullptr;
  Node* split_rules = nullptr;
  Node* provenance_attributes = nullptr;
  std::vector<std::string> targets;  // `defaults: targets:`
  std::vector<std::string> fatal_warnings;
  model::ShellConfig shell;
  std::vector<Remote> artifact_remotes;  // `artifacts:`
  std::vector<Remote> source_remotes;    // `source-caches:`
  std::vector<std::string> warnings;

 private:
  Project(std::string directory, const ProjectContext& context, std::unique_ptr<Junction> junction);

  Status load_first();
  Status load_junctions(const Node& config);
  Status load_pass(Node& config, ProjectPass& pass, bool ignore_unknown);
  Status check_version(const Node& config) const;
  Status load_urls(const Node& config, ProjectPass& pass);
  // Reads the mirrors that aren't read yet; those that may not be read yet stay.
  Status load_mirrors(ProjectPass& pass);
  Result<Mirror> load_mirror(const Node& node, const ProjectPass& pass);
  bool declared_behind_junction(const Node& mirror) const;
  Status load_shell(const Node& config);
  Status load_remotes(const Node& config, std::string_view key, std::vector<Remote>& remotes) const;
  Result<bool> alias_exists(std::string_view alias, const Provenance& at, bool first_pass) const;
  ProjectContext context_;
  std::vector<std::pair<std::string, std::string>> given_options_;
  std::string given_mirror_;
  bool completed_ = false;
  std::vector<const Node*> early_provenance_;
  bool mirrors_overridden_ = false;  // by the user
  File file_;
  File defaults_file_;
  const Node* conf_ = nullptr;
  const Node* defaults_ = nullptr;
};

}  // namespace sluice::loader
