// What those who look at the session want to see of running jobs, which runners are to say it, and
// what they have said (spec/jobs.md, "Watching"). Nothing of it is part of what a session is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/fleet.h"
#include "scheduler/session_model.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

// How many jobs and prompts `status/` has; `status/full/` has all jobs.
inline constexpr std::size_t kActiveShown = 64;
inline constexpr std::size_t kPromptsShown = 16;

// One thread.
class Watching {
 public:
  void want(const wire::Watch& wanted) { wanted_ = wanted; }
  bool anything() const { return wanted_.steps || wanted_.lines || !told_.empty(); }
  // The runners that are to be told something else than they were, by their connections: those that
  // have one of the jobs that are shown say what they do, all others nothing.
  std::vector<std::pair<std::string, wire::Watch>> to_tell(const Session& session,
                                                           const Fleet& fleet);
  // The runner has said HELLO: whatever it was told is forgotten there.
  void forget(const std::string& instance) { told_.erase(instance); }

  // Takes what a runner says of an attempt that it has in hand.
  void take(const wire::JobProgress& progress);
  void released(const wire::JobId& id) { says_.erase(id); }
  // nullptr: nothing was said of it.
  const wire::JobProgress* of(const wire::JobId& id) const;

 private:
  wire::Watch wanted_;
  std::map<std::string, wire::Watch> told_;  // by instance; those that watch nothing are left out
  std::map<wire::JobId, wire::JobProgress> says_;
};

}  // namespace sluice::scheduler
