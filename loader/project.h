// A project: project.conf over the built-in defaults, with includes, options and
// conditionals resolved (buildstream/_project.py).
//
// Everything here is complete after load() and is not changed by loading elements.
// Junctions are to come: a project then also has a parent, the options its junction
// sets, and the plugins it takes from others.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/includes.h"
#include "loader/options.h"
#include "loader/tree.h"
#include "loader/user_config.h"
#include "model/model.h"

namespace sluice::loader {

class Project {
 public:
  // The nearest directory at or above `directory` with a project.conf;
  // load/missing-project-conf when there is none.
  static Result<std::string> find_directory(const std::string& directory);

  static Result<std::unique_ptr<Project>> load(const std::string& directory, const Platform& platform, const UserConfig& user,
                                               const std::vector<std::pair<std::string, std::string>>& options);

  // A path that project.conf or a source names: relative, inside the project, and no
  // symbolic link. load/proj-path-invalid, proj-path-invalid-kind, missing-file.
  enum class PathKind { kAny, kDirectory };
  Result<std::string> checked_path(const Node& node, PathKind kind = PathKind::kAny) const;

  // The elements to load when nobody names any: `defaults:`, or every file in the
  // element path, in the order in which the file system lists them, as BuildStream does.
  Result<std::vector<std::string>> default_targets() const;

  // The value of a URL alias; nullptr when it isn't declared.
  const Node* alias(std::string_view name) const { return aliases != nullptr ? aliases->find(name) : nullptr; }

  bool warning_is_fatal(std::string_view token) const;

  // Where `plugins:` declares a kind; nullptr when it doesn't.
  const Node* element_plugin(std::string_view kind) const;
  const Node* source_plugin(std::string_view kind) const;

  std::string name;
  std::string directory;     // absolute, resolved
  std::string element_path;  // absolute
  Arena arena;               // of everything below
  Options options;
  Includes includes;

  Node* element_overrides = nullptr;  // `elements:`
  Node* source_overrides = nullptr;   // `sources:`
  Node* variables = nullptr;          // with project-name, max-jobs and exported options; not expanded
  Node* environment = nullptr;        // not expanded
  std::vector<std::string> environment_nocache;
  Node* sandbox = nullptr;
  Node* split_rules = nullptr;
  Node* aliases = nullptr;  // expanded
  Node* provenance_attributes = nullptr;
  std::vector<std::string> targets;  // `defaults: targets:`
  std::vector<std::string> fatal_warnings;
  model::ShellConfig shell;
  std::vector<std::string> warnings;

 private:
  Project(std::string directory, const Platform& platform);

  Status load_file(const UserConfig& user, const std::vector<std::pair<std::string, std::string>>& options_given);
  Status check_version(const Node& config) const;
  Status load_plugins(const Node& config);
  Status load_aliases(const Node& config);
  Status load_shell(const Node& config);
  Status refuse_unsupported(const Node& config) const;

  File file_;
  File defaults_file_;
  std::unordered_map<std::string_view, const Node*> element_plugins_;
  std::unordered_map<std::string_view, const Node*> source_plugins_;
};

}  // namespace sluice::loader
