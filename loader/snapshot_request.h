// One load request answered: the core with the store behind it and the snapshot
// in front (spec/snapshot.md, "Requests"). No sockets.
#pragma once

#include "wire/messages.h"

namespace sluice::loader {

// Never throws; what goes wrong is in the result's `error`.
wire::LoadResult answer(const wire::LoadArguments& arguments);

}  // namespace sluice::loader
