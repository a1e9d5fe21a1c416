// All processes below one: found through /proc, whatever session or process group
// they made for themselves. A sandbox's processes stay below bubblewrap's first one,
// which takes over orphans in its process id namespace.
#pragma once

#include <vector>

#include <sys/types.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace sluice {

inline constexpr int kMostOomScoreAdj = 1000;

struct Descendant {
  pid_t pid = -1;
  pid_t parent = -1;
};
// Descendants of `pid`, parents first, without itself. What ends meanwhile is missed or dead.
std::vector<Descendant> descendants(pid_t pid);

// 'R', 'S', 'T', 'Z'...; 0 when there is none.
char process_state(pid_t pid);

// Stops `root` and all below it, going on until a pass finds nobody new and, as far as
// `limit` allows, all are seen to be stopped. An error when new ones appear until then.
// Waits in steps of 1 ms in the calling thread.
// Signals go by pidfd to processes whose parent is still the one they were found
// under, so never to a stranger that got a used number.
class Freezer {
 public:
  explicit Freezer(pid_t root) : root_(root) {}
  Status freeze(Duration limit);
  // Lets go what freeze() stopped, and only that: children first, the root last.
  void thaw();
  bool frozen() const { return frozen_; }

 private:
  pid_t root_;
  bool frozen_ = false;
  std::vector<UniqueFd> stopped_;
};

// How soon the kernel kills this process when memory runs out, and what it starts: -1000 (never) to
// 1000. Everybody may raise it; of what root has raised it can't be lowered in a sandbox.
int oom_score_adj();
void raise_oom_score_adj(int by);

// Sends `signal` to all below `root`, not to itself; gives the number of processes that it reached.
unsigned signal_descendants(pid_t root, int signal);

}  // namespace sluice
