#include "wire/record_publisher.h"

#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/events.h"
#include "wire/link.h"

namespace sluice::wire {

namespace {

// One APPEND holds at most so much; the broker takes a larger single record.
constexpr std::size_t kAppendRecords = 512;
constexpr std::size_t kAppendBytes = 1u << 20;
// Records sent and not acknowledged. What is beyond waits in the ring, not in ZeroMQ's queue, where
// a reconnect would send it ahead of HELLO for nothing.
constexpr std::uint64_t kWindow = 16384;
constexpr unsigned kUnansweredBeats = 5;
constexpr Duration kRetry = std::chrono::seconds(1);

class Publisher final : public RecordPublisher {
 public:
  Publisher(Reactor& reactor, std::size_t ring) : reactor_(reactor), limit_(ring) {}

  ~Publisher() override {
    reactor_.cancel(flush_timer_);
    reactor_.cancel(retry_timer_);
  }

  Status open(Context& context, const Settings& settings) {
    Link::Callbacks callbacks;
    callbacks.on_welcome = [this](const Welcome& welcome) { handle_welcome(welcome); };
    callbacks.on_message = [this](std::string_view name, std::string_view body) {
      handle(name, body);
    };
    callbacks.count = [this] { return count(); };
    callbacks.on_beat = [this](unsigned) { beat(); };
    link_ = TRY(
        Link::create(context, reactor_, settings.endpoint, settings.hello, std::move(callbacks)));
    return {};
  }

  std::uint64_t publish(std::string_view type, std::string packed_event,
                        std::string_view ticket) override {
    assert(skip_value(packed_event) && skip_value(packed_event)->empty());
    if (stopped_) {
      sent_ = ++acknowledged_;
    } else {
      // The broker refuses a publisher for good that says what can't be logged.
      ring_.push_back(
          {std::string(type), Blob{fit_event(std::move(packed_event))}, std::string(ticket)});
    }
    if (flush_timer_ == 0) {
      flush_timer_ = reactor_.after(Duration::zero(), [this] {
        flush_timer_ = 0;
        if (!stopped_) return flush();
        if (on_acknowledged_) on_acknowledged_(acknowledged_);
      });
    }
    return last();
  }

  void flush() override {
    while (sent_ < last() && sent_ - acknowledged_ < kWindow && !stopped_ && retry_timer_ == 0) {
      if (!send_some()) return;
    }
  }

  std::uint64_t acknowledged() const override { return acknowledged_; }
  std::uint64_t last() const override { return acknowledged_ + ring_.size(); }
  bool stopped() const override { return stopped_; }
  bool full() const override { return ring_.size() >= limit_; }
  void on_acknowledged(std::function<void(std::uint64_t)> callback) override {
    on_acknowledged_ = std::move(callback);
  }
  void on_refused(std::function<void(const Error&)> callback) override {
    on_refused_ = std::move(callback);
  }
  void on_ending(std::function<void()> callback) override { on_ending_ = std::move(callback); }

 private:
  struct Record {
    std::string type;
    Blob bytes;
    std::string ticket;
  };

  // Packed by hand from the ring: an Append would need a copy of every record.
  bool send_some() {
    const std::size_t begin = sent_ - acknowledged_;
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (begin + count < ring_.size() && count < kAppendRecords &&
           (count == 0 || bytes < kAppendBytes)) {
      bytes += ring_[begin + count].bytes.bytes.size();
      ++count;
    }
    const bool tickets = !ring_[begin].ticket.empty();
    std::string body;
    body.reserve(bytes + count * 72 + 64);
    Writer writer(body);
    writer.map(tickets ? 4 : 3);
    writer.string("first");
    writer.unsigned_integer(sent_ + 1);
    writer.string("types");
    writer.array(count);
    for (std::size_t i = 0; i < count; ++i) writer.string(ring_[begin + i].type);
    writer.string("records");
    writer.array(count);
    for (std::size_t i = 0; i < count; ++i) writer.binary(ring_[begin + i].bytes.bytes);
    if (tickets) {
      writer.string("tickets");
      writer.array(count);
      for (std::size_t i = 0; i < count; ++i) writer.string(ring_[begin + i].ticket);
    }
    if (!link_->send(Append::kName, std::move(body))) return false;
    sent_ += count;
    return true;
  }

  void handle_welcome(const Welcome& welcome) {
    if (welcome.acknowledged > last()) {
      // Another process has published under this instance and epoch; to go on would have every
      // record of ours taken for a duplicate.
      stop(Error{
          "wire",
          "epoch-reused",
          fmt::format("the broker holds {} records of '{}' in epoch {}, which has published {}",
                      welcome.acknowledged, link_->hello().instance, link_->hello().epoch, last()),
          {},
          {}});
      return;
    }
    if (welcome.acknowledged < acknowledged_) {
      stop(records_lost(welcome.acknowledged));
      return;
    }
    acknowledge(welcome.acknowledged);
    sent_ = acknowledged_;
    flush();
  }

  void handle(std::string_view name, std::string_view body) {
    if (name == Ack::kName) {
      const auto ack = decode<Ack>(body);
      if (ack && ack->upto <= last()) acknowledge(ack->upto);
      flush();
    } else if (name == Resend::kName) {
      const auto resend = decode<Resend>(body);
      if (!resend || resend->from == 0 || resend->from > last() + 1) return;
      if (resend->from <= acknowledged_) {
        stop(records_lost(resend->from - 1));
        return;
      }
      acknowledge(resend->from - 1);
      sent_ = acknowledged_;
      flush();
    } else if (name == Nack::kName) {
      const auto nack = decode<Nack>(body);
      if (!nack) return;
      sent_ = acknowledged_;
      if (retry_timer_ == 0) {
        retry_timer_ = reactor_.after(kRetry, [this] {
          retry_timer_ = 0;
          flush();
        });
        if (on_refused_) on_refused_(nack->error.to_error());
      }
    } else if (name == Refused::kName) {
      const auto refused = decode<Refused>(body);
      // HELLO is said again after some beats: others leave.
      if (refused && refused->reason != kTooManyPeers)
        stop(Error{"wire",
                   refused->reason,
                   "the broker refused this publisher: " + refused->reason,
                   {},
                   {}});
    } else if (name == Ending::kName) {
      // Says at once where we end, so that the broker need not wait for more.
      flush();
      link_->send(Heartbeat::kName, encode(Heartbeat{count()}));
      if (on_ending_) on_ending_();
    }
  }

  // The broker answers every APPEND; one whose answer was dropped is sent again.
  void beat() {
    if (sent_ == acknowledged_ || !link_->welcomed() || retry_timer_ != 0) {
      unanswered_beats_ = 0;
    } else if (++unanswered_beats_ >= kUnansweredBeats) {
      unanswered_beats_ = 0;
      sent_ = acknowledged_;
      flush();
    }
  }

  void acknowledge(std::uint64_t upto) {
    if (upto <= acknowledged_) return;
    unanswered_beats_ = 0;
    ring_.erase(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(upto - acknowledged_));
    acknowledged_ = upto;
    if (sent_ < acknowledged_) sent_ = acknowledged_;
    if (on_acknowledged_) on_acknowledged_(acknowledged_);
  }

  Error records_lost(std::uint64_t upto) const {
    return Error{"wire",
                 "records-lost",
                 fmt::format("the broker's log of '{}' ends at {}, {} were acknowledged",
                             link_->hello().instance, upto, acknowledged_),
                 {},
                 {}};
  }

  // What the broker need not wait for is nothing that it is told of.
  std::uint64_t count() const { return stopped_ ? 0 : last(); }

  // What was published is lost, and nobody can wait for it.
  void stop(Error error) {
    if (std::exchange(stopped_, true)) return;
    if (on_refused_) on_refused_(error);
    acknowledge(last());
  }

  Reactor& reactor_;
  std::size_t limit_;
  std::unique_ptr<Link> link_;
  std::deque<Record> ring_;  // [0] has the sequence number acknowledged_ + 1
  std::uint64_t acknowledged_ = 0;
  std::uint64_t sent_ = 0;
  bool stopped_ = false;  // refused for good
  unsigned unanswered_beats_ = 0;
  Reactor::TimerId flush_timer_ = 0;
  Reactor::TimerId retry_timer_ = 0;
  std::function<void(std::uint64_t)> on_acknowledged_;
  std::function<void(const Error&)> on_refused_;
  std::function<void()> on_ending_;
};

}  // namespace

Result<std::unique_ptr<RecordPublisher>> RecordPublisher::create(Context& context, Reactor& reactor,
                                                                 Settings settings) {
  auto publisher = std::make_unique<Publisher>(reactor, settings.ring);
  CHECK(publisher->open(context, settings));
  return publisher;
}

}  // namespace sluice::wire
