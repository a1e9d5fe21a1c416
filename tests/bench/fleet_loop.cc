#include "fleet_loop.h"

#include <algorithm>
#include <cerrno>

#include <sys/epoll.h>
#include <unistd.h>

#include "fleet_bench.h"

namespace sluice::bench {

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) die("epoll_create1");
}

std::unique_ptr<Loop::Watch> Loop::watch(wire::Socket& socket, std::function<void()> on_readable) {
  int fd = -1;
  std::size_t size = sizeof fd;
  if (zmq_getsockopt(socket.handle(), ZMQ_FD, &fd, &size) != 0) die("a socket has no descriptor");
  std::unique_ptr<Watch> watch(new Watch(*this, socket, fd, std::move(on_readable)));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = watch.get();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  queue(*watch);
  return watch;
}

Loop::Watch::~Watch() {
  ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  if (queued_)
    std::replace(loop_.queue_.begin(), loop_.queue_.end(), this, static_cast<Watch*>(nullptr));
}

void Loop::Watch::sent() { loop_.queue(*this); }

void Loop::queue(Watch& watch) {
  if (watch.queued_) return;
  watch.queued_ = true;
  queue_.push_back(&watch);
}

void Loop::turn(Duration wait) {
  epoll_event events[256];
  const auto milliseconds = queue_.empty() ? (wait.count() + 999'999) / 1'000'000 : 0;
  const int count = ::epoll_wait(epoll_.get(), events, 256, static_cast<int>(milliseconds));
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; ++i) queue(*static_cast<Watch*>(events[i].data.ptr));
  // What a callback sends is looked at in the next turn.
  const std::size_t queued = queue_.size();
  for (std::size_t i = 0; i < queued; ++i) {
    Watch* const watch = queue_[i];
    if (watch == nullptr) continue;
    watch->queued_ = false;
    queue_[i] = nullptr;
    if (watch->socket_.readable()) watch->on_readable_();
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queued));
}

}  // namespace sluice::bench
