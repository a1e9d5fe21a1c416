// Spawner runs the programs of brief jobs, which show what a job costs without a sandbox, a log,
// sources or an artifact.
#pragma once

#include <functional>
#include <map>

#include "base/process.h"
#include "base/result.h"
#include "wire/job_messages.h"
#include "wire/reactor.h"

namespace sluice::jobs {

// Lives in the reactor's thread.
class Spawner {
 public:
  // Called when a program has ended, after it is forgotten here.
  using OnEnd = std::function<void(const wire::JobId&, ExitStatus)>;
  Spawner(wire::Reactor& reactor, OnEnd on_end) : reactor_(reactor), on_end_(std::move(on_end)) {}
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Starts /bin/true.
  Status start(const wire::JobId& id);
  void signal_all(int signal);
  void kill(const wire::JobId& id);
  bool has(const wire::JobId& id) const { return processes_.contains(id); }
  bool idle() const { return processes_.empty(); }

 private:
  void ended(const wire::JobId& id);

  wire::Reactor& reactor_;
  OnEnd on_end_;
  std::map<wire::JobId, Process> processes_;
};

}  // namespace sluice::jobs
