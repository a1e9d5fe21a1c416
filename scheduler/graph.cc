#include "scheduler/graph.h"

#include <algorithm>

namespace sluice::scheduler {

void Graph::Edges::reverse_of(const Edges& edges, std::size_t count) {
  offsets.assign(count + 1, 0);
  for (const ElementIndex target : edges.targets) ++offsets[target + 1];
  for (std::size_t i = 0; i < count; ++i) offsets[i + 1] += offsets[i];
  targets.resize(edges.targets.size());
  std::vector<std::uint32_t> next(offsets.begin(), offsets.end() - 1);
  for (ElementIndex e = 0; e < count; ++e) {
    for (const ElementIndex target : edges.of(e)) targets[next[target]++] = e;
  }
}

Graph::Graph(const model::Snapshot& snapshot) : count_(snapshot.elements.size()), seen_(count_, 0) {
  for (Edges* edges : {&build_, &runtime_}) {
    edges->offsets.reserve(count_ + 1);
    edges->offsets.push_back(0);
    for (const auto& element : snapshot.elements) {
      for (const auto& dependency : element.dependencies) {
        if (edges == &build_ ? dependency.build : dependency.runtime)
          edges->targets.push_back(dependency.element);
      }
      edges->offsets.push_back(static_cast<std::uint32_t>(edges->targets.size()));
    }
  }
  build_users_.reverse_of(build_, count_);
  runtime_users_.reverse_of(runtime_, count_);
}

void Graph::next_visit() const {
  if (++visit_ != 0) return;
  std::fill(seen_.begin(), seen_.end(), 0);
  visit_ = 1;
}

// Depth first; an element comes after all that it leads to. The stack holds how many of an
// element's edges were followed.
void Graph::post_order(ElementIndex root, Follow follow, std::vector<ElementIndex>& out) const {
  if (seen_[root] == visit_) return;
  seen_[root] = visit_;
  stack_.assign(1, {root, 0});
  while (!stack_.empty()) {
    const ElementIndex element = stack_.back().first;
    const std::uint32_t position = stack_.back().second++;
    std::span<const ElementIndex> first = runtime(element);
    std::span<const ElementIndex> second;
    if (follow == Follow::kBuildThenRuntime) {
      second = first;
      first = build(element);
    } else if (follow == Follow::kRuntimeThenBuild) {
      second = build(element);
    }
    if (position >= first.size() + second.size()) {
      out.push_back(element);
      stack_.pop_back();
      continue;
    }
    const ElementIndex next =
        position < first.size() ? first[position] : second[position - first.size()];
    if (seen_[next] == visit_) continue;
    seen_[next] = visit_;
    stack_.emplace_back(next, 0);
  }
}

std::vector<ElementIndex> Graph::staging(ElementIndex e) const {
  next_visit();
  std::vector<ElementIndex> out;
  for (const ElementIndex dependency : build(e)) post_order(dependency, Follow::kRuntime, out);
  return out;
}

std::vector<ElementIndex> Graph::pipeline(std::span<const ElementIndex> targets) const {
  next_visit();
  std::vector<ElementIndex> out;
  for (const ElementIndex target : targets) post_order(target, Follow::kBuildThenRuntime, out);
  return out;
}

std::vector<ElementIndex> Graph::plan(std::span<const ElementIndex> roots) const {
  next_visit();
  std::vector<ElementIndex> out;
  for (const ElementIndex root : roots) post_order(root, Follow::kRuntimeThenBuild, out);
  // Users have larger indices than what they use, so going down settles each element's depth before
  // it is handed on.
  std::vector<std::uint32_t> depth(count_, 0);
  std::vector<ElementIndex> down(out);
  std::sort(down.begin(), down.end(), std::greater<>());
  for (const ElementIndex e : down) {
    for (const ElementIndex d : runtime(e)) depth[d] = std::max(depth[d], depth[e]);
    for (const ElementIndex d : build(e)) depth[d] = std::max(depth[d], depth[e] + 1);
  }
  std::stable_sort(out.begin(), out.end(),
                   [&](ElementIndex a, ElementIndex b) { return depth[a] > depth[b]; });
  return out;
}

}  // namespace sluice::scheduler
