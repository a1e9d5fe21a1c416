// Names and locks of realised roots, for realising and for expiry. The lock of a root is its file
// ROOT/lock (base/lock.h), which goes with it. Internal to store/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

// "HASH-SIZE".
std::string root_name(const Digest& root);
std::optional<Digest> parse_root_name(std::string_view name);

// Locks the root as it stands at its path: shared, which waits, or exclusively, which doesn't.
// std::nullopt when the root is gone, or in use by others and `exclusive`.
Result<std::optional<UniqueFd>> lock_root(const std::string& roots, const std::string& name,
                                          bool exclusive);

// Renames the root away, then removes it.
Status discard_root(Cas& cas, const std::string& roots, const std::string& name);

}  // namespace sluice::store
