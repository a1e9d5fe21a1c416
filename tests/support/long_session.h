// The records and live events of a long session, made up from a seed: the same each time, with what
// sessions have (elements that are cached, pulled, built, that fail and that others wait for;
// steps, lines of output, estimates, idle builders, names of all widths).
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"

namespace sluice::testing {

struct Moment {
  Duration at{};      // since the session's start
  bool live = false;  // a status, else a record
  std::string packed;
};

std::vector<Moment> long_session(unsigned elements = 400, unsigned seed = 15);

}  // namespace sluice::testing
