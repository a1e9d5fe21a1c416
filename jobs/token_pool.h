// TokenPool has one number of processes for all makes of a host, in GNU make's jobserver protocol.
//
// Each make of builders x max-jobs would think that the processors are its own. With a jobserver a
// make (or what else speaks the protocol: cargo, gcc -flto) starts a process beside its first one
// only when it has read a byte, a token, and writes it back when the process has ended.
//
// One pipe for all would lose the tokens of a make that is killed, and a FIFO in the sandbox is
// understood by make 4.4 only, while 4.3 stops at it. So each job has two pipes of its own, which
// any make takes as `--jobserver-auth=R,W`: the runner offers tokens through the one and gets them
// back through the other, so it knows at any time what each job has; what a job had when it ended
// is free again, whatever it died of. A pipe of one page is writable again when the one byte in it
// was read: that tells of a token that was taken, and the next can be offered.
//
//   free = total - jobs (the process that each may always run) - tokens that are offered or taken
//
// A token on offer that nobody takes moves on, when another job could use it.
//
// Lives in the reactor's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/job_messages.h"
#include "wire/reactor.h"

namespace sluice::jobs {

class TokenPool {
 public:
  explicit TokenPool(wire::Reactor& reactor) : reactor_(reactor) {}
  ~TokenPool();
  TokenPool(const TokenPool&) = delete;
  TokenPool& operator=(const TokenPool&) = delete;

  // The ends of the pipes that the job's process gets.
  struct Ends {
    UniqueFd read, write;
  };
  // Adds a job that starts. `total`: the number of processes of all jobs of this host.
  Result<Ends> add(const wire::JobId& id, std::uint32_t total);
  // Says how many tokens the job can use at once; none before this.
  void want(const wire::JobId& id, std::uint32_t most);
  // Removes a job that has ended.
  void remove(const wire::JobId& id);

  std::int64_t available() const;

 private:
  struct Job {
    UniqueFd offer, back;  // our ends of the pipes
    UniqueFd revoke;       // reads what was offered, without waiting
    std::uint32_t most = 0;
    std::uint32_t out = 0;  // offered or taken
    bool offered = false;   // a token lies in the pipe
    Duration offered_at{};
    bool hears = false;  // `back` is watched
  };
  void offer(Job& job, const wire::JobId& id);
  bool revoke(Job& job);
  void on_taken(const wire::JobId& id);
  void on_back(const wire::JobId& id);
  void balance();
  bool hungry(const Job& job) const { return !job.offered && job.out < job.most; }

  wire::Reactor& reactor_;
  std::map<wire::JobId, Job> jobs_;
  std::uint32_t total_ = 0;
  std::int64_t out_ = 0;  // offered to or taken by all jobs
  wire::JobId last_;      // the job that was served last
  std::optional<wire::Reactor::TimerId> timer_;
};

}  // namespace sluice::jobs
