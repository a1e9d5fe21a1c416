// Elements as their files say, and what they depend on: every file that is reachable
// from the targets, read once, its dependencies found, checked for cycles and put in the
// order that BuildStream gives them (buildstream/_loader/).
//
// A Graph has the elements of all projects; project_loader.h finds them, one for each project.
// Nothing here recurses over dependencies: chains may be as long as they like.
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
  // What the file says, includes and conditionals resolved, dependencies removed. Null while that
  // is packed: then nothing that is in it is there.
  Node* node = nullptr;
  std::string_view packed;
  std::shared_ptr<Arena> arena;               // of the tree, packed or not
  const SourceKinds* source_kinds = nullptr;  // the graph's
  std::vector<LoadDependency> dependencies;
  // Junctions and links, which are made before their project is complete.
  bool first_pass = false;
  const Node* link_target = nullptr;  // of a link
  bool expanded = false;              // its dependencies are loaded, or being loaded

  // With the junctions that lead to it.
  std::string full_name() const;
  // The tree, made again in another arena if it is packed; it is gone when this is, or when the
  // element is forgotten.
  Node* unpack(Arena& scratch) const;
  // When all is done that needs what the file says.
  void forget();
  bool forgotten() const { return node == nullptr && packed.empty(); }
};

// What a Graph asks for as it meets junctions and links; see subprojects.h.
class FirstPass {
 public:
  virtual ~FirstPass() = default;
  // The target of a link.
  virtual Result<const Node*> link_target(LoadElement& link) = 0;
  // The project behind a junction, loaded. `at` is who asks for it.
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

  // Loads the targets and everything they need; their indices, in the order given.
  // May be called again for more (--except).
  Result<std::vector<LoadIndex>> load(const std::vector<std::string>& targets);

  const std::vector<LoadElement>& elements() const { return elements_; }
  std::vector<LoadElement>& elements() { return elements_; }
  LoadElement& at(LoadIndex index) { return elements_[index]; }

  // Every project, in the order of loading; the toplevel first.
  const std::vector<std::unique_ptr<ProjectLoader>>& loaders() const { return loaders_; }
  // The same projects as BuildStream lists them: those of one name together.
  std::vector<Project*> projects() const;
  // load/conflicting-junction when a project is loaded more than once without leave. May load.
  Status assert_no_conflicts();

  // How deep a ProjectLoader is in following links and the like.
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

  // For ProjectLoader.
  LoadIndex add(LoadElement element);
  const File& add_file(File file);
  // For the trees of elements; of a few each.
  std::shared_ptr<Arena> arena();
  // Puts away an element's tree when nothing looks at it until the element is resolved. Others may
  // refer to what junctions and links say, and dependencies to their `config`.
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
  std::vector<bool> validated_;  // on no cycle
  std::vector<bool> sorted_;
  std::vector<std::unique_ptr<Project>> projects_;  // but the toplevel
  std::vector<std::unique_ptr<ProjectLoader>> loaders_;
  std::vector<std::unique_ptr<File>> files_;
  std::shared_ptr<Arena> arena_;
  Arena texts_;
  std::string packing_;
  // packed trees; many lie together, so that they can be given back
  std::shared_ptr<Arena> packed_;
  std::map<std::string, SourceKinds> source_kinds_;  // by all that they say
};

}  // namespace sluice::loader
