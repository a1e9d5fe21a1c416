// Old sessions' state directories: the supervisor of each session removes what is over the bounds
// when it ends.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::cli {

// What is kept of finished sessions; the newest is kept always. Of sessions whose supervisor was
// killed, which can be resumed, only the age counts.
struct SessionBounds {
  std::size_t count = 20;
  // How many more may come together before all of these go at once: else each session would end by
  // removing another.
  std::size_t surplus = 10;
  std::int64_t age_s = std::int64_t{14} * 24 * 3600;  // since the directory last changed
  std::uint64_t bytes = std::uint64_t{2} << 30;       // on disk, together: snapshots and records
};

// Removes the oldest sessions until the bounds are kept: never one that lives (whose lock is held),
// nor one that just begins and has no lock yet, nor `own`, which doesn't count. Returns how many
// went.
std::size_t prune_sessions(const std::string& own, const SessionBounds& bounds = {});

}  // namespace sluice::cli
