#include "store/workers.h"

#include <algorithm>
#include <utility>

#include <sys/resource.h>

namespace sluice::store {

namespace {

// Of fewer bytes than these a thread costs more than it brings.
constexpr std::int64_t kFewBytes = std::int64_t{4} << 20;

}  // namespace

Workers::Workers(unsigned threads, std::size_t few)
    : threads_(threads != 0 ? threads : std::clamp(std::thread::hardware_concurrency(), 1u, 8u)),
      few_(few) {
  // Items that wait hold their folders open, so there may not be too many.
  rlimit limit{};
  most_waiting_ =
      ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1024 ? limit.rlim_cur / 8 : 128;
}

Workers::~Workers() {
  std::deque<Item> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(waiting_);
    ended_ = true;
  }
  more_.notify_all();
}

void Workers::add(std::size_t files, std::int64_t bytes, std::function<Status()> work) {
  files_ += files;
  bytes_ += bytes;
  Item item{added_++, std::move(work)};
  if (threads_ == 1 || (pool_.empty() && files_ < few_ && bytes_ < kFewBytes))
    return run(std::move(item));
  if (pool_.empty()) {
    pool_.start(threads_, [this] { serve(); });
    threads_ = static_cast<unsigned>(pool_.size()) + 1;
    if (pool_.empty()) return run(std::move(item));
  }
  {
    std::unique_lock lock(mutex_);
    if (first_error_) {
      if (bytes >= kBytes) {
        waiting_.push_front(std::move(item));
      } else {
        waiting_.push_back(std::move(item));
      }
    }
    if (waiting_.size() > most_waiting_) {
      Item first = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      run(std::move(first));
      return;
    }
  }
  more_.notify_one();
}

void Workers::run(Item item) {
  if (failed()) return;
  auto done = item.work();
  if (done) return;
  std::deque<Item> dropped;  // goes without the lock: what goes with an item may call fail()
  const std::lock_guard lock(mutex_);
  // The error that counts is the first in the order of adding, so that the message is the same each
  // time.
  if (item.order < error_at_) {
    error_at_ = item.order;
    first_error_ = std::move(done);
  }
  dropped.swap(waiting_);
}

void Workers::serve() {
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      item = std::move(waiting_.front());
      waiting_.pop_front();
    }
    run(std::move(item));
  }
}

void Workers::fail(tl::unexpected<Error> error) {
  const std::lock_guard lock(mutex_);
  if (first_error_) first_error_ = std::move(error);
}

bool Workers::failed() const {
  const std::lock_guard lock(mutex_);
  return !first_error_;
}

Status Workers::finish() {
  while (true) {
    Item item;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        ended_ = true;
        break;
      }
      item = std::move(waiting_.front());
      waiting_.pop_front();
    }
    run(std::move(item));
  }
  more_.notify_all();
  pool_.join();
  return first_error_;
}

}  // namespace sluice::store
