// What is between records and a destination: a queue of bounded size, a thread that delivers from
// it, and the cursors up to which everything was delivered.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "renderer/collect/destination.h"
#include "wire/reactor.h"

namespace sluice::collect {

// Lives in the reactor's thread, and has one of its own for deliver(). After stop() the process is
// to end: a delivery that hangs is left to itself.
class Delivery {
 public:
  struct Callbacks {
    // All that came of the session's records up to `cursor` is where it belongs.
    std::function<void(const std::string& session, std::uint64_t cursor)> on_delivered;
    // There is room again, or nothing left.
    std::function<void()> on_room;
    // It failed, and will be tried again after `wait`; or, without one, it won't.
    std::function<void(const Error& error, std::optional<Duration> wait)> on_failed;
    // What had failed was delivered.
    std::function<void()> on_recovered;
    // The message is refused for what it is, and isn't delivered.
    std::function<void(const Message& message, const Error& error)> on_left_out;
  };
  static Result<std::unique_ptr<Delivery>> create(wire::Reactor& reactor, Destination& destination,
                                                  Callbacks callbacks);
  ~Delivery();

  void add(Message message);
  // A record of which nothing is to be delivered.
  void skip(const std::string& session, std::uint64_t cursor);
  // No more is to be added until on_room().
  bool full() const { return bytes_ >= kFull; }
  // Everything that was added is delivered.
  bool idle() const { return queue_.empty() && !busy_; }
  // Whether a batch is on its way just now.
  bool busy() const { return busy_ && !waiting_; }
  // Begins nothing more.
  void stop() { stopped_ = true; }

 private:
  static constexpr std::size_t kFull = std::size_t{1} << 20;
  Delivery(wire::Reactor& reactor, Destination& destination, Callbacks callbacks)
      : reactor_(reactor), destination_(destination), callbacks_(std::move(callbacks)) {}
  void send();
  void hand_over();
  void take_result();
  void work();
  struct LeftOut {
    std::size_t index = 0;  // in the batch
    Error error;
  };
  Status deliver(const std::vector<Message>& batch, std::vector<LeftOut>& left_out);

  wire::Reactor& reactor_;
  Destination& destination_;
  const Callbacks callbacks_;
  std::deque<Message> queue_;
  std::size_t bytes_ = 0;  // of the queue and the batch
  std::vector<Message> batch_;
  std::vector<Message> markers_;  // of the batch's sessions: where each of them is then
  bool busy_ = false;
  bool waiting_ = false;  // before the next try
  bool stopped_ = false;
  bool failing_ = false;
  Duration wait_{};

  UniqueFd wake_;  // an eventfd: there is a result
  std::thread thread_;
  // Shared with the thread.
  std::mutex mutex_;
  std::condition_variable work_;
  const std::vector<Message>* todo_ = nullptr;
  std::optional<Status> result_;
  std::vector<LeftOut> left_out_;
  bool end_ = false;
};

}  // namespace sluice::collect
