// One load request, from its arguments to the snapshot in the answer: the core with the store
// behind it and the cache of answers in front (spec/snapshot.md, "Requests"). No sockets.
#pragma once

#include "wire/messages.h"

namespace sluice::loader {

// Loads what the arguments ask for. What goes wrong is in the result's `error`.
wire::LoadResult make_snapshot(const wire::LoadArguments& arguments);

}  // namespace sluice::loader
