#include "scheduler/usage.h"

#include <mutex>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/threads.h"
#include "store/quota.h"

namespace sluice::scheduler {

struct UsageMeter::Shared {
  UniqueFd event;
  std::mutex lock;
  std::optional<std::uint64_t> counted;
};

UsageMeter::UsageMeter(wire::Reactor& reactor, OnMeasured on_measured)
    : reactor_(reactor), on_measured_(std::move(on_measured)), shared_(std::make_shared<Shared>()) {
  shared_->event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (shared_->event) reactor_.on_fd(shared_->event.get(), POLLIN, [this](short) { collect(); });
}

UsageMeter::~UsageMeter() {
  if (shared_->event) reactor_.remove_fd(shared_->event.get());
  // The thread only reads (the process may end in the middle of it), and what it hands over is
  // shared: it may outlive us.
  if (thread_.joinable()) thread_.detach();
}

void UsageMeter::measure(const std::string& cachedir) {
  if (busy_ || !shared_->event) return;
  if (!space_ || cachedir != cachedir_) {
    auto space = store::Space::open(cachedir);
    if (!space) return;
    space_.emplace(std::move(*space));
    cachedir_ = cachedir;
  }
  if (!space_->outdated()) return tell();
  before_ = space_->used();
  if (thread_.joinable()) thread_.join();
  auto thread = start_thread([shared = shared_, cachedir] {
    auto usage = store::used(cachedir);
    {
      const std::lock_guard guard(shared->lock);
      shared->counted = usage ? std::optional(usage->total()) : std::nullopt;
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(shared->event.get(), &one, sizeof one);
  });
  if (!thread) return log::warn("the cache isn't measured: {}", thread.error().str());
  thread_ = std::move(*thread);
  busy_ = true;
}

void UsageMeter::collect() {
  std::uint64_t count = 0;
  if (::read(shared_->event.get(), &count, sizeof count) != sizeof count) return;
  busy_ = false;
  const std::lock_guard guard(shared_->lock);
  if (!shared_->counted) return;
  space_->set_counted(*shared_->counted, before_);
  tell();
}

void UsageMeter::tell() {
  const std::uint64_t used = space_->used().value_or(0);
  const auto allowed = space_->allowed(used);
  on_measured_({used, allowed && *allowed ? **allowed : 0});
}

}  // namespace sluice::scheduler
