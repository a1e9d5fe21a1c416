#include "scheduler/usage.h"

#include <atomic>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "store/quota.h"

namespace sluice::scheduler {

struct UsageMeter::Shared {
  UniqueFd event;
  std::atomic<std::uint64_t> used{0};
  std::atomic<bool> good{false};
};

UsageMeter::UsageMeter(wire::Reactor& reactor, OnMeasured on_measured)
    : reactor_(reactor), on_measured_(std::move(on_measured)), shared_(std::make_shared<Shared>()) {
  shared_->event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (shared_->event) reactor_.on_fd(shared_->event.get(), POLLIN, [this](short) { collect(); });
}

UsageMeter::~UsageMeter() {
  if (shared_->event) reactor_.remove_fd(shared_->event.get());
  // It only reads (the process may end in the middle of it), and what it hands over is shared: it may outlive us.
  if (thread_.joinable()) thread_.detach();
}

void UsageMeter::measure(const std::string& cachedir, std::uint64_t quota) {
  if (busy_ || !shared_->event) return;
  busy_ = true;
  quota_ = quota;
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([shared = shared_, cachedir] {
    shared->good = false;
    if (auto usage = store::used(cachedir)) {
      shared->used = usage->total();
      shared->good = true;
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(shared->event.get(), &one, sizeof one);
  });
}

void UsageMeter::collect() {
  std::uint64_t count = 0;
  if (::read(shared_->event.get(), &count, sizeof count) != sizeof count) return;
  busy_ = false;
  if (shared_->good) on_measured_({shared_->used, quota_});
}

}  // namespace sluice::scheduler
