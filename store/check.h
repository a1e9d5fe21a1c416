// Checks of everything in a store, for tests and `sluice-store-check`.
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
  // objects whose content isn't theirs, stray files among them, refs that can't be parsed
  std::vector<std::string> corrupt;
  std::vector<std::string> incomplete;  // refs, with the first blob that is missing
  // Sluice's own twin files and roots that aren't as they were made
  std::vector<std::string> derived;
  std::uint64_t removed = 0;  // files, refs and roots, by a repair
  std::uint64_t left = 0;     // what a repair could not remove
  bool good() const { return corrupt.empty() && incomplete.empty() && derived.empty(); }
};

// Hashes every object and twin file, reads every ref and every tree below it. With `repair` what is
// wrong is removed, so that it is missing, and pulled or built again by whoever needs it: objects,
// refs to what is missing, twins, roots. Stray files, whose names are no objects', stay: nobody
// knows whose they are. May be used beside sessions.
Result<CheckReport> verify_all(const Cas& cas, bool repair = false);

// Hashes every blob below `root` and removes those that aren't what they should be, so that they
// are missing; gives their number.
Result<std::uint64_t> drop_damaged(Cas& cas, const Digest& root);

}  // namespace sluice::store
