// One thread's event loop: ZeroMQ sockets, file descriptors (pidfds, pipes), signals by signalfd,
// and timers on an injected clock.
//
// Callbacks run in run(), one after the other. A callback may add and remove anything, itself
// included. Not thread-safe: everything from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/socket.h"

namespace sluice::wire {

class Reactor {
 public:
  using Callback = std::function<void()>;
  using TimerId = std::uint64_t;

  explicit Reactor(const Clock& clock = system_clock());
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // `callback` runs as long as the socket is readable; it may read one message or all. The socket
  // must outlive its registration.
  void on_socket(Socket& socket, Callback callback);
  void remove_socket(Socket& socket);

  // `events` as of poll(): POLLIN, POLLOUT. Runs while they hold, or on POLLHUP and POLLERR. The
  // descriptor stays its owner's.
  void on_fd(int fd, short events, std::function<void(short)> callback);
  void remove_fd(int fd);

  // The signal is blocked for the process and read from a signalfd.
  Status on_signal(int signal, Callback callback);

  // Runs `callback` once, after `delay` at the earliest (milliseconds' precision).
  TimerId after(Duration delay, Callback callback);
  // Runs `callback` at every interval; a late call isn't made up for.
  TimerId every(Duration interval, Callback callback);
  void cancel(TimerId timer);

  // Runs until stop().
  void run();
  void stop() { stopped_ = true; }
  // Runs what is ready now, waiting at most `wait` for it. False after stop().
  bool run_once(Duration wait);

 private:
  struct Watch;
  struct Timer {
    TimerId id;
    Duration interval;  // 0: once
    Callback callback;
  };
  Duration until_next_timer(Duration wait) const;
  void run_timers();

  const Clock& clock_;
  std::vector<std::shared_ptr<Watch>> watches_;
  std::multimap<Duration, Timer> timers_;
  TimerId next_timer_ = 1;
  bool stopped_ = false;
  UniqueFd signal_fd_;
  std::map<int, Callback> signals_;
};

}  // namespace sluice::wire
