// sync() makes what was added to the store survive loss of power.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sluice::store {

// Calls syncfs for the store's filesystem, which waits for all that this has to write, whoever
// wrote it; then notes until when the disk has everything.
Status sync(const std::string& cachedir);

// Says when to call sync(), at most ten times a second.
class SyncLimiter {
 public:
  // True when a sync may happen at `monotonic_ns`; it then counts as done.
  bool allow(std::int64_t monotonic_ns);

 private:
  std::int64_t last_ = -1;
};

}  // namespace sluice::store
