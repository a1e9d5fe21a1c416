// Connections of browsers, with a limit to everything.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include <httplib.h>

#include "base/clock.h"
#include "base/threads.h"

namespace sluice::renderer {

// A connection as httplib reads and writes it. A request has to be there, whole, in ten seconds and
// in 80 KiB; a write that makes no progress for ten seconds fails.
class BoundedStream final : public httplib::Stream {
 public:
  explicit BoundedStream(int socket);
  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  const int socket_;
  const Duration deadline_;
  std::size_t left_ = std::size_t{80} << 10;
};

// A thread for each connection, up to `most`; what is beyond waits in the kernel's queue.
class ConnectionThreads final : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(std::size_t most) : most_(most) {}
  void enqueue(std::function<void()> connection) override;
  void shutdown() override;

 private:
  void work();

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  Helpers threads_;
};

}  // namespace sluice::renderer
