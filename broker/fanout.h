// Live events and the log's records by topic (spec/records.md, "Live"): what publishers say goes to
// subscribers, and what subscribers want to publishers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/occurrences.h"
#include "broker/prefixes.h"
#include "wire/socket.h"

namespace sluice::broker {

class Fanout {
 public:
  // `in` is the XSUB that publishers connect to, `out` the XPUB that subscribers connect to.
  // Both must outlive it.
  Fanout(wire::Socket& in, wire::Socket& out) : in_(in), out_(out) {}

  wire::Socket& in() { return in_; }
  wire::Socket& out() { return out_; }

  // Pass on what has arrived, at most `limit` messages.
  void events(int limit);
  // By what tickets of runners from elsewhere are checked; without it none is good.
  void check_tickets_by(std::string secret) { ticket_secret_ = std::move(secret); }
  void subscriptions(int limit);
  // Publishes a record that was appended; nothing is sent when nobody subscribes to its topic.
  void publish(std::string_view type, std::string_view stamped);

  std::uint64_t malformed() const { return malformed_; }

  static constexpr std::size_t kMaxTopic = 256;
  // Bytes of an event from elsewhere: a piece of a log is far smaller (R56).
  static constexpr std::size_t kMaxRemoteEvent = 256u << 10;

 private:
  // Whether who has sent it may say that.
  bool allowed(std::span<const std::string_view> frames, std::string_view user_id) const;
  void subscription(std::string_view said, std::string_view user_id);
  void pass_on(bool begins, std::string_view prefix);

  wire::Socket& in_;
  wire::Socket& out_;
  Prefixes prefixes_;
  std::string ticket_secret_;
  std::uint64_t malformed_ = 0;
  Occurrences refused_, over_;
};

}  // namespace sluice::broker
