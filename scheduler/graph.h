// The snapshot's dependencies as flat arrays, and BuildStream's orders over them.
//
// Nothing here recurses (chains may be as deep as there are elements) and each order costs what it
// visits. Not thread-safe: the orders share scratch space.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace sluice::scheduler {

using model::ElementIndex;

class Graph {
 public:
  Graph() = default;
  explicit Graph(const model::Snapshot& snapshot);

  std::size_t size() const { return count_; }
  // Direct dependencies, in the order in which the element declares them.
  std::span<const ElementIndex> build(ElementIndex e) const { return build_.of(e); }
  std::span<const ElementIndex> runtime(ElementIndex e) const { return runtime_.of(e); }
  // The elements that depend directly upon `e`.
  std::span<const ElementIndex> build_users(ElementIndex e) const { return build_users_.of(e); }
  std::span<const ElementIndex> runtime_users(ElementIndex e) const { return runtime_users_.of(e); }

  // Element.dependencies(Scope.BUILD): what is staged to build `e`, in staging order: each build
  // dependency after what it needs to run.
  std::vector<ElementIndex> staging(ElementIndex e) const;
  // Scope.ALL over several targets: the pipeline as `show` lists it.
  std::vector<ElementIndex> pipeline(std::span<const ElementIndex> targets) const;
  // The plan of `bst build`: everything below `roots`, what lies under the most build dependencies
  // first, else as first met.
  std::vector<ElementIndex> plan(std::span<const ElementIndex> roots) const;

 private:
  struct Edges {
    std::vector<std::uint32_t> offsets;
    std::vector<ElementIndex> targets;
    std::span<const ElementIndex> of(ElementIndex e) const {
      return {targets.data() + offsets[e], targets.data() + offsets[e + 1]};
    }
    void reverse_of(const Edges& edges, std::size_t count);
  };
  enum class Follow : std::uint8_t { kRuntime, kBuildThenRuntime, kRuntimeThenBuild };
  void next_visit() const;
  void post_order(ElementIndex root, Follow follow, std::vector<ElementIndex>& out) const;

  std::size_t count_ = 0;
  Edges build_, runtime_, build_users_, runtime_users_;
  // seen_[e] == visit_: visited by the order that is being made.
  mutable std::vector<std::uint32_t> seen_;
  mutable std::uint32_t visit_ = 0;
  mutable std::vector<std::pair<ElementIndex, std::uint32_t>> stack_;
};

}  // namespace sluice::scheduler
