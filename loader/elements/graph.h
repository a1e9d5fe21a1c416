// Elements as their files say, and what they depend on: every file that is reachable from the
// targets, read once, its dependencies found, checked for cycles and put in the order that
// BuildStream gives them (buildstream/_loader/).
//
// A Graph has the elements of all projects. A ProjectLoader (project_loader.h) for each project
// finds them. Nothing here recurses over dependencies: chains may be as long as they like.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/elements/dependencies.h"
#include "loader/project/project.h"
#include "loader/yaml.h"

namespace sluice::loader {

class ProjectLoader;

// The kinds of an element's sources, in their order. Few combinations are in use, so elements share
// them.
struct SourceKinds {
  std::vector<std::string> kinds;
  std::vector<Mark> marks;  // of the sources of the first element that has this combination
  bool complete = true;     // false when something that should be a source with a kind isn't
};

struct LoadElement {
  std::string name;  // relative to the element path, normalized
  std::string kind;
  Project* project = nullptr;
  Mark mark;
  // What the file says, includes and conditionals resolved, dependencies removed. It is null while
  // it is packed, and then no node in it can be looked at.
  Node* node = nullptr;
  std::string_view packed;
  std::shared_ptr<Arena> arena;               // of the tree, packed or not
  const SourceKinds* source_kinds = nullptr;  // owned by the graph
  std::vector<LoadDependency> dependencies;
  // Whether it is a junction or link, which are made before their project is complete.
  bool first_pass = false;
  const Node* link_target = nullptr;  // of a link
  bool expanded = false;              // its dependencies are loaded, or being loaded

  // The name with the junctions that lead to the element.
  std::string full_name() const;
  // The tree, made again in another arena if it is packed. It is gone when `scratch` is, or when
  // the element is forgotten.
  Node* unpack(Arena& scratch) const;
  // Frees the tree, when all is done that needs what the file says.
  void forget();
  bool forgotten() const { return node == nullptr && packed.empty(); }
};

// What a Graph asks for as it meets junctions and links; see subprojects.h.
class FirstPass {
 public:
  virtual ~FirstPass() = default;
  // The target of a link, a node of its configuration.
  virtual Result<const Node*> link_target(LoadElement& link) = 0;
  // The project behind a junction, loaded. `at` is who asks for it, null for the command line.
  virtual Result<std::unique_ptr<Project>> open(LoadIndex junction, const Node* at) = 0;
};

class Graph {
 public:
  // `toplevel` must outlive this; `first_pass` may be set later, before anything is loaded.
  explicit Graph(Project& toplevel);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void set_first_pass(FirstPass* first_pass) { first_pass_ = first_pass; }
  FirstPass& first_pass() { return *first_pass_; }

  // Loads the targets and everything they need. The result is their indices, in the order given.
  // May be called again for more (--except).
  Result<std::vector<LoadIndex>> load(const std::vector<std::string>& targets);

  const std::vector<LoadElement>& elements() const { return elements_; }
  std::vector<LoadElement>& elements() { return elements_; }
  LoadElement& at(LoadIndex index) { return elements_[index]; }

  // The loader of every project, in the order of loading; the toplevel's first.
  const std::vector<std::unique_ptr<ProjectLoader>>& loaders() const { return loaders_; }
  // The same projects as BuildStream lists them: those of one name together.
  std::vector<Project*> projects() const;
  // Fails with load/conflicting-junction when a project is loaded more than once without leave.
  // This may load projects.
  Status assert_no_conflicts();

  // Counts how deep ProjectLoaders are in following links and the like, while it lives.
  class Deeper {
   public:
    explicit Deeper(Graph& graph) : depth_(graph.depth_) { ++depth_; }
    ~Deeper() { --depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    unsigned depth() const { return depth_; }

   private:
    unsigned& depth_;
  };

  // What follows is for ProjectLoader.
  LoadIndex add(LoadElement element);
  const File& add_file(File file);
  // An arena for the trees of a few elements.
  std::shared_ptr<Arena> arena();
  // Packs an element's tree when nothing looks at it until the element is resolved. The trees of
  // junctions and links stay, for others refer to what they say; so do those of elements whose
  // dependencies have a `config`.
  void pack(LoadElement& element);
  const SourceKinds* source_kinds(const Node& element);
  std::string_view keep(std::string_view text) { return texts_.copy(text); }
  ProjectLoader& add_loader(std::unique_ptr<Project> project, ProjectLoader& parent);

 private:
  Status check_cycles(const std::vector<LoadIndex>& targets);
  void sort_dependencies(LoadIndex first);

  FirstPass* first_pass_ = nullptr;
  unsigned depth_ = 0;
  std::vector<LoadElement> elements_;
  std::vector<bool> validated_;  // elements that are on no cycle
  std::vector<bool> sorted_;
  std::vector<std::unique_ptr<Project>> projects_;  // all but the toplevel
  std::vector<std::unique_ptr<ProjectLoader>> loaders_;
  std::vector<std::unique_ptr<File>> files_;
  std::shared_ptr<Arena> arena_;
  Arena texts_;
  std::string packing_;
  // Packed trees, of which many lie together, so that their memory can be given back.
  std::shared_ptr<Arena> packed_;
  std::map<std::string, SourceKinds> source_kinds_;  // by the text of kinds and marks
};

}  // namespace sluice::loader
