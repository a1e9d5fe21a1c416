// Visits every state of a World, depth first, and looks at two things: that nothing happens that
// must not, and that from each state the end can be reached without any more faults.
#pragma once

#include <cstddef>
#include <string>

#include "tests/model/protocol_world.h"

namespace sluice::search {

struct Found {
  std::size_t states = 0;
  std::size_t transitions = 0;
  std::size_t finished = 0;  // states in which all is over
  std::size_t deepest = 0;
  std::size_t most_bytes = 0;  // in snapshots at a time
  std::string violation;       // what happened, and the actions that led to it
  std::string stuck;           // the actions to a state from which there is no end
};

// `most_states`: an error in `violation` when there are more. `depth`: no path is longer; 0: no
// limit.
Found search(const Setup& setup, std::size_t most_states, std::size_t depth = 0);

}  // namespace sluice::search
