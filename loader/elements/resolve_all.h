// Resolving everything that is reachable from some roots. No element is looked at to resolve
// another, so all processors take part.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/elements/element.h"
#include "loader/elements/graph.h"
#include "model/model.h"

namespace sluice::loader {

using PackBody = std::function<std::string(const model::ElementBody&)>;

class ResolveAll {
 public:
  // All must outlive this. `pack` packs bodies as soon as they are complete, in any thread; it may
  // be empty. `resolved` is filled, by LoadIndex.
  ResolveAll(Graph& graph, ElementResolver& resolver, const Bodies& bodies, const PackBody& pack,
             std::vector<ResolvedElement>& resolved)
      : graph_(graph), resolver_(resolver), bodies_(bodies), pack_(pack), resolved_(resolved) {}

  // Does what may load projects or look for plugins, in this thread. False when that fails: then
  // in_turn() says why.
  bool prepare(const std::vector<LoadIndex>& roots);

  // Resolves one after the other in the order in which BuildStream makes its elements, each before
  // what it depends on. So its first error is BuildStream's.
  Status in_turn();

  // Resolves all that is prepared, by all processors. `take` gets those of `first` in their order,
  // in this thread, while the others go on: but not too far, so that what was taken can be freed.
  // The error is that of any element, or of `take`.
  Status at_once(const std::vector<LoadIndex>& first, const std::function<Status(LoadIndex)>& take);

 private:
  static constexpr std::size_t kTogether = 32;  // elements of a chunk
  static constexpr std::size_t kAhead = 64;     // chunks
  static constexpr std::size_t kMostThreads = 16;

  void order(const std::vector<LoadIndex>& roots);
  Status resolve(ElementResolver& resolver, LoadIndex index);

  Graph& graph_;
  ElementResolver& resolver_;
  const Bodies& bodies_;
  const PackBody& pack_;
  std::vector<ResolvedElement>& resolved_;
  std::vector<LoadIndex> order_;
  std::optional<LoadIndex> failed_at_;
  Status failure_;
};

}  // namespace sluice::loader
