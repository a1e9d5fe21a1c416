// A publisher's end of the records link (spec/records.md): lossless, in order, across restarts of
// the broker.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

// One per process that publishes; lives in the reactor's thread.
class RecordPublisher {
 public:
  struct Settings {
    Address endpoint;
    Hello hello;
    // Records kept until they are acknowledged. Beyond it full() is true and the owner should make
    // nothing new; publish() still takes what it must say.
    std::size_t ring = 65536;
  };
  static Result<std::unique_ptr<RecordPublisher>> create(Context& context, Reactor& reactor,
                                                         Settings settings);
  virtual ~RecordPublisher() = default;

  // Sends the event soon, cut where it is larger than the log takes (fit_event() in events.h).
  // (What is published in one turn of the loop goes in one APPEND.) Returns its sequence number,
  // from 1. `ticket`: of its attempt, where a runner from elsewhere publishes (Job::ticket).
  virtual std::uint64_t publish(std::string_view type, std::string packed_event,
                                std::string_view ticket = {}) = 0;
  // Sends what is waiting now.
  virtual void flush() = 0;
  // Whether the broker has refused this publisher for good. What was published and not acknowledged
  // is lost then, and so is all that comes; it counts as acknowledged, for nothing will come of
  // waiting for it.
  virtual bool stopped() const = 0;
  virtual std::uint64_t acknowledged() const = 0;
  virtual std::uint64_t last() const = 0;  // sequence number of the last publish()
  virtual bool full() const = 0;
  // Called whenever acknowledged() grows.
  virtual void on_acknowledged(std::function<void(std::uint64_t upto)> callback) = 0;
  // Called when the broker can't write its log (disk full), and it tries again by itself; or when
  // it was refused for good, and has stopped().
  virtual void on_refused(std::function<void(const Error&)> callback) = 0;
  // Called when the broker says that the session ends.
  virtual void on_ending(std::function<void()> callback) = 0;
};

}  // namespace sluice::wire
