// What an element's lists of dependencies say, in all their forms, before anything of it
// is loaded (buildstream/_loader/loadelement.pyx).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
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

// The same element named again.
void merge(LoadDependency& dependency, LoadDependency&& other);

struct WantedDependency {
  std::string name;
  std::string junction;  // path of junctions; "" for the element's own project
  std::string path;      // both
  LoadDependency dependency;
};

// Takes the lists out of an element's node. Each name once, in order: build-depends,
// runtime-depends, depends. load/invalid-data.
Result<std::vector<WantedDependency>> take_dependencies(Node& element);

}  // namespace sluice::loader
