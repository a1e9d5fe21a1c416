// Cgroup is a control group of version 2 of our own: the processes in it can be stopped all at
// once, whatever they have become. It has a leaf for each job that runs, and one for the process
// that starts them.
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

// JobGroup is where a job runs, and used again by jobs that follow. The descriptors are
// directories.
struct JobGroup {
  UniqueFd group;
  // The group that limits its memory (memory_limit.h): the same, or one of version 1; none where
  // neither can be had.
  UniqueFd memory;
  std::string path, memory_path;
};

// The group lies below the one that this process is in, and is removed, with all processes in it,
// when this goes. One thread.
class Cgroup {
 public:
  // Makes one; null where there is no such hierarchy, or where we may not make one (a login
  // session's belongs to root). Groups that dead processes have left are removed. With `memory` the
  // memory of jobs can be limited, where that is possible: beside the group that this process is
  // in, when it isn't in that.
  static std::unique_ptr<Cgroup> make(bool memory = false);
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  // Adds a process, and so whatever it starts from now on that isn't put elsewhere.
  Status add(pid_t pid);
  // A leaf that nobody is in, owned by this.
  Result<JobGroup*> take();
  // Gives a leaf back to be taken again. When processes are left in it they are killed, and the
  // leaf isn't taken again.
  void give_back(JobGroup* group);
  // Stops all processes in the group, and waits, in the calling thread, until none runs any more;
  // an error when one still does after `limit`. Frozen processes can be killed.
  Status freeze(Duration limit);
  Status thaw();

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  static std::unique_ptr<Cgroup> make_in(const std::string& group, bool memory);
  Status write(const std::string& file, std::string_view text) const;
  // Waits for "NAME 1" or "NAME 0" in cgroup.events. False after `limit`.
  bool wait_for_event(std::string_view line, Duration limit) const;

  std::string path_;
  std::string memory_;  // a group of version 1
  bool limits_memory_ = false;
  std::vector<std::unique_ptr<JobGroup>> groups_;
  std::vector<JobGroup*> free_;
};

}  // namespace sluice::jobs
