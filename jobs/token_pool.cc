#include "jobs/token_pool.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/try.h"

namespace sluice::jobs {

namespace {

// The time that a token may lie where nobody takes it while others could.
constexpr Duration kUntaken = std::chrono::milliseconds(200);
constexpr char kToken = '+';

Status make_pipe(UniqueFd& read, UniqueFd& write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  read.reset(ends[0]);
  write.reset(ends[1]);
  return {};
}

Status unblock(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "fcntl");
  return {};
}

}  // namespace

TokenPool::~TokenPool() {
  while (!jobs_.empty()) remove(jobs_.begin()->first);
  if (timer_) reactor_.cancel(*timer_);
}

std::int64_t TokenPool::available() const {
  return std::int64_t{total_} - static_cast<std::int64_t>(jobs_.size()) - out_;
}

Result<TokenPool::Ends> TokenPool::add(const wire::JobId& id, std::uint32_t total) {
  Job job;
  Ends ends;
  CHECK(make_pipe(ends.read, job.offer));
  CHECK(make_pipe(job.back, ends.write));
  // Pipes have one page (token_pool.h). The modes of the job's own ends are those that it expects,
  // so ours are opened anew.
  if (::fcntl(job.offer.get(), F_SETPIPE_SZ, 4096) < 0) return fail_errno(errno, "F_SETPIPE_SZ");
  job.revoke.reset(::open(("/proc/self/fd/" + std::to_string(ends.read.get())).c_str(),
                          O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!job.revoke) return fail_errno(errno, "/proc/self/fd");
  for (const UniqueFd* fd : {&job.offer, &job.back}) {
    CHECK(unblock(*fd));
  }
  total_ = total;
  reactor_.on_fd(job.back.get(), POLLIN, [this, id](short) { on_back(id); });
  job.hears = true;
  remove(id);
  jobs_.emplace(id, std::move(job));
  balance();
  return ends;
}

void TokenPool::want(const wire::JobId& id, std::uint32_t most) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  found->second.most = most;
  balance();
}

void TokenPool::remove(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  if (job.offered) reactor_.remove_fd(job.offer.get());
  if (job.hears) reactor_.remove_fd(job.back.get());
  out_ -= job.out;
  jobs_.erase(found);
  balance();
}

void TokenPool::offer(Job& job, const wire::JobId& id) {
  if (::write(job.offer.get(), &kToken, 1) != 1) return;
  job.offered = true;
  job.offered_at = system_clock().monotonic();
  ++job.out;
  ++out_;
  reactor_.on_fd(job.offer.get(), POLLOUT, [this, id](short) { on_taken(id); });
}

// Takes an offered token back; false when it was taken just then.
bool TokenPool::revoke(Job& job) {
  char token = 0;
  const bool mine = ::read(job.revoke.get(), &token, 1) == 1;
  reactor_.remove_fd(job.offer.get());
  job.offered = false;
  if (mine) {
    --job.out;
    --out_;
  }
  return mine;
}

void TokenPool::on_taken(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || !found->second.offered) return;
  reactor_.remove_fd(found->second.offer.get());
  found->second.offered = false;
  balance();
}

void TokenPool::on_back(const wire::JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = found->second;
  char tokens[256];
  const ssize_t n = ::read(job.back.get(), tokens, sizeof tokens);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    // Nobody is left in the job to give anything back; its end will.
    reactor_.remove_fd(job.back.get());
    job.hears = false;
    return;
  }
  // A job that gives back more than it took makes no tokens by it.
  const std::uint32_t taken = job.out - (job.offered ? 1 : 0);
  const auto back = static_cast<std::uint32_t>(std::min<ssize_t>(n, taken));
  job.out -= back;
  out_ -= back;
  balance();
}

void TokenPool::balance() {
  // A job that began has its first process, for which a token on offer is taken back.
  for (auto& [id, job] : jobs_) {
    if (available() >= 0) break;
    if (job.offered) revoke(job);
  }
  for (std::size_t tries = jobs_.size(); tries > 0 && available() > 0; --tries) {
    auto next = jobs_.upper_bound(last_);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (next == jobs_.end()) next = jobs_.begin();
      if (hungry(next->second)) break;
      ++next;
    }
    if (next == jobs_.end() || !hungry(next->second)) break;
    last_ = next->first;
    offer(next->second, next->first);
  }
  const bool idle = std::any_of(jobs_.begin(), jobs_.end(),
                                [](const auto& entry) { return entry.second.offered; });
  const bool wanted = std::any_of(jobs_.begin(), jobs_.end(),
                                  [&](const auto& entry) { return hungry(entry.second); });
  if (!idle || !wanted || timer_) return;
  timer_ = reactor_.after(kUntaken, [this] {
    timer_.reset();
    const Duration now = system_clock().monotonic();
    for (auto& [id, job] : jobs_) {
      if (!job.offered || now - job.offered_at < kUntaken) continue;
      last_ = id;
      if (revoke(job)) break;
    }
    balance();
  });
}

}  // namespace sluice::jobs
