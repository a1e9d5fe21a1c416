// What an element's lists of dependencies say, in all their forms, before anything of it
// is loaded (buildstream/_loader/loadelement.pyx).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/yaml.h"

namespace sluice::loader {

// An index into Graph::elements(), in the order of loading.
using LoadIndex = std::uint32_t;

// One element that another depends on.
struct LoadDependency {
  static constexpr std::uint8_t kBuild = 1;
  static constexpr std::uint8_t kRuntime = 2;

  LoadIndex element = 0;
  std::uint8_t type = 0;  // kBuild, kRuntime or both of them
  bool strict = false;
  std::string_view path;  // as the element names it; the text lives as long as the graph
  Mark mark;              // where it is named first
  // The `config` of each time that it is named, which is rare; null for none. The nodes are in the
  // element's tree.
  std::unique_ptr<std::vector<Node*>> configs;
};

// Adds what another naming of the same element says.
void merge(LoadDependency& dependency, LoadDependency&& other);

struct WantedDependency {
  std::string_view name;
  std::string_view junction;   // the junctions, "a.bst:b.bst"; "" for the element's own project
  const Node* node = nullptr;  // where it is named first
  LoadDependency dependency;   // `path` of it is in the element's tree
};

// Takes the lists out of an element's node, each name once, in the order build-depends,
// runtime-depends, depends. `arena` is that of the element's tree. Errors: load/invalid-data.
Result<std::vector<WantedDependency>> take_dependencies(Arena& arena, Node& element);

}  // namespace sluice::loader
