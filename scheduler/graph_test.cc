#include "scheduler/graph.h"

#include "scheduler/test_world.h"

namespace sluice::scheduler {

namespace {

std::vector<std::string> names(const model::Snapshot& snapshot,
                               const std::vector<ElementIndex>& elements) {
  std::vector<std::string> out;
  for (const ElementIndex e : elements) out.push_back(snapshot.elements[e].name);
  return out;
}

// The project of tests/golden/bst-log.
model::Snapshot small() {
  return make_snapshot({{"base.bst", {}, {}},
                        {"lib.bst", {"base.bst"}, {}},
                        {"data.bst", {"base.bst"}, {}},
                        {"app.bst", {"base.bst", "lib.bst"}, {"data.bst"}},
                        {"user.bst", {"base.bst", "app.bst"}, {}},
                        {"all.bst", {"user.bst", "app.bst"}, {"user.bst", "app.bst"}}},
                       {"all.bst"});
}

}  // namespace

TEST_CASE("the pipeline is in the order that BuildStream shows") {
  const auto snapshot = small();
  const Graph graph(snapshot);
  CHECK(names(snapshot, graph.pipeline(snapshot.targets)) ==
        std::vector<std::string>{"base.bst", "lib.bst", "data.bst", "app.bst", "user.bst",
                                 "all.bst"});
}

TEST_CASE("staging brings build dependencies, each after what it runs with") {
  const auto snapshot = small();
  const Graph graph(snapshot);
  CHECK(names(snapshot, graph.staging(4)) ==
        std::vector<std::string>{"base.bst", "data.bst", "app.bst"});
  CHECK(names(snapshot, graph.staging(5)) ==
        std::vector<std::string>{"user.bst", "data.bst", "app.bst"});
  CHECK(graph.staging(0).empty());
}

TEST_CASE("the plan starts with what lies deepest") {
  const auto snapshot = small();
  const Graph graph(snapshot);
  // Depths in build dependencies: base 3, lib 3... base lies below lib below app below user below
  // all.
  const auto plan = names(snapshot, graph.plan(snapshot.targets));
  CHECK(plan.front() == "base.bst");
  CHECK(plan.back() == "all.bst");
  CHECK(std::find(plan.begin(), plan.end(), "lib.bst") <
        std::find(plan.begin(), plan.end(), "app.bst"));
  CHECK(plan.size() == 6);
}

TEST_CASE("a chain of 100,000 elements needs no stack and no quadratic time") {
  std::vector<ElementSpec> specs{{"0", {}, {}}};
  for (int i = 1; i < 100'000; ++i) {
    const std::string below = std::to_string(i - 1);
    specs.push_back({std::to_string(i), {below}, {below}});
  }
  const auto snapshot = make_snapshot(specs, {"99999"});
  const Graph graph(snapshot);
  CHECK(graph.pipeline(snapshot.targets).size() == 100'000);
  CHECK(graph.plan(snapshot.targets).front() == 0);
  CHECK(graph.staging(99'999).size() == 99'999);
}

}  // namespace sluice::scheduler
