#include "loader/elements/selection.h"

#include <algorithm>

namespace sluice::loader {

namespace {

class Walk {
 public:
  explicit Walk(const std::vector<ResolvedElement>& elements)
      : elements_(elements), build_(elements.size()), run_(elements.size()) {}

  void add(LoadIndex target, Deps deps) {
    switch (deps) {
      case Deps::kRedirect:
      case Deps::kNone: order_.push_back(target); return;
      case Deps::kAll:
        if (!build_[target] && !run_[target]) visit(target, true);
        return;
      case Deps::kRun:
        if (!run_[target]) visit(target, false);
        return;
      case Deps::kBuild:
        if (build_[target]) return;
        build_[target] = true;
        for (const LoadIndex dependency : elements_[target].build) {
          if (!run_[dependency]) visit(dependency, false);
        }
        return;
    }
  }

  std::vector<LoadIndex> take() { return std::move(order_); }

 private:
  void visit(LoadIndex root, bool all) {
    struct Step {
      LoadIndex element;
      std::size_t next = 0;
    };
    std::vector<Step> path;
    const auto enter = [&](LoadIndex element) {
      run_[element] = true;
      if (all) build_[element] = true;
      path.push_back({element, 0});
    };
    enter(root);
    while (!path.empty()) {
      Step& step = path.back();
      const ResolvedElement& element = elements_[step.element];
      const std::size_t builds = all ? element.build.size() : 0;
      if (step.next == builds + element.runtime.size()) {
        order_.push_back(step.element);
        path.pop_back();
        continue;
      }
      const LoadIndex below =
          step.next < builds ? element.build[step.next] : element.runtime[step.next - builds];
      ++step.next;
      if (!run_[below] && !(all && build_[below])) enter(below);
    }
  }

  const std::vector<ResolvedElement>& elements_;
  std::vector<bool> build_;
  std::vector<bool> run_;
  std::vector<LoadIndex> order_;
};

template <typename Visit>
void for_each_dependency(const ResolvedElement& element, Visit visit) {
  for (const LoadIndex dependency : element.build) visit(dependency);
  for (const LoadIndex dependency : element.runtime) visit(dependency);
}

}  // namespace

std::vector<LoadIndex> in_scope(const std::vector<ResolvedElement>& elements,
                                const std::vector<LoadIndex>& targets, Deps deps) {
  Walk walk(elements);
  for (const LoadIndex target : targets) walk.add(target, deps);
  return walk.take();
}

std::vector<LoadIndex> redirected(const Graph& graph, const std::vector<ResolvedElement>& elements,
                                  const std::vector<LoadIndex>& targets) {
  std::vector<LoadIndex> out;
  for (LoadIndex element : targets) {
    while (graph.elements()[element].kind == "filter" && elements[element].build.size() == 1)
      element = elements[element].build.front();
    if (std::find(out.begin(), out.end(), element) == out.end()) out.push_back(element);
  }
  return out;
}

std::vector<LoadIndex> except_elements(const std::vector<ResolvedElement>& elements,
                                       const std::vector<LoadIndex>& targets,
                                       std::vector<LoadIndex> selected,
                                       const std::vector<LoadIndex>& except) {
  if (except.empty()) return selected;
  std::vector<bool> targeted(elements.size());
  for (const LoadIndex element : in_scope(elements, targets, Deps::kAll)) targeted[element] = true;

  // The walk goes down from the exceptions to where they meet what the targets need.
  std::vector<bool> visited(elements.size());
  std::vector<bool> border(elements.size());
  std::vector<LoadIndex> pending = except;
  while (!pending.empty()) {
    const LoadIndex element = pending.back();
    pending.pop_back();
    if (visited[element]) continue;
    visited[element] = true;
    if (targeted[element]) {
      border[element] = true;
    } else {
      for_each_dependency(elements[element],
                          [&](LoadIndex dependency) { pending.push_back(dependency); });
    }
  }

  // Elements that are reachable from the targets without crossing that border stay.
  std::vector<bool> kept(elements.size());
  pending = targets;
  while (!pending.empty()) {
    const LoadIndex element = pending.back();
    pending.pop_back();
    if (kept[element] || border[element]) continue;
    kept[element] = true;
    for_each_dependency(elements[element],
                        [&](LoadIndex dependency) { pending.push_back(dependency); });
  }
  std::erase_if(selected, [&](LoadIndex element) { return !kept[element]; });
  return selected;
}

}  // namespace sluice::loader
