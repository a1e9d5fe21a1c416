// The status area of the calm style: how far the run is, the jobs that matter, and what is waited
// for.
//
//   ███████████░░░░░░░░░░░░░░░░░░ 143/387  12m03s  2m–4m left
//   ◆ components/gcc.bst     10m31s/12m02s  critical  checking for stdlib.h... yes
//   • components/llvm.bst     3m02s/8m10s   [ 41%] Building CXX object lib/IR/Core.o
//   118 waiting · ↓ 3 · hits 62% · 2 idle: all that is left waits for gcc.bst
//   ✘ 1 failed: components/bash.bst · 14 can't be reached
//   s suspend  q quit  k kill  r retry  +/- builders  ? help
//
// Its height goes by the terminal's and by how many jobs have run at once, and grows but doesn't
// shrink, so that nothing jumps. A job keeps its row while it is shown: of more jobs than rows
// those on the critical path come first, then those that have run longest.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "renderer/renderer.h"
#include "renderer/screen.h"
#include "renderer/spans.h"
#include "renderer/tally.h"
#include "wire/events.h"

namespace sluice::renderer {

class CalmArea {
 public:
  // The rows for a status that came `since` ago: each narrower than the terminal, at least one
  // fewer than it has; none when it has no room. `hint` has rows, parted by tabs, that stand last:
  // those that begin with "!" (without that), and several, have room before all others.
  std::vector<Row> rows(const wire::Event& status, const Tally& tally, Duration since, Size size,
                        const Pen& pen, std::string_view hint);
  // The terminal has another size, or another run begins: heights and columns are found anew.
  void forget();

 private:
  struct Shown;
  void place_jobs(const std::vector<wire::ActiveJob>& jobs, std::size_t rows);

  std::vector<std::uint64_t> slots_;  // the job in each row, 0: none
  std::size_t reserved_ = 0;          // rows for jobs
  std::size_t names_ = 0;             // columns for their names
};

// How far a run is: what of it is done, of how much. {0, 0}: unknown.
struct Progress {
  std::uint32_t done = 0, all = 0, failed = 0;
  bool operator==(const Progress&) const = default;
};
Progress progress_of(const wire::Event& status, const Tally& tally);

// What a status shows that a person wants to see at once: not times, and not what jobs write.
std::string signature(const wire::Event& status);

}  // namespace sluice::renderer
