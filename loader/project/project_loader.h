// Finds the elements of one project, and the projects behind its junctions, by names that may lead
// across junctions, links and overrides (buildstream/_loader/loader.py).
//
// A junction's project is loaded when the first name that leads through it is met. An element may
// be overridden by any project above its own, the topmost wins; a junction so overridden leads to
// the same project as the one that takes its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "loader/elements/graph.h"

namespace sluice::loader {

class ProjectLoader {
 public:
  // Both must outlive this, which registers itself as the project's loader. `parent` is that of the
  // junction's project, null for the toplevel.
  ProjectLoader(Graph& graph, Project& project, ProjectLoader* parent);
  ProjectLoader(const ProjectLoader&) = delete;
  ProjectLoader& operator=(const ProjectLoader&) = delete;

  Project* project() const { return project_; }

  // In all of these `at` is who asks, null for the command line. With `load` false no project is
  // loaded: the answer is then nullptr or nullopt when one would have to be.

  // The loader behind a path of junctions, "a.bst:b.bst".
  Result<ProjectLoader*> get_loader(const std::string& path, const Node* at, bool load = true);

  // Loads an element and everything that it depends on; links and overrides are followed.
  Result<std::optional<LoadIndex>> load_file(const std::string& name, const Node* at, bool load);

  struct Place {
    ProjectLoader* loader = nullptr;
    std::string name;  // normalized
  };
  Result<Place> parse_name(const std::string& name, const Node* at, bool load);

  // Every loader above from which this project can be reached by a path.
  std::vector<ProjectLoader*> ancestors() const;
  // Whether this project declares that of `loader` to be a duplicate, or internal.
  Result<bool> duplicates(const ProjectLoader& loader);
  Result<bool> internalizes(const ProjectLoader& loader);
  // The project, its junction and who asked for it, for messages.
  std::string describe() const;

 private:
  struct Override {
    ProjectLoader* loader = nullptr;  // whose junction says so
    const Node* target = nullptr;
  };

  // Reads one file. With `only_first_pass` the answer is nullopt for what is no junction or link.
  Result<std::optional<LoadIndex>> read_file(const std::string& name, const Node* at,
                                             bool only_first_pass);
  // The tree of an element's file.
  Result<Node*> read_tree(const std::string& name, Arena& arena);
  Result<std::optional<LoadIndex>> load_one(const std::string& name, const Node* at, bool load);
  Status missing(const std::string& name, const Node* at) const;

  Result<ProjectLoader*> get_own_loader(const std::string& name, const Node* at, bool load);
  Result<ProjectLoader*> open_junction(LoadIndex junction, const Node* at);

  void resolve_link(const std::string& link, const std::string& target);
  std::string expand_link(const std::string& path) const;

  const Node* find_local_override(const std::string& path) const;
  // The overrides of an element, that of the closest project above first.
  std::vector<Override> find_overrides(const std::string& name) const;
  Result<ProjectLoader*> find_override_loader(const std::string& name);
  Result<std::optional<LoadIndex>> find_override_element(const std::string& name);
  // Reads what overrides name, as far as its project is loaded, since it may be links.
  Status read_overrides();
  struct Link {
    std::string path;
    const Node* node = nullptr;  // null: no link
  };
  Result<Link> read_path(const std::string& path, const Node* at);
  Result<bool> leads_to(const Node* paths, const ProjectLoader& loader);

  Graph& graph_;
  Project* project_;
  ProjectLoader* parent_;
  std::vector<ProjectLoader*> alternative_parents_;
  std::unordered_map<std::string, LoadIndex> elements_;
  std::vector<std::pair<std::string, std::string>> links_;  // in the order found
  std::unordered_map<std::string, ProjectLoader*> loaders_;
  std::unordered_map<std::string, const Node*> searching_;
};

}  // namespace sluice::loader
