// An action by the name that records have of it.
#pragma once

#include <string_view>

#include "model/actions.h"
#include "model/texts.h"

namespace sluice::model {

// Its traits; nullptr when there is no action of that name.
constexpr const ActionTraits* traits_named(std::string_view name) {
  const auto action = named<Action>(name);
  return action ? &traits(*action) : nullptr;
}

}  // namespace sluice::model
