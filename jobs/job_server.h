// JobServer is the runner's side of job processes: the process they are forked from, their sockets,
// their ends, and the freezing of all of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/process_tree.h"
#include "base/result.h"
#include "jobs/cgroup.h"
#include "jobs/names.h"
#include "sandbox/scratch.h"
#include "wire/job_protocol.h"
#include "wire/reactor.h"

namespace sluice::jobs {

// Lives in the reactor's thread.
class JobServer {
 public:
  struct Callbacks {
    std::function<void(const wire::JobId&, const JobEvent&)> on_event;
    // Called when the process is gone, and its scratch with all that was in it, and always after
    // on_event with the result.
    std::function<void(const wire::JobId&)> on_end;
  };
  // `store_age`: for how long the server has a store open before it opens it anew.
  JobServer(wire::Reactor& reactor, Callbacks callbacks, Duration store_age = wire::kStoreHeldFor);
  ~JobServer();

  // Starts a job, and the server when it doesn't run. `start.scratch` is made.
  // `tokens`: two descriptors that go with the job's own, or none.
  Status start(const JobStart& start, const std::vector<int>& tokens = {});
  // Sends SIGTERM to the job's process now, and SIGKILL to it and all below after `grace`. Of
  // several calls the shortest grace counts. A frozen job is killed at once.
  void cancel(const wire::JobId& id, Duration grace);

  // Stops every process of every job within a second; the error says what could not be stopped.
  // Where we may make a control group it does that, and no process notices; else each gets SIGSTOP.
  Status freeze();
  void thaw();
  bool frozen() const { return frozen_; }

  bool idle() const { return jobs_.empty(); }
  // This runner's directory below `builddir`; made at the first call, which also has the
  // scratch of dead runners there removed by a process of its own.
  Result<std::string> scratch_root(const std::string& builddir, const std::string& name);

 private:
  struct Job {
    wire::JobId id;
    UniqueFd channel;
    UniqueFd pidfd;
    pid_t pid = -1;
    FrameReader frames;
    std::string scratch;
    JobGroup* group = nullptr;  // null where there are none
    std::string unsent;         // the rest of the JobStart
    bool eof = false;           // the channel was read to its end
    bool exited = false;
    bool result = false;
    bool finishing = false;
    bool kill_wanted = false;  // before it had a process
    wire::Reactor::TimerId kill_timer = 0;
    Duration kill_at{};
  };

  Status ensure_server(bool limits_memory);
  void on_server();
  void on_channel(const wire::JobId& id, short events);
  void on_exit(const wire::JobId& id);
  void write(Job& job);
  void kill(const wire::JobId& id);
  void give_back(Job& job);
  // Ends the job when its process has ended and all that it said was read.
  void finish_if_over(const wire::JobId& id);
  void clean(std::vector<std::string> arguments, std::function<void()> then);
  void server_died();

  wire::Reactor& reactor_;
  Callbacks callbacks_;
  const Duration store_age_;
  Duration store_opened_at_{0};
  Process server_;
  UniqueFd link_;
  std::map<wire::JobId, std::unique_ptr<Job>> jobs_;
  std::deque<wire::JobId> starting_;  // in the order that the server answers
  // Jobs whose server died before it answered; the timer tells their ends.
  std::vector<wire::JobId> unborn_;
  wire::Reactor::TimerId unborn_timer_ = 0;
  std::unique_ptr<Cgroup> cgroup_;  // has the server and all below it; null where there can be none
  std::optional<Freezer> freezer_;  // without a control group, while they are frozen
  bool frozen_ = false;
  Duration frozen_at_{};
  std::map<std::string, ScratchRoot> roots_;
  std::vector<std::unique_ptr<Process>> cleaners_;
};

}  // namespace sluice::jobs
