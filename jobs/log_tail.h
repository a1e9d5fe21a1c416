// LogTail is the live tail of running jobs' logs, under the topic log/JOB/ (spec/records.md, live
// events): reads a log only while somebody listens to it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "jobs/runner.h"
#include "wire/live.h"
#include "wire/reactor.h"

namespace sluice::jobs {

// An event is a map: v, type "log", time, job (section), offset (bytes from the log's
// start), text. Whoever comes late gets the last 16 KiB first. Lives in the reactor's thread.
class LogTail {
 public:
  LogTail(wire::Reactor& reactor, std::unique_ptr<wire::LivePublisher> live, const Runner& runner);
  ~LogTail();

 private:
  void look();
  void publish(const wire::JobId& id, const Runner::Running& job);

  wire::Reactor& reactor_;
  std::unique_ptr<wire::LivePublisher> live_;
  const Runner& runner_;
  std::map<wire::JobId, std::uint64_t> offsets_;
  wire::Reactor::TimerId timer_ = 0;
};

}  // namespace sluice::jobs
