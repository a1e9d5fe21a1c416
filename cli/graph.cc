#include "cli/graph.h"

#include <algorithm>

namespace sluice::cli {

using model::ElementIndex;

Graph::Graph(const model::Snapshot& snapshot)
    : snapshot_(snapshot), first_(snapshot.elements.size() + 1) {
  const auto& elements = snapshot.elements;
  names_.reserve(elements.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    names_.emplace(elements[i].full_name, static_cast<ElementIndex>(i));
    for (const auto& dependency : elements[i].dependencies) ++first_[dependency.element + 1];
    count += elements[i].dependencies.size();
  }
  for (std::size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  dependents_.resize(count);
  edges_.resize(count);
  std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    for (const auto& dependency : elements[i].dependencies) {
      const std::uint32_t at = next[dependency.element]++;
      dependents_[at] = static_cast<ElementIndex>(i);
      edges_[at] = static_cast<std::uint8_t>(edges_of(dependency));
    }
  }
}

std::optional<ElementIndex> Graph::find(std::string_view full_name) const {
  const auto found = names_.find(full_name);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

std::span<const ElementIndex> Graph::dependents(ElementIndex element) const {
  return std::span(dependents_).subspan(first_[element], first_[element + 1] - first_[element]);
}

std::vector<std::uint32_t> Graph::distances(std::span<const ElementIndex> starts,
                                            Direction direction, unsigned edges,
                                            std::uint32_t depth) const {
  std::vector<std::uint32_t> distances(snapshot_.elements.size(), kUnreached);
  std::vector<ElementIndex> queue;
  for (const ElementIndex start : starts) {
    if (distances[start] == 0) continue;
    distances[start] = 0;
    queue.push_back(start);
  }
  const auto reach = [&](ElementIndex element, std::uint32_t distance) {
    if (distances[element] != kUnreached) return;
    distances[element] = distance;
    queue.push_back(element);
  };
  for (std::size_t at = 0; at < queue.size(); ++at) {
    const ElementIndex element = queue[at];
    if (distances[element] >= depth) break;
    if (direction == Direction::kDependencies) {
      for (const auto& dependency : snapshot_.elements[element].dependencies) {
        if ((edges_of(dependency) & edges) != 0) reach(dependency.element, distances[element] + 1);
      }
    } else {
      for (std::uint32_t i = first_[element]; i < first_[element + 1]; ++i) {
        if ((edges_[i] & edges) != 0) reach(dependents_[i], distances[element] + 1);
      }
    }
  }
  return distances;
}

Graph::ToElement::ToElement(const Graph& graph, ElementIndex to, Scope scope)
    : snapshot_(graph.snapshot_), to_(to), scope_(scope),
      distances_(graph.distances(std::span(&to, 1), Direction::kDependents,
                                 scope == Scope::kAll ? kAllEdges : kRuntimeEdges)) {}

bool Graph::ToElement::leads(const model::Dependency& dependency, bool first) const {
  if (distances_[dependency.element] == kUnreached) return false;
  if (scope_ == Scope::kAll) return true;
  return scope_ == Scope::kBuild && first ? dependency.build : dependency.runtime;
}

std::uint32_t Graph::ToElement::length(ElementIndex from) const {
  if (scope_ != Scope::kBuild) return distances_[from];
  std::uint32_t best = kUnreached;
  for (const auto& dependency : snapshot_.elements[from].dependencies) {
    if (leads(dependency, true)) best = std::min(best, distances_[dependency.element] + 1);
  }
  return best;
}

std::vector<ElementIndex> Graph::ToElement::shortest(ElementIndex from) const {
  std::uint32_t left = length(from);
  if (left == kUnreached) return {};
  std::vector<ElementIndex> chain = {from};
  while (left > 0) {
    --left;
    for (const auto& dependency : snapshot_.elements[chain.back()].dependencies) {
      if (!leads(dependency, chain.size() == 1) || distances_[dependency.element] != left) continue;
      chain.push_back(dependency.element);
      break;
    }
  }
  return chain;
}

std::uint64_t Graph::ToElement::count(ElementIndex from) {
  const auto add = [](std::uint64_t& sum, std::uint64_t more) {
    sum = sum > kMany - more ? kMany : sum + more;
  };
  if (counts_.empty()) {
    // Elements come after their dependencies, so one pass counts.
    counts_.resize(snapshot_.elements.size());
    counts_[to_] = 1;
    for (std::size_t i = to_ + std::size_t{1}; i < counts_.size(); ++i) {
      for (const auto& dependency : snapshot_.elements[i].dependencies) {
        if (leads(dependency, false)) add(counts_[i], counts_[dependency.element]);
      }
    }
  }
  if (scope_ != Scope::kBuild) return counts_[from];
  std::uint64_t sum = 0;
  for (const auto& dependency : snapshot_.elements[from].dependencies) {
    if (leads(dependency, true)) add(sum, counts_[dependency.element]);
  }
  return sum;
}

void Graph::ToElement::all(ElementIndex from, std::size_t limit,
                           std::vector<std::vector<ElementIndex>>& out) const {
  if (length(from) == kUnreached) return;
  const std::size_t end = out.size() + limit;
  struct Step {
    ElementIndex element;
    std::size_t next = 0;  // dependency to try
  };
  std::vector<Step> path = {{from}};
  while (!path.empty() && out.size() < end) {
    Step& step = path.back();
    // Dependencies of `to_` never lead back to it.
    if (step.element == to_) {
      auto& chain = out.emplace_back();
      for (const Step& each : path) chain.push_back(each.element);
      path.pop_back();
      continue;
    }
    const auto& dependencies = snapshot_.elements[step.element].dependencies;
    while (step.next < dependencies.size() && !leads(dependencies[step.next], path.size() == 1))
      ++step.next;
    if (step.next == dependencies.size()) {
      path.pop_back();
    } else {
      const ElementIndex next = dependencies[step.next++].element;
      path.push_back({next});
    }
  }
}

std::string words_of(const model::Dependency& dependency) {
  std::string words = dependency.build ? "build" : "";
  if (dependency.runtime) words += words.empty() ? "runtime" : ", runtime";
  if (dependency.strict) words += ", strict";
  return words;
}

}  // namespace sluice::cli
