#include "wire/log_reader.h"

#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "wire/events.h"
#include "wire/live.h"

namespace sluice::wire {

namespace {

class Reader final : public LogReader {
 public:
  Reader(Reactor& reactor, const JobId& id, std::string runner, std::uint64_t offset,
         Callbacks callbacks)
      : reactor_(reactor), id_(id), runner_(std::move(runner)), callbacks_(std::move(callbacks)),
        offset_(offset), name_(fmt::format("{:08x}", std::random_device{}())) {}
  ~Reader() override {
    if (timer_ != 0) reactor_.cancel(timer_);
  }

  Status open(Context& context, const Address& live_out) {
    live_ = TRY(LiveSubscriber::create(
        context, reactor_, live_out, {},
        [this](std::string_view topic, std::string_view packed) { take(topic, packed); }));
    timer_ = reactor_.every(std::chrono::seconds(1), [this] { second(); });
    return ask();
  }

  std::uint64_t offset() const override { return offset_; }

 private:
  // A subscription is passed on when it is the first of its topic, so that each has a topic of its
  // own.
  Status ask() {
    if (!topic_.empty()) CHECK(live_->unsubscribe(topic_));
    topic_ = fmt::format("{}{}/{}/{}x{}/", kLogFrom, id_.job, offset_, name_, ++asked_);
    return live_->subscribe(topic_);
  }

  void take(std::string_view topic, std::string_view packed) {
    // What was asked for before may still be on its way; it comes again.
    if (over_ || topic != topic_) return;
    const auto event = decode_log_event(packed);
    if (!event || event->job.id != id_.job || event->job.attempt != id_.attempt ||
        event->job.runner != runner_)
      return;
    quiet_ = silent_ = 0;
    if (event->error) {
      if (event->error->reason == "too-many") return;  // others will have read theirs soon
      over_ = true;
      return callbacks_.on_refused(
          Error{event->error->domain, event->error->reason, event->error->message, {}, {}});
    }
    const std::uint64_t end = event->offset + event->text.size();
    if (event->offset > offset_ || end < event->offset) return again();  // something was lost
    if (end > offset_) {
      const std::string_view text =
          std::string_view(event->text).substr(static_cast<std::size_t>(offset_ - event->offset));
      offset_ = end;
      callbacks_.on_text(text);
    }
    if (event->ended && end == offset_) {
      over_ = true;
      return callbacks_.on_end();
    }
    if (event->last) again();
  }

  // A subscription fails for want of memory alone, and is tried again after a while.
  void again() { (void)ask(); }

  void second() {
    if (over_) return;
    ++silent_;
    if (++quiet_ < kAskAgain) return;
    quiet_ = 0;
    again();
    if (callbacks_.on_silence) callbacks_.on_silence(std::chrono::seconds(silent_));
  }

  Reactor& reactor_;
  const JobId id_;
  const std::string runner_;
  Callbacks callbacks_;
  std::uint64_t offset_;
  const std::string name_;
  std::unique_ptr<LiveSubscriber> live_;
  std::string topic_;
  std::uint64_t asked_ = 0;
  unsigned quiet_ = 0;   // seconds since it was heard, or asked
  unsigned silent_ = 0;  // seconds since it was heard
  bool over_ = false;
  Reactor::TimerId timer_ = 0;
};

}  // namespace

Result<std::unique_ptr<LogReader>> LogReader::create(Context& context, Reactor& reactor,
                                                     const Address& live_out, const JobId& id,
                                                     std::string runner, std::uint64_t offset,
                                                     Callbacks callbacks) {
  auto reader =
      std::make_unique<Reader>(reactor, id, std::move(runner), offset, std::move(callbacks));
  CHECK(reader->open(context, live_out));
  return reader;
}

}  // namespace sluice::wire
