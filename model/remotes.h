// Caches on other machines as a set: what can be done with them.
#pragma once

#include <vector>

#include "model/model.h"

namespace sluice::model {

// Whether something can be pulled, or pushed, with them: names and blobs have a place.
bool can_pull(const std::vector<Remote>& remotes);
bool can_push(const std::vector<Remote>& remotes);

}  // namespace sluice::model
