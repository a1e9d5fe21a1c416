#include "remote/near_storage.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/threads.h"
#include "base/try.h"

namespace sluice::remote {

namespace {

constexpr std::chrono::milliseconds kLongestRest = std::chrono::minutes(5);
// Jobs wait for it, and can do without: it may be silent for less time than a server that is
// needed.
constexpr std::int64_t kPatience = 10;
// Bytes a second: one that is slower is no help, and one that trickles would hold up jobs.
constexpr std::int64_t kLeastSpeed = std::int64_t{1} << 20;
constexpr std::int64_t kMostSize = std::int64_t{1} << 40;
constexpr std::size_t kMostFetched = 64;
constexpr std::size_t kMostMade = 1024;
constexpr std::chrono::milliseconds kGlance{200};

RemoteSpec impatient(RemoteSpec spec) {
  spec.retry_limit = spec.retry_limit.value_or(0);
  spec.request_timeout = spec.request_timeout.value_or(kPatience);
  return spec;
}

}  // namespace

NearStorage::NearStorage(store::Cas& cas, RemoteSpec spec, Connect connect,
                         std::chrono::milliseconds first_rest)
    : cas_(cas), spec_(impatient(std::move(spec))), connect_(std::move(connect)),
      first_rest_(first_rest) {
  reading_.lost = "is done without; what it would give comes from the session's store";
  writing_.lost = "doesn't keep what this runner gives it";
}

NearStorage::~NearStorage() {
  ending_ = true;
  std::thread keeper;
  {
    const std::lock_guard guard(lock_);
    keeper = std::move(keeper_);
  }
  changed_.notify_all();
  if (keeper.joinable()) keeper.join();
}

std::shared_ptr<Peer> NearStorage::peer(Way& way) {
  const std::lock_guard guard(lock_);
  if (way.rest.count() > 0) {
    const auto now = Clock::now();
    if (now < way.until) return nullptr;
    // Others go on without it until this try has come to something.
    way.until = now + way.rest;
  }
  if (peer_) return peer_;
  // Its files are read again each time: a certificate may have been replaced.
  auto connected = connect_(spec_, {});
  if (connected) return peer_ = std::move(*connected);
  warn(way.lost, connected.error());
  way.rest = kLongestRest;
  way.until = Clock::now() + way.rest;
  return nullptr;
}

void NearStorage::works(Way& way) {
  const std::lock_guard guard(lock_);
  way.rest = {};
}

void NearStorage::fails(Way& way, const Error& error) {
  // What is wrong with this machine's own store is said by who needs it.
  if (error.domain != "remote" || error.reason == "cancelled") return;
  const std::lock_guard guard(lock_);
  warn(way.lost, error);
  const bool lasts = error.reason != "unreachable" && error.reason != "remote-failed";
  way.rest = lasts                  ? kLongestRest
             : way.rest.count() > 0 ? std::min(2 * way.rest, kLongestRest)
                                    : first_rest_;
  way.until = Clock::now() + way.rest;
  if (&way == &reading_ || error.reason == "unreachable") peer_.reset();
}

void NearStorage::warn(std::string_view what, const Error& error) {
  if (!said_.insert(fmt::format("{} {}", what, error.reason)).second) return;
  warnings_.push_back(fmt::format("Storage service {} {}: {}", spec_.url, what, error.message));
}

std::vector<std::string> NearStorage::take_warnings() {
  const std::lock_guard guard(lock_);
  return std::exchange(warnings_, {});
}

std::vector<Digest> NearStorage::pull(const std::vector<Digest>& wanted, Moved& moved,
                                      const std::atomic<bool>& cancelled) {
  if (wanted.empty()) return {};
  const auto server = peer(reading_);
  if (!server) return wanted;
  Together together;
  together.cancelled = &cancelled;
  std::int64_t size = 0;
  for (const Digest& digest : wanted) size += std::min(digest.size, kMostSize);
  together.until = Clock::now() + std::chrono::seconds(kPatience + size / kLeastSpeed);
  together.on_wrong = [this](const Error& error) {
    const std::lock_guard guard(lock_);
    warn("gave what was refused; it comes from the session's store", error);
  };
  auto missing = Transfer(cas_, *server, moved, std::move(together)).pull_found(wanted);
  if (missing) {
    works(reading_);
    return std::move(*missing);
  }
  fails(reading_, missing.error());
  // What has come before it failed is here.
  std::vector<Digest> still;
  for (const Digest& digest : wanted) {
    if (!cas_.touch(digest)) still.push_back(digest);
  }
  return still;
}

void NearStorage::keep_made(std::shared_ptr<Keep> made) { keep(std::move(made), true); }

void NearStorage::keep_fetched(std::vector<Digest> blobs) {
  auto kept = std::make_shared<Keep>();
  kept->blobs = std::move(blobs);
  keep(std::move(kept), false);
}

void NearStorage::keep(std::shared_ptr<Keep> kept, bool made) {
  {
    const std::lock_guard guard(lock_);
    auto& waiting = made ? made_ : fetched_;
    if (waiting.size() == (made ? kMostMade : kMostFetched)) {
      waiting.front()->done = true;
      waiting.pop_front();
    }
    waiting.push_back(kept);
    if (!keeper_.joinable()) {
      if (auto thread = start_thread([this] { run(); })) {
        keeper_ = std::move(*thread);
      } else {
        // Without a thread nothing is kept, which is as good as a service that takes nothing.
        waiting.pop_back();
        kept->done = true;
      }
    }
  }
  changed_.notify_all();
}

void NearStorage::await(const Keep& made, std::chrono::milliseconds time,
                        const std::atomic<bool>& cancelled) {
  const auto until = Clock::now() + time;
  std::unique_lock guard(lock_);
  while (!made.done && !behind_ && !cancelled && Clock::now() < until)
    changed_.wait_for(guard, kGlance);
  if (made.done || behind_ || cancelled) return;
  behind_ = true;
  warn("is slow to take what was made here",
       Error{"remote", "slow", "results don't wait for it any more", {}, {}});
}

void NearStorage::run() {
  std::unique_lock guard(lock_);
  for (;;) {
    changed_.wait(guard, [this] { return ending_ || !made_.empty() || !fetched_.empty(); });
    if (ending_) return;
    auto& waiting = made_.empty() ? fetched_ : made_;
    const auto next = std::move(waiting.front());
    waiting.pop_front();
    guard.unlock();
    if (const auto server = peer(writing_)) {
      Together together;
      together.cancelled = &ending_;
      auto sent =
          Transfer(cas_, *server, next->moved, std::move(together)).push(next->roots, next->blobs);
      if (sent) {
        works(writing_);
      } else {
        fails(writing_, sent.error());
      }
    }
    guard.lock();
    next->done = true;
    if (made_.empty()) behind_ = false;
    changed_.notify_all();
  }
}

}  // namespace sluice::remote
