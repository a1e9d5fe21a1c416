// Internal to remote/: the calls that sluice-cas has under way, and the threads that do their work.
//
// A client can be as slow as it likes, or stop: its call holds no thread, only what is to be sent
// to it or comes from it. One that neither takes nor sends anything for a while is ended. When
// calls or what they hold are too many, the one that has waited longest for its client goes first;
// where nobody waits, the new one is refused and may try again. Bounds of one connection are gRPC's
// (streams at once). Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/threads.h"
#include "remote/grpc.h"

namespace sluice::remote {

struct CallLimits {
  std::chrono::seconds silence{60};  // of a client, within a call
  std::size_t calls = 2048;
  std::size_t bytes = std::size_t{256} << 20;  // that are held for clients
};

class Ticket;

class Calls {
 public:
  explicit Calls(CallLimits limits) : limits_(limits) {}
  // Called when no call is left.
  ~Calls();
  Calls(const Calls&) = delete;

  // Starts the threads, before the first call. Error: the system refuses even the two that are
  // needed.
  Status start();

  // Has `task` done by one of a few threads, in order. It may wait for the disk, and for nobody
  // else.
  void work(std::function<void()> task);

 private:
  friend class Ticket;
  using Clock = std::chrono::steady_clock;

  void run();
  void end_silent();
  // Both are called with the lock of the tickets held. end_one() ends the call that has waited
  // longest for its client, with `holding` of those that hold something; false when none waits.
  void end(Ticket& ticket);
  bool end_one(bool holding);

  const CallLimits limits_;
  // Recursive, since gRPC may end a call, and with it its ticket, within the very function that
  // cancels it.
  std::recursive_mutex lock_;  // of the tickets, and what they count up to
  std::unordered_set<Ticket*> tickets_;
  std::size_t held_ = 0;
  std::size_t ended_ = 0;  // of tickets_: they don't count any more
  std::mutex tasks_lock_;  // of all below
  std::condition_variable changed_, ending_;
  std::deque<std::function<void()>> tasks_;
  bool over_ = false;
  Helpers threads_;
};

// A call, from its beginning until gRPC is done with it.
class Ticket {
 public:
  Ticket(Calls& calls, grpc::CallbackServerContext& context);
  ~Ticket();
  Ticket(const Ticket&) = delete;

  // False when there are too many calls, and this one is to end at once. hold() says so of that
  // many bytes more for the client.
  bool admitted() const { return admitted_; }
  bool hold(std::size_t bytes);
  // From waits() until works() it is the client's turn.
  void waits();
  void works();

 private:
  friend class Calls;

  Calls& calls_;
  grpc::CallbackServerContext& context_;
  bool admitted_ = false;
  std::size_t held_ = 0;  // under calls_.lock_, as are the members below
  bool waiting_ = false;
  bool ended_ = false;
  Calls::Clock::time_point since_;
};

grpc::Status too_busy();

// A call of one question and one answer: `work` makes the answer, on one of the threads. It deletes
// itself.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(Calls& calls, grpc::CallbackServerContext& context, std::function<grpc::Status()> work,
            std::function<std::size_t()> size)
      : ticket_(calls, context), work_(std::move(work)), size_(std::move(size)) {
    calls.work([this] { run(); });
  }

  void OnDone() override { delete this; }

 private:
  void run() {
    grpc::Status status = ticket_.admitted() ? work_() : too_busy();
    if (status.ok() && !ticket_.hold(size_())) status = too_busy();
    ticket_.waits();
    Finish(status);
  }

  Ticket ticket_;
  const std::function<grpc::Status()> work_;
  const std::function<std::size_t()> size_;
};

// `reply` is gRPC's, and filled by `work`.
template <typename Reply>
grpc::ServerUnaryReactor* unary(Calls& calls, grpc::CallbackServerContext* context, Reply* reply,
                                std::function<grpc::Status()> work) {
  return new UnaryCall(calls, *context, std::move(work), [reply] { return reply->ByteSizeLong(); });
}

}  // namespace sluice::remote
