#include "wire/reactor.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <zmq.h>

namespace sluice::wire {

struct Reactor::Watch {
  void* socket = nullptr;
  int fd = -1;  // of a socket: its ZMQ_FD
  short events = 0;
  std::function<void(short)> callback;
  bool removed = false;
};

namespace {

bool has_message(void* socket) {
  int events = 0;
  std::size_t size = sizeof events;
  return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN) != 0;
}

}  // namespace

Reactor::Reactor(const Clock& clock) : clock_(clock) {}
Reactor::~Reactor() = default;

void Reactor::on_socket(Socket& socket, Callback callback) {
  auto watch = std::make_shared<Watch>();
  watch->socket = socket.handle();
  std::size_t size = sizeof watch->fd;
  if (zmq_getsockopt(watch->socket, ZMQ_FD, &watch->fd, &size) != 0) watch->fd = -1;
  watch->events = POLLIN;
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
  watch->events = events;
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

// As zmq_poll(), which asks every socket twice a turn, at a system call each: here a socket is
// asked once, since what was sent or received in the last turn may have taken its descriptor's
// signal (that is edge-triggered), and again only when the descriptor says so.
bool Reactor::run_once(Duration wait) {
  if (stopped_) return false;
  const auto watched = watches_;
  std::vector<pollfd> fds;
  std::vector<bool> readable(watched.size(), false);
  fds.reserve(watched.size());
  bool any = false;
  for (std::size_t i = 0; i < watched.size(); ++i) {
    const Watch& watch = *watched[i];
    fds.push_back({watch.fd, watch.events, 0});
    if (watch.socket != nullptr && has_message(watch.socket)) any = readable[i] = true;
  }
  // Rounded up: a timer must not make the loop spin through its last millisecond.
  const auto milliseconds = any ? 0 : (until_next_timer(wait).count() + 999'999) / 1'000'000;
  const bool polled = ::poll(fds.data(), fds.size(),
                             static_cast<int>(std::min<std::int64_t>(milliseconds, INT_MAX))) > 0;
  for (std::size_t i = 0; i < watched.size() && !stopped_; ++i) {
    const Watch& watch = *watched[i];
    const short events = polled ? fds[i].revents : short{0};
    if (watch.removed) continue;
    if (watch.socket == nullptr) {
      if (events != 0)
        watch.callback(static_cast<short>((events & (POLLIN | POLLOUT)) |
                                          ((events & ~(POLLIN | POLLOUT)) != 0 ? POLLERR : 0)));
    } else if (readable[i] || (events != 0 && has_message(watch.socket))) {
      watch.callback(POLLIN);
    }
  }
  run_timers();
  return !stopped_;
}

void Reactor::run() {
  while (run_once(std::chrono::hours(1))) {
  }
}

}  // namespace sluice::wire
