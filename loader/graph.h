// Elements as their files say, and what they depend on: every file that is reachable
// from the targets, read once, its dependencies found, checked for cycles and put in the
// order that BuildStream gives them (buildstream/_loader/).
//
// Nothing here recurses over dependencies: chains may be as long as they like.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/project.h"
#include "loader/tree.h"

namespace sluice::loader {

// Index into Graph::elements(), in the order of loading.
using LoadIndex = std::uint32_t;

// One element that another depends on.
struct LoadDependency {
  static constexpr std::uint8_t kBuild = 1;
  static constexpr std::uint8_t kRuntime = 2;

  LoadIndex element = 0;
  std::uint8_t type = 0;  // kBuild, kRuntime or both
  bool strict = false;
  std::string path;            // as the element names it
  std::vector<Node*> configs;  // `config` of each time it is named
  const Node* node = nullptr;  // where it is named first
};

struct LoadElement {
  std::string name;  // relative to the element path, normalized
  std::string full_name;
  std::string kind;
  std::string description;
  Project* project = nullptr;
  Node* node = nullptr;  // includes and conditionals resolved, dependencies removed
  std::vector<LoadDependency> dependencies;
};

class Graph {
 public:
  explicit Graph(Project& project) : project_(&project) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Loads the targets and everything they need; their indices, in the order given.
  // May be called again for more (--except).
  Result<std::vector<LoadIndex>> load(const std::vector<std::string>& targets);

  const std::vector<LoadElement>& elements() const { return elements_; }
  std::vector<LoadElement>& elements() { return elements_; }
  LoadElement& at(LoadIndex index) { return elements_[index]; }

 private:
  // What an element's dependency lists say, before anything is loaded.
  struct Wanted {
    std::string name;
    std::string junction;
    std::string path;
    LoadDependency dependency;
  };

  Result<LoadIndex> load_tree(const std::string& name, const Node* at);
  // Reads one file, if that hasn't been done. `at` is who asks for it.
  Result<LoadIndex> load_file(const std::string& name, const Node* at);
  Result<std::vector<Wanted>> take_dependencies(LoadElement& element);
  Status take_list(Node& element, std::string_view key, std::uint8_t type, std::vector<Wanted>& wanted,
                   std::unordered_map<std::string, std::size_t>& seen);
  Status check_cycles(const std::vector<LoadIndex>& targets);
  void sort_dependencies(LoadIndex first);

  Project* project_;
  std::vector<LoadElement> elements_;
  std::vector<bool> expanded_;   // dependencies loaded, or being loaded
  std::vector<bool> validated_;  // on no cycle
  std::vector<bool> sorted_;
  std::unordered_map<std::string, LoadIndex> by_name_;
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace sluice::loader
