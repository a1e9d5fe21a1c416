// A control group of version 2 of our own: who is in it can be stopped all at once, whoever they
// have become. In it is a leaf for each job that runs, and one for the process that starts them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace sluice::jobs {

// Where a job runs; reused by jobs that follow. Directories.
struct JobGroup {
  UniqueFd group;
  // where its memory is limited (memory_limit.h): the same, or one of version 1; none where neither
  // can be had
  UniqueFd memory;
  std::string path, memory_path;
};

// Below the group that this process is in. Removed, with all processes in it, when this goes. One
// thread.
class Cgroup {
 public:
  // None where there is no such hierarchy, or where we may not make one (a login session's belongs
  // to root). Those that dead processes have left are removed. With `memory` that of jobs can be
  // limited, where that is possible: beside the one that this process is in, when in that it isn't.
  static std::unique_ptr<Cgroup> make(bool memory = false);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  // It, and whatever it starts from now on that isn't put elsewhere.
  Status add(pid_t pid);
  // A leaf that nobody is in. Owned by this.
  Result<JobGroup*> take();
  // Whoever is left in it is killed; then it isn't taken again.
  void give_back(JobGroup* group);
  // Returns when nobody in it runs any more; an error when somebody still does after `limit`. Waits
  // in the calling thread. Those who are frozen can be killed.
  Status freeze(Duration limit);
  Status thaw();

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  static std::unique_ptr<Cgroup> make_in(const std::string& group, bool memory);
  Status write(const std::string& file, std::string_view text) const;
  // For "NAME 1" or "NAME 0" in cgroup.events. False after `limit`.
  bool wait_for_event(std::string_view line, Duration limit) const;

  std::string path_;
  std::string memory_;  // of version 1
  bool limits_memory_ = false;
  std::vector<std::unique_ptr<JobGroup>> groups_;
  std::vector<JobGroup*> free_;
};

}  // namespace sluice::jobs
