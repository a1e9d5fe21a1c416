// A control group of version 2 of our own: who is in it can be stopped all at once, whoever they have become.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/clock.h"
#include "base/result.h"

namespace sluice::jobs {

// Below the one that this process is in. Removed, with all processes in it, when this goes. One thread.
class Cgroup {
 public:
  // None where there is no such hierarchy, or where we may not make one (a login session's belongs to root).
  // Those that dead processes have left are removed.
  static std::unique_ptr<Cgroup> make();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  // It, and whatever it starts from now on.
  Status add(pid_t pid);
  // Returns when nobody in it runs any more; an error when somebody still does after `limit`. Waits in the calling thread.
  // Those who are frozen can be killed.
  Status freeze(Duration limit);
  Status thaw();

 private:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  Status write(const char* file, std::string_view text) const;
  // For "NAME 1" or "NAME 0" in cgroup.events. False after `limit`.
  bool wait_for_event(std::string_view line, Duration limit) const;

  std::string path_;
};

}  // namespace sluice::jobs
