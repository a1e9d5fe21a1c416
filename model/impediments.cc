#include "model/impediments.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace sluice::model {

std::string counted_elements(std::size_t count, std::string_view words) {
  return fmt::format("{} element{}{}", count, count == 1 ? "" : "s", words);
}

std::string Impediment::count_text() const {
  return fmt::format(
      "{} ({}{}){}", counted_elements(elements), first_name, elements == 1 ? "" : " is the first",
      behind == 0 ? "" : fmt::format(", in the way of {}", counted_elements(behind, " more")));
}

Impediments find_impediments(const std::vector<Element>& elements,
                             const std::function<bool(ElementIndex)>& counts,
                             const std::function<bool(ElementIndex, const Obstacle&)>& stands,
                             bool through_dependencies) {
  Impediments all;
  std::vector<Impediment>& found = all.found;
  // For each element which impediments are in its own way (`own`), and in that of whoever is built
  // with it (`closure`).
  std::vector<std::set<std::size_t>> own(elements.size()), closure(elements.size());
  for (ElementIndex e = 0; e < elements.size(); ++e) {
    if (!counts(e)) continue;
    std::set<std::size_t> mine;
    for (const Obstacle& obstacle : elements[e].obstacles) {
      if (!stands(e, obstacle)) continue;
      auto same = std::find_if(found.begin(), found.end(), [&](const Impediment& one) {
        return one.first->why == obstacle.why;
      });
      if (same == found.end()) same = found.insert(same, {&obstacle, elements[e].full_name, 0, 0});
      ++same->elements;
      mine.insert(static_cast<std::size_t>(same - found.begin()));
    }
    if (through_dependencies) {
      for (const Dependency& dependency : elements[e].dependencies) {
        const auto& below = closure[dependency.element];
        if (dependency.build) own[e].insert(below.begin(), below.end());
      }
    }
    for (const std::size_t i : own[e]) found[i].behind += mine.contains(i) ? 0 : 1;
    own[e].merge(mine);
    closure[e] = own[e];
    for (const Dependency& dependency : elements[e].dependencies) {
      const auto& below = closure[dependency.element];
      if (dependency.runtime) closure[e].insert(below.begin(), below.end());
    }
    if (!own[e].empty()) ++all.elements;
  }
  return all;
}

}  // namespace sluice::model
