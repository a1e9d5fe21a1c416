// Both ends of the control link (spec/control.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

// Asks services through the broker. Lives in the reactor's thread. A request is asked again with
// the same id after a reconnect until its timeout.
class ControlClient {
 public:
  using OnReply = std::function<void(const Reply&)>;
  static Result<std::unique_ptr<ControlClient>> create(Context& context, Reactor& reactor,
                                                       const Address& endpoint, const Hello& hello);
  virtual ~ControlClient() = default;
  // `arguments`: a packed map or "". When no answer comes in time, on_reply gets a Reply with
  // status "unknown".
  virtual void request(std::string_view service, std::string_view command, std::string arguments,
                       Duration timeout, OnReply on_reply) = 0;
  // The broker said ENDING.
  virtual void on_ending(std::function<void()> callback) = 0;
};

// Answers as a service (hello.role is its name). Keeps its last replies, so that a request asked
// twice is carried out once.
class ControlService {
 public:
  // Answers exactly once, then or later.
  using Respond = std::function<void(Reply)>;
  using OnRequest = std::function<void(const Request&, Respond)>;
  static Result<std::unique_ptr<ControlService>> create(Context& context, Reactor& reactor,
                                                        const Address& endpoint, const Hello& hello,
                                                        OnRequest on_request);
  virtual ~ControlService() = default;
};

}  // namespace sluice::wire
