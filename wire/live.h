// Live events (spec/records.md, "Live"): best effort, by topic, and free of cost when nobody
// listens.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

class LivePublisher {
 public:
  static Result<std::unique_ptr<LivePublisher>> create(Context& context, Reactor& reactor,
                                                       const Address& endpoint);
  virtual ~LivePublisher() = default;
  // Whether somebody subscribes to a prefix of `topic`.
  virtual bool wanted(std::string_view topic) const = 0;
  // Whether somebody subscribes to a prefix of `topic` that is longer than `base`: who subscribes
  // to all that begins with `base` gets it, but hasn't asked for it.
  virtual bool wanted_below(std::string_view base, std::string_view topic) const = 0;
  // `make` is called only when the topic is wanted.
  // `ticket` as of RecordPublisher::publish().
  virtual void publish(std::string_view topic, const std::function<std::string()>& make,
                       std::string_view ticket = {}) = 0;
  // Called when the first subscriber of a prefix comes ("whoever attaches late has the full picture
  // at once").
  virtual void on_subscribed(std::function<void(const std::string& prefix)> callback) = 0;
  // Called when the last subscriber of a prefix has gone, or the connection has.
  virtual void on_unsubscribed(std::function<void(const std::string& prefix)> callback) = 0;
};

class LiveSubscriber {
 public:
  using OnEvent = std::function<void(std::string_view topic, std::string_view packed)>;
  static Result<std::unique_ptr<LiveSubscriber>> create(Context& context, Reactor& reactor,
                                                        const Address& endpoint,
                                                        const std::vector<std::string>& prefixes,
                                                        OnEvent on_event);
  virtual ~LiveSubscriber() = default;
  virtual Status subscribe(const std::string& prefix) = 0;
  virtual Status unsubscribe(const std::string& prefix) = 0;
};

}  // namespace sluice::wire
