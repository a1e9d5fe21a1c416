#include "remote/calls.h"

#include "base/try.h"

namespace sluice::remote {

namespace {

constexpr unsigned kThreads = 8;
// A call that has waited less than this is under way.
constexpr std::chrono::seconds kPause{1};

}  // namespace

grpc::Status too_busy() {
  return {grpc::StatusCode::UNAVAILABLE, "Too much is under way here; try again later"};
}

Status Calls::start() {
  CHECK(threads_.add([this] { end_silent(); }));
  CHECK(threads_.add([this] { run(); }));
  threads_.start(kThreads, [this] { run(); });
  return {};
}

Calls::~Calls() {
  {
    const std::lock_guard guard(tasks_lock_);
    over_ = true;
  }
  changed_.notify_all();
  ending_.notify_all();
  threads_.join();
}

void Calls::work(std::function<void()> task) {
  {
    const std::lock_guard guard(tasks_lock_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void Calls::run() {
  std::unique_lock guard(tasks_lock_);
  for (;;) {
    changed_.wait(guard, [this] { return over_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    guard.unlock();
    task();
    guard.lock();
  }
}

void Calls::end_silent() {
  std::unique_lock guard(tasks_lock_);
  while (!ending_.wait_for(guard, kPause, [this] { return over_; })) {
    guard.unlock();
    {
      const std::lock_guard tickets(lock_);
      const auto now = Clock::now();
      std::vector<Ticket*> silent;
      for (Ticket* ticket : tickets_) {
        if (ticket->waiting_ && !ticket->ended_ && now - ticket->since_ >= limits_.silence)
          silent.push_back(ticket);
      }
      // The end of one is the end of no other.
      for (Ticket* ticket : silent) end(*ticket);
    }
    guard.lock();
  }
}

void Calls::end(Ticket& ticket) {
  ticket.ended_ = true;
  ++ended_;
  held_ -= ticket.held_;
  ticket.held_ = 0;
  ticket.context_.TryCancel();
}

bool Calls::end_one(bool holding) {
  Ticket* longest = nullptr;
  for (Ticket* ticket : tickets_) {
    if (!ticket->waiting_ || ticket->ended_ || (holding && ticket->held_ == 0)) continue;
    if (longest == nullptr || ticket->since_ < longest->since_) longest = ticket;
  }
  if (longest == nullptr || Clock::now() - longest->since_ < kPause) return false;
  end(*longest);
  return true;
}

Ticket::Ticket(Calls& calls, grpc::CallbackServerContext& context)
    : calls_(calls), context_(context) {
  const std::lock_guard guard(calls_.lock_);
  admitted_ =
      calls_.tickets_.size() - calls_.ended_ < calls_.limits_.calls || calls_.end_one(false);
  calls_.tickets_.insert(this);
}

Ticket::~Ticket() {
  const std::lock_guard guard(calls_.lock_);
  calls_.held_ -= held_;
  if (ended_) --calls_.ended_;
  calls_.tickets_.erase(this);
}

bool Ticket::hold(std::size_t bytes) {
  const std::lock_guard guard(calls_.lock_);
  if (ended_) return false;
  while (calls_.held_ + bytes > calls_.limits_.bytes) {
    if (!calls_.end_one(true)) return false;
  }
  calls_.held_ += bytes;
  held_ += bytes;
  return true;
}

void Ticket::waits() {
  const std::lock_guard guard(calls_.lock_);
  waiting_ = true;
  since_ = Calls::Clock::now();
}

void Ticket::works() {
  const std::lock_guard guard(calls_.lock_);
  waiting_ = false;
}

}  // namespace sluice::remote
