// Who needs whom in a snapshot, in both directions: what `why`, `query` and `explain` walk.
//
// Nothing here recurses, and every walk looks at each dependency once: a project of 100,000
// elements is walked in milliseconds, a chain of them as well as any other shape.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/model.h"

namespace sluice::cli {

// Which dependencies are followed; a dependency may be of both types.
inline constexpr unsigned kBuildEdges = 1;
inline constexpr unsigned kRuntimeEdges = 2;
inline constexpr unsigned kAllEdges = kBuildEdges | kRuntimeEdges;

// bst's --deps: which chains bring an element in. kRun: run-time dependencies only; kBuild: a build
// dependency, then what that needs at run time; kAll: any.
enum class Scope { kRun, kBuild, kAll };

enum class Direction { kDependencies, kDependents };

class Graph {
 public:
  static constexpr std::uint32_t kUnreached = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint64_t kMany = std::numeric_limits<std::uint64_t>::max();

  // `snapshot` must outlive this.
  explicit Graph(const model::Snapshot& snapshot);

  // The element of that full name ("junction.bst:base/zlib.bst").
  std::optional<model::ElementIndex> find(std::string_view full_name) const;
  // The elements that depend on one, in pipeline order.
  std::span<const model::ElementIndex> dependents(model::ElementIndex element) const;

  // For each element how many dependencies it is away from the nearest of `starts`, at most
  // `depth`; else kUnreached.
  std::vector<std::uint32_t> distances(std::span<const model::ElementIndex> starts,
                                       Direction direction, unsigned edges,
                                       std::uint32_t depth = kUnreached - 1) const;

  // Chains of dependencies that lead to one element in a scope, both ends included.
  class ToElement {
   public:
    ToElement(const Graph& graph, model::ElementIndex to, Scope scope);
    // How many dependencies the shortest chain from `from` has; kUnreached when there is none.
    std::uint32_t length(model::ElementIndex from) const;
    // A shortest chain; of equally short ones the one that comes first by the order of
    // dependencies. Empty when there is none.
    std::vector<model::ElementIndex> shortest(model::ElementIndex from) const;
    // How many different chains there are; kMany when it's that or more.
    std::uint64_t count(model::ElementIndex from);
    // The first `limit` of them, in the order of dependencies, added to `out`.
    void all(model::ElementIndex from, std::size_t limit,
             std::vector<std::vector<model::ElementIndex>>& out) const;

   private:
    // Whether a chain can go on along a dependency, as its first step or a later one.
    bool leads(const model::Dependency& dependency, bool first) const;

    const model::Snapshot& snapshot_;
    model::ElementIndex to_;
    Scope scope_;
    std::vector<std::uint32_t> distances_;  // by chains' later steps
    std::vector<std::uint64_t> counts_;
  };

  const model::Snapshot& snapshot() const { return snapshot_; }

 private:
  const model::Snapshot& snapshot_;
  std::unordered_map<std::string_view, model::ElementIndex> names_;
  // The dependents of element i: dependents_[first_[i]] to before first_[i + 1].
  std::vector<std::uint32_t> first_;
  std::vector<model::ElementIndex> dependents_;
  std::vector<std::uint8_t> edges_;  // of each of them
};

inline unsigned edges_of(const model::Dependency& dependency) {
  return (dependency.build ? kBuildEdges : 0) | (dependency.runtime ? kRuntimeEdges : 0);
}

// A dependency's types in words: "build", "runtime" or "build, runtime", and ", strict".
std::string words_of(const model::Dependency& dependency);

}  // namespace sluice::cli
