#include "cli/graph.h"

#include <catch2/catch.hpp>

namespace sluice::cli {
namespace {

using model::ElementIndex;
using Names = std::vector<std::string>;

struct Edge {
  ElementIndex to;
  bool build = true;
  bool runtime = true;
};

model::Snapshot snapshot_of(const std::vector<std::vector<Edge>>& elements) {
  model::Snapshot snapshot;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    model::Element element;
    element.name = element.full_name = "e" + std::to_string(i);
    for (const Edge& edge : elements[i])
      element.dependencies.push_back({edge.to, edge.build, edge.runtime, false});
    snapshot.elements.push_back(std::move(element));
  }
  return snapshot;
}

using Chain = std::vector<ElementIndex>;

TEST_CASE("Dependents are found in pipeline order") {
  const auto snapshot = snapshot_of({{}, {{0}}, {{0}, {1}}, {{2}, {0}}});
  const Graph graph(snapshot);
  CHECK(graph.find("e2") == std::optional<ElementIndex>(2));
  CHECK_FALSE(graph.find("e"));
  const auto dependents = graph.dependents(0);
  CHECK(Chain(dependents.begin(), dependents.end()) == Chain{1, 2, 3});
  CHECK(graph.dependents(3).empty());
}

TEST_CASE("Distances follow the chosen dependencies in both directions, as far as asked") {
  // 3 -> 2 (build), 2 -> 1 (run time), 1 -> 0 (both), 3 -> 0 (build)
  const auto snapshot =
      snapshot_of({{}, {{0}}, {{1, false, true}}, {{2, true, false}, {0, true, false}}});
  const Graph graph(snapshot);
  const Chain top = {3};
  const Chain bottom = {0};
  constexpr auto kNot = Graph::kUnreached;
  using Distances = std::vector<std::uint32_t>;
  CHECK(graph.distances(top, Direction::kDependencies, kAllEdges) == Distances{1, 2, 1, 0});
  CHECK(graph.distances(top, Direction::kDependencies, kAllEdges, 1) == Distances{1, kNot, 1, 0});
  CHECK(graph.distances(top, Direction::kDependencies, kAllEdges, 0) ==
        Distances{kNot, kNot, kNot, 0});
  CHECK(graph.distances(top, Direction::kDependencies, kRuntimeEdges) ==
        Distances{kNot, kNot, kNot, 0});
  CHECK(graph.distances(bottom, Direction::kDependents, kAllEdges) == Distances{0, 1, 2, 1});
  CHECK(graph.distances(bottom, Direction::kDependents, kRuntimeEdges) == Distances{0, 1, 2, kNot});
}

TEST_CASE("Chains by scope") {
  const auto snapshot =
      snapshot_of({{}, {{0}}, {{1, false, true}}, {{2, true, false}, {0, true, false}}});
  const Graph graph(snapshot);
  Graph::ToElement any(graph, 1, Scope::kAll);
  CHECK(any.shortest(3) == Chain{3, 2, 1});
  CHECK(any.length(3) == 2);
  CHECK(any.count(3) == 1);
  CHECK(any.shortest(1) == Chain{1});
  CHECK(any.shortest(0).empty());
  Graph::ToElement run(graph, 1, Scope::kRun);
  CHECK(run.length(3) == Graph::kUnreached);
  CHECK(run.shortest(2) == Chain{2, 1});
  Graph::ToElement build(graph, 1, Scope::kBuild);
  CHECK(build.shortest(3) == Chain{3, 2, 1});
  CHECK(build.shortest(2).empty());  // needs it at run time only
  CHECK(build.count(2) == 0);
  CHECK(build.count(3) == 1);
}

TEST_CASE("All chains, each once, without looking at what leads nowhere") {
  // A ladder: two ways at each of 100 steps, more chains than can be counted.
  std::vector<std::vector<Edge>> elements = {{}};
  for (ElementIndex step = 0; step < 100; ++step) {
    const ElementIndex below = step * 3;
    elements.push_back({{below}});
    elements.push_back({{below}});
    elements.push_back({{below + 1}, {below + 2}});
  }
  const auto snapshot = snapshot_of(elements);
  const Graph graph(snapshot);
  Graph::ToElement to(graph, 0, Scope::kAll);
  CHECK(to.count(3) == 2);
  CHECK(to.count(30) == 1024);
  CHECK(to.count(300) == Graph::kMany);
  std::vector<Chain> chains;
  to.all(6, 10, chains);
  CHECK(chains ==
        std::vector<Chain>{{6, 4, 3, 1, 0}, {6, 4, 3, 2, 0}, {6, 5, 3, 1, 0}, {6, 5, 3, 2, 0}});
  to.all(300, 3, chains);
  REQUIRE(chains.size() == 7);
  CHECK(chains.back().size() == 201);
}

TEST_CASE("A chain of 100,000 is walked, not recursed into") {
  std::vector<std::vector<Edge>> elements = {{}};
  for (ElementIndex i = 1; i < 100'000; ++i) elements.push_back({{i - 1}});
  const auto snapshot = snapshot_of(elements);
  const Graph graph(snapshot);
  Graph::ToElement to(graph, 0, Scope::kAll);
  CHECK(to.shortest(99'999).size() == 100'000);
  CHECK(to.count(99'999) == 1);
  std::vector<Chain> chains;
  to.all(99'999, 10, chains);
  CHECK(chains.size() == 1);
}

}  // namespace
}  // namespace sluice::cli
