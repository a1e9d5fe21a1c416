#include "loader/elements/dependency_sort.h"

#include <algorithm>

#include "loader/python/list_sort.h"

namespace sluice::loader {

namespace {

// The largest number of elements for which sets are bits, which take 32 MiB then.
constexpr std::size_t kSmall = 16 * 1024;

}  // namespace

Reachability::Reachability(const std::vector<LoadElement>& elements)
    : elements_(elements), sets_(elements.size()), small_(elements.size() <= kSmall) {}

bool Reachability::depends(LoadIndex element, LoadIndex on) {
  compute(element);
  const Set& set = sets_[element];
  if (small_) return (set.bits[on / 64] >> (on % 64) & 1) != 0;
  const auto after =
      std::upper_bound(set.ranges.begin(), set.ranges.end(), on,
                       [](LoadIndex value, const auto& range) { return value < range.first; });
  return after != set.ranges.begin() && on < std::prev(after)->second;
}

void Reachability::compute(LoadIndex element) {
  if (sets_[element].known) return;
  std::vector<std::pair<LoadIndex, std::size_t>> path = {{element, 0}};
  while (!path.empty()) {
    auto& [current, next] = path.back();
    const std::vector<LoadDependency>& dependencies = elements_[current].dependencies;
    if (next == dependencies.size()) {
      unite(current);
      path.pop_back();
      continue;
    }
    const LoadIndex below = dependencies[next++].element;
    if (!sets_[below].known) path.emplace_back(below, 0);
  }
}

void Reachability::unite(LoadIndex element) {
  Set& set = sets_[element];
  set.known = true;
  if (small_) {
    set.bits.assign((elements_.size() + 63) / 64, 0);
    for (const LoadDependency& dependency : elements_[element].dependencies) {
      const Set& below = sets_[dependency.element];
      for (std::size_t i = 0; i < set.bits.size(); ++i) set.bits[i] |= below.bits[i];
      set.bits[dependency.element / 64] |= std::uint64_t{1} << (dependency.element % 64);
    }
    return;
  }
  std::vector<std::pair<LoadIndex, LoadIndex>> all;
  for (const LoadDependency& dependency : elements_[element].dependencies) {
    all.emplace_back(dependency.element, dependency.element + 1);
    const auto& below = sets_[dependency.element].ranges;
    all.insert(all.end(), below.begin(), below.end());
  }
  std::sort(all.begin(), all.end());
  for (const auto& range : all) {
    if (!set.ranges.empty() && range.first <= set.ranges.back().second) {
      set.ranges.back().second = std::max(set.ranges.back().second, range.second);
    } else {
      set.ranges.push_back(range);
    }
  }
  set.ranges.shrink_to_fit();
}

bool DependencySorter::less(const LoadDependency& a, const LoadDependency& b) {
  if (reach_.depends(a.element, b.element)) return false;
  if (reach_.depends(b.element, a.element)) return true;
  if (a.type != b.type) {
    if (a.type == LoadDependency::kRuntime) return false;
    if (b.type == LoadDependency::kRuntime) return true;
  }
  const LoadElement& first = elements_[a.element];
  const LoadElement& second = elements_[b.element];
  if (first.name != second.name) return first.name < second.name;
  const Junction* first_junction = first.project->junction.get();
  const Junction* second_junction = second.project->junction.get();
  if (first_junction != nullptr && second_junction != nullptr)
    return first_junction->name < second_junction->name;
  return first_junction != nullptr && second_junction == nullptr;
}

void DependencySorter::sort(std::vector<LoadDependency>& dependencies) {
  if (dependencies.size() < 2) return;
  list_sort(dependencies,
            [this](const LoadDependency& a, const LoadDependency& b) { return less(a, b); });
}

}  // namespace sluice::loader
