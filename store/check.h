// Looks at everything in a store: for tests and `sluice-store-check`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/cas.h"

namespace sluice::store {

struct CheckReport {
  std::uint64_t objects = 0;
  std::uint64_t refs = 0;  // artifacts, elementsources and source_protos
  std::vector<std::string> corrupt;     // objects whose content isn't theirs, stray files among them, refs that can't be parsed
  std::vector<std::string> incomplete;  // refs, with the first blob that is missing
  bool good() const { return corrupt.empty() && incomplete.empty(); }
};

// Hashes every object, reads every ref and every tree below it.
Result<CheckReport> verify_all(const Cas& cas);

}  // namespace sluice::store
