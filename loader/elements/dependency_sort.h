// The order of an element's direct dependencies, which is part of cache keys.
//
// BuildStream sorts them so that what another of them depends on comes first, then
// those that are needed at build time, then by name. Of one name, those of other projects
// come before the toplevel's, by the names that their junctions have in the projects where
// these are: two may be equal in all of that. It is no consistent order either: of
// three dependencies, name may put the first two one way and dependency the third
// another. So the result depends on the algorithm, and BuildStream pins it: the merge
// sort of Python's lists (as of CPython 3.11). It is the same here, comparison by comparison.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "loader/elements/graph.h"

namespace sluice::loader {

// Which elements an element depends on, through others too. A closure is computed when it is asked
// for.
class Reachability {
 public:
  explicit Reachability(const std::vector<LoadElement>& elements);

  bool depends(LoadIndex element, LoadIndex on);

 private:
  // A set of elements: bits while graphs are small, sorted ranges beyond, since elements are
  // numbered in depth-first order and closures so lie together.
  struct Set {
    bool known = false;
    std::vector<std::uint64_t> bits;
    std::vector<std::pair<LoadIndex, LoadIndex>> ranges;  // [begin, end)
  };

  void compute(LoadIndex element);
  void unite(LoadIndex element);

  const std::vector<LoadElement>& elements_;
  std::vector<Set> sets_;
  bool small_;
};

class DependencySorter {
 public:
  explicit DependencySorter(const std::vector<LoadElement>& elements)
      : elements_(elements), reach_(elements) {}

  void sort(std::vector<LoadDependency>& dependencies);

 private:
  bool less(const LoadDependency& a, const LoadDependency& b);

  const std::vector<LoadElement>& elements_;
  Reachability reach_;
};

}  // namespace sluice::loader
