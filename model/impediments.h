// Impediments are what stands in the way of a number of elements, for one reason: the obstacles of
// a snapshot, counted.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "model/model.h"

namespace sluice::model {

struct Impediment {
  const Obstacle* first = nullptr;  // the snapshot's
  std::string first_name;           // the element's
  std::size_t elements = 0;         // that have it
  std::size_t behind = 0;           // that wait for those, and can't be done either

  // "3 elements (a.bst is the first), in the way of 2 elements more"
  std::string count_text() const;
};

struct Impediments {
  std::vector<Impediment> found;  // by their first elements, in the snapshot's order
  std::size_t elements = 0;       // that one of them is in the way of
};

// "1 element", "2 elements more".
std::string counted_elements(std::size_t count, std::string_view words = {});

// `elements` are those of a snapshot. `counts` says which of them are asked about, `stands` which
// of their obstacles are in the way. With `through_dependencies` an obstacle is also in the way of
// those that are built with its element.
Impediments find_impediments(const std::vector<Element>& elements,
                             const std::function<bool(ElementIndex)>& counts,
                             const std::function<bool(ElementIndex, const Obstacle&)>& stands,
                             bool through_dependencies);

}  // namespace sluice::model
