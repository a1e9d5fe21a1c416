#include "wire/reactor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <zmq.h>

namespace sluice::wire {

struct Reactor::Watch {
  void* socket = nullptr;
  int fd = -1;
  short events = 0;
  std::function<void(short)> callback;
  bool removed = false;
};

Reactor::Reactor(const Clock& clock) : clock_(clock) {}
Reactor::~Reactor() = default;

void Reactor::on_socket(Socket& socket, Callback callback) {
  auto watch = std::make_shared<Watch>();
  watch->socket = socket.handle();
  watch->events = ZMQ_POLLIN;
  watch->callback = [run = std::move(callback)](short) { run(); };
  watches_.push_back(std::move(watch));
}

void Reactor::remove_socket(Socket& socket) {
  std::erase_if(watches_, [&](const auto& watch) {
    if (watch->socket != socket.handle() || watch->socket == nullptr) return false;
    watch->removed = true;
    return true;
  });
}

void Reactor::on_fd(int fd, short events, std::function<void(short)> callback) {
  auto watch = std::make_shared<Watch>();
  watch->fd = fd;
  watch->events = static_cast<short>(((events & POLLIN) != 0 ? ZMQ_POLLIN : 0) | ((events & POLLOUT) != 0 ? ZMQ_POLLOUT : 0));
  watch->callback = std::move(callback);
  watches_.push_back(std::move(watch));
}

void Reactor::remove_fd(int fd) {
  std::erase_if(watches_, [&](const auto& watch) {
    if (watch->socket != nullptr || watch->fd != fd) return false;
    watch->removed = true;
    return true;
  });
}

Status Reactor::on_signal(int signal, Callback callback) {
  signals_[signal] = std::move(callback);
  sigset_t set;
  sigemptyset(&set);
  for (const auto& [number, run] : signals_) sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return fail_errno(errno, "sigprocmask");
  const int fd = ::signalfd(signal_fd_.get(), &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) return fail_errno(errno, "signalfd");
  if (signal_fd_) return {};
  signal_fd_.reset(fd);
  on_fd(fd, POLLIN, [this](short) {
    signalfd_siginfo info;
    while (::read(signal_fd_.get(), &info, sizeof info) == sizeof info) {
      const auto found = signals_.find(static_cast<int>(info.ssi_signo));
      if (found != signals_.end()) found->second();
    }
  });
  return {};
}

Reactor::TimerId Reactor::after(Duration delay, Callback callback) {
  const TimerId id = next_timer_++;
  timers_.emplace(clock_.monotonic() + delay, Timer{id, Duration::zero(), std::move(callback)});
  return id;
}

Reactor::TimerId Reactor::every(Duration interval, Callback callback) {
  const TimerId id = next_timer_++;
  timers_.emplace(clock_.monotonic() + interval, Timer{id, interval, std::move(callback)});
  return id;
}

void Reactor::cancel(TimerId timer) {
  for (auto it = timers_.begin(); it != timers_.end(); ++it) {
    if (it->second.id == timer) {
      timers_.erase(it);
      return;
    }
  }
}

Duration Reactor::until_next_timer(Duration wait) const {
  if (timers_.empty()) return wait;
  return std::clamp(timers_.begin()->first - clock_.monotonic(), Duration::zero(), wait);
}

void Reactor::run_timers() {
  const Duration now = clock_.monotonic();
  while (!timers_.empty() && timers_.begin()->first <= now && !stopped_) {
    auto node = timers_.extract(timers_.begin());
    Callback callback = node.mapped().callback;
    if (node.mapped().interval > Duration::zero()) {
      node.key() = now + node.mapped().interval;
      timers_.insert(std::move(node));
    }
    callback();
  }
}

bool Reactor::run_once(Duration wait) {
  if (stopped_) return false;
  std::vector<zmq_pollitem_t> items;
  items.reserve(watches_.size());
  for (const auto& watch : watches_) items.push_back({watch->socket, watch->fd, watch->events, 0});
  const auto watched = watches_;
  // Rounded up: a timer must not make the loop spin through its last millisecond.
  const auto milliseconds = (until_next_timer(wait).count() + 999'999) / 1'000'000;
  const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), static_cast<long>(milliseconds));
  for (std::size_t i = 0; ready > 0 && i < items.size() && !stopped_; ++i) {
    if (items[i].revents == 0 || watched[i]->removed) continue;
    short events = 0;
    if ((items[i].revents & ZMQ_POLLIN) != 0) events |= POLLIN;
    if ((items[i].revents & ZMQ_POLLOUT) != 0) events |= POLLOUT;
    if ((items[i].revents & ZMQ_POLLERR) != 0) events |= POLLERR;
    watched[i]->callback(events);
  }
  run_timers();
  return !stopped_;
}

void Reactor::run() {
  while (run_once(std::chrono::hours(1))) {
  }
}

}  // namespace sluice::wire
