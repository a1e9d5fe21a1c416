// Include directives, `(@)`: a file or a list of files whose maps lie below the map that names
// them. Paths are relative to the project; "junction.bst:file.yml" is a file of a subproject, whose
// variables and options apply in it. Each file is read, parsed and given its values once, as
// whoever is first to include it finds it: what its own project's files include keeps its
// variables. A project has one Includes for project.conf and another for elements, which share
// nothing.
//
// Errors: load/recursive-include, load/missing-file and what parsing gives, at the include.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"

namespace sluice::loader {

class Project;

class Includes {
 public:
  // Included trees live in the project's arena. Files are named in errors as the directive names
  // them.
  explicit Includes(Project& project) : project_(&project) {}

  enum class Mode {
    // of an element: conditionals are evaluated too, those of `node` first, those of included files
    // before they are laid below
    kElement,
    kProject,    // of project.conf: only those of files of subprojects
    kFirstPass,  // of project.conf: includes of files of subprojects are passed over
  };

  // Resolves every include in `node`, in place.
  Status process(Arena& arena, Node& node, Mode mode);

  // Whether the first pass left an include out.
  bool passed_over() const { return passed_over_; }

 private:
  struct Walk {
    Arena& arena;
    bool only_local;
  };
  struct IncludedFile {
    Node* node = nullptr;
    Project* project = nullptr;
  };

  Status process_tree(const Walk& walk, Node& node, Project& current, bool conditionals);
  Status process_node(const Walk& walk, Node& node, Project& current, bool conditionals);
  Status process_value(const Walk& walk, Node& value, Project& current, bool conditionals);
  Result<IncludedFile> load(const Node& include, Project& current, std::string& path);

  Project* project_;
  std::map<std::pair<Project*, std::string>, Node*> loaded_;
  std::vector<std::unique_ptr<File>> files_;
  std::vector<std::string> active_;
  std::size_t expansions_ = 0;
  std::size_t began_at_ = 0;  // bytes of the arena when the walk began
  bool passed_over_ = false;
};

}  // namespace sluice::loader
