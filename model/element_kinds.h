// What commands must know of kinds of elements beside what a snapshot says of each element: whoever
// wants to know something of a kind asks its row, and none is known by its name.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice::model {

struct ElementTraits {
  std::string_view kind;
  // Its artifact holds files of the elements that it is built with, and of what these need to run.
  bool composes = false;
};

inline constexpr std::array kElementTraits = {
    ElementTraits{.kind = "collect_initial_scripts", .composes = true},
    ElementTraits{.kind = "compose", .composes = true},
    ElementTraits{.kind = "filter", .composes = true},
    ElementTraits{.kind = "flatpak_image", .composes = true},
    ElementTraits{.kind = "flatpak_repo", .composes = true},
};

// Kinds of which nothing is known have what most have.
constexpr ElementTraits element_traits(std::string_view kind) {
  const auto found = std::find_if(kElementTraits.begin(), kElementTraits.end(),
                                  [&](const ElementTraits& row) { return row.kind == kind; });
  return found == kElementTraits.end() ? ElementTraits{} : *found;
}

}  // namespace sluice::model
