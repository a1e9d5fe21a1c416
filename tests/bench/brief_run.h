// A run of brief jobs (spec/jobs.md), as benchmarks ask for it: the project that it is of, and its
// client.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::bench {

// Writes the snapshot of a project of `count` elements that depend on nothing.
Status write_brief_snapshot(const std::string& file, std::uint64_t count, std::uint32_t builders);

struct BriefRun {
  std::string verb;  // empty | spawn
  std::string snapshot;
  std::uint64_t count = 0;
  // Called when the run is accepted: from then on jobs can be given.
  std::function<void()> on_accepted;
  // Called with each `status/full/` event. Not set: nobody subscribes to them.
  std::function<void(std::string_view packed)> on_full_status;
};

// Has the session do a run, and waits for its end. Returns how long it took by the scheduler's
// clock, in nanoseconds (the elapsed time of run.finished). Error: it was refused, or not every job
// succeeded.
Result<std::int64_t> do_brief_run(const wire::SessionPaths& paths, const BriefRun& run);

}  // namespace sluice::bench
