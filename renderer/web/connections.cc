#include "renderer/web/connections.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

namespace sluice::renderer {

namespace {

constexpr Duration kRequest = std::chrono::seconds(10);
constexpr int kWrite = 10'000;  // ms

bool ready(int socket, short events, int wait_ms) {
  pollfd one{socket, events, 0};
  int found = 0;
  do {
    found = ::poll(&one, 1, wait_ms);
  } while (found < 0 && errno == EINTR);
  return found > 0;
}

}  // namespace

BoundedStream::BoundedStream(int socket)
    : socket_(socket), deadline_(system_clock().monotonic() + kRequest) {}

bool BoundedStream::is_readable() const { return ready(socket_, POLLIN, 0); }

// Also false when the other end is gone: a browser says nothing after its request.
bool BoundedStream::is_writable() const {
  pollfd one{socket_, POLLOUT | POLLRDHUP, 0};
  if (::poll(&one, 1, 0) < 0) return false;
  if ((one.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return false;
  return (one.revents & POLLOUT) != 0 || ready(socket_, POLLOUT, kWrite);
}

ssize_t BoundedStream::read(char* to, std::size_t size) {
  const auto left = deadline_ - system_clock().monotonic();
  if (left <= Duration::zero() || left_ == 0) return -1;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
  if (!ready(socket_, POLLIN, static_cast<int>(ms))) return -1;
  ssize_t n = 0;
  do {
    n = ::recv(socket_, to, std::min(size, left_), 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) left_ -= static_cast<std::size_t>(n);
  return n;
}

ssize_t BoundedStream::write(const char* from, std::size_t size) {
  if (!ready(socket_, POLLOUT, kWrite)) return -1;
  ssize_t n = 0;
  do {
    n = ::send(socket_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n;
}

void BoundedStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = "127.0.0.1";
  port = 0;
}

void BoundedStream::get_local_ip_and_port(std::string& ip, int& port) const {
  get_remote_ip_and_port(ip, port);
}

void ConnectionThreads::enqueue(std::function<void()> connection) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ending_ || waiting_.empty() || idle_ > waiting_.size(); });
  waiting_.push_back(std::move(connection));
  // Where the system has no thread left, one that is there takes it later; without any, this one.
  if (idle_ < waiting_.size() && threads_.size() < most_ && !ending_)
    (void)threads_.add([this] { work(); });
  if (threads_.empty()) {
    auto only = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    return only();
  }
  lock.unlock();
  changed_.notify_all();
}

void ConnectionThreads::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  threads_.join();
  // Each closes its socket.
  for (auto& one : waiting_) one();
}

void ConnectionThreads::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    auto connection = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    changed_.notify_all();
    connection();
    lock.lock();
  }
}

}  // namespace sluice::renderer
