// Threads, which the system may refuse (RLIMIT_NPROC, pids.max of a cgroup, no room for a stack):
// that is an Error here, or the work is done by fewer. No other place in Sluice starts a thread.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "base/result.h"

namespace sluice {

// A thread that runs `work`. Error: "util", with the system's reason ("eagain").
Result<std::thread> start_thread(std::function<void()> work);

// Threads that make work quicker which is done without them, too. Not thread-safe.
class Helpers {
 public:
  Helpers() = default;
  ~Helpers() { join(); }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  // Starts as many as make `workers` with the caller; fewer, down to none, where the system
  // refuses.
  void start(std::size_t workers, const std::function<void()>& work);
  // Starts one more. Error: as of start_thread().
  Status add(std::function<void()> work);
  std::size_t size() const { return threads_.size(); }
  bool empty() const { return threads_.empty(); }
  // Waits for all of them to end, after which there are none.
  void join();

 private:
  std::vector<std::thread> threads_;
};

}  // namespace sluice
