#include "wire/record_reader.h"

#include <algorithm>
#include <utility>

#include "base/append_log.h"
#include "base/clock.h"
#include "base/try.h"
#include "wire/events.h"
#include "wire/link.h"

namespace sluice::wire {

namespace {

// Well below give_up, so that a broker that works is always heard in time.
constexpr std::uint32_t kWaitMs = 2000;
// A BATCH that is so many beats late is asked for again.
constexpr unsigned kAskAgainBeats = 5;
constexpr unsigned kEndingBeats = 4;
constexpr unsigned kDeadBeats = 2;
// While there is no connection: how often is looked whether the session has ended meanwhile.
constexpr Duration kLook = std::chrono::milliseconds(50);
// Records of the log's file that are delivered in one turn of the loop.
constexpr int kRecordsPerTurn = 256;
// While records trickle in one by one, each would cost a BATCH and a NEXT to every reader. After a
// burst of so many, NEXT waits until some have gathered; the first ones come at once. A BATCH with
// enough in it is followed by the next at once, be it full or not.
constexpr unsigned kBurst = 32;
constexpr std::size_t kEnough = 64;
constexpr Duration kGather = std::chrono::milliseconds(10);
constexpr std::string_view kSessionEnded = "session.ended";

class Reader final : public RecordReader {
 public:
  Reader(Reactor& reactor, const Settings& settings, OnRecord on_record, OnEnd on_end)
      : reactor_(reactor), settings_(settings), cursor_(settings.cursor),
        on_record_(std::move(on_record)), on_end_(std::move(on_end)) {}

  ~Reader() override {
    reactor_.cancel(gathering_);
    reactor_.cancel(looking_);
    reactor_.cancel(from_log_);
  }

  Status open(Context& context) {
    Link::Callbacks callbacks;
    callbacks.on_welcome = [this](const Welcome&) {
      reactor_.cancel(std::exchange(looking_, 0));
      wanted_ = cursor_;
      ask();
    };
    callbacks.on_message = [this](std::string_view name, std::string_view body) {
      handle(name, body);
    };
    callbacks.on_beat = [this](unsigned silent) { beat(silent); };
    link_ = TRY(
        Link::create(context, reactor_, settings_.endpoint, settings_.hello, std::move(callbacks)));
    if (settings_.session) looking_ = reactor_.every(kLook, [this] { look(); });
    return {};
  }

  std::uint64_t next_cursor() const override { return cursor_; }

  void pause() override { paused_ = true; }

  void resume() override {
    if (!std::exchange(paused_, false) || over_) return;
    if (log_) {
      if (from_log_ == 0) go_on();
    } else if (std::exchange(owed_, false)) {
      ask();
    }
  }

 private:
  // Asks a little later, after a BATCH with little in it.
  void ask_paced() {
    const Duration now = system_clock().monotonic();
    const auto refill =
        static_cast<unsigned>(std::min<std::int64_t>((now - refilled_) / kGather, kBurst));
    if (refill > 0) {
      asks_left_ = std::min(asks_left_ + refill, kBurst);
      refilled_ = now;
    }
    if (asks_left_ > 0) {
      --asks_left_;
      ask();
    } else if (gathering_ == 0) {
      gathering_ = reactor_.after(kGather, [this] {
        gathering_ = 0;
        ask();
      });
    }
  }

  void ask() {
    if (log_ || from_log_ != 0) return;
    reactor_.cancel(std::exchange(gathering_, 0));
    since_ask_ = 0;
    owed_ = paused_;
    if (paused_) return;
    link_->send(Next::kName, encode(Next{wanted_, settings_.max, kWaitMs}));
  }

  void handle(std::string_view name, std::string_view body) {
    if (over_ || log_ || from_log_ != 0) return;
    if (name == Refused::kName) {
      // Our cursor is none of this log's, or we were turned away: nothing will come.
      end(true);
      return;
    }
    if (name == Ending::kName) {
      // Our end comes in a BATCH; but a broker that dies now is not started again.
      settings_.give_up_beats = std::min(settings_.give_up_beats, kEndingBeats);
      return;
    }
    if (name != Batch::kName) return;
    const auto batch = decode<BatchView>(body);
    if (!batch || batch->next < batch->records.size() + 1) return;
    // A batch that was asked for twice comes twice: what was seen is skipped.
    const std::uint64_t first = batch->next - batch->records.size();
    if (first > cursor_ || batch->next < cursor_) return;
    if (!batch->records.empty() && batch->next == cursor_ && !batch->ended) return;
    std::size_t skip = cursor_ - first;
    wanted_ = batch->next;
    // Asked for before this one is worked on: the broker answers meanwhile.
    if (!batch->ended) {
      if (batch->records.size() < std::min<std::size_t>(kEnough, settings_.max)) {
        ask_paced();
      } else {
        ask();
      }
    }
    const std::weak_ptr<int> alive = alive_;
    for (; skip < batch->records.size(); ++skip) {
      ++cursor_;
      on_record_(batch->records[skip].bytes);
      if (alive.expired()) return;
    }
    if (batch->ended) end(false);
  }

  void beat(unsigned silent) {
    if (over_ || log_ || from_log_ != 0) return;
    if (settings_.session) {
      // A supervisor that was killed has left its sockets, and its broker may just be saying its
      // last words.
      if (silent > 0 && settings_.session->over()) return read_log();
      if (silent >= kDeadBeats && !settings_.session->lives()) return read_log();
    } else if (silent >= settings_.give_up_beats) {
      end(true);
      return;
    }
    if (link_->welcomed() && !paused_ && ++since_ask_ >= kAskAgainBeats) {
      wanted_ = cursor_;
      ask();
    }
  }

  // Looks whether the session still lives, before the broker has taken us in.
  void look() {
    if (!over_ && !log_ && from_log_ == 0 && settings_.session->over()) read_log();
  }

  // ---- What is left in the file. Not from within the link's or a timer's callback.

  void read_log() {
    reactor_.cancel(std::exchange(looking_, 0));
    reactor_.cancel(std::exchange(gathering_, 0));
    from_log_ = reactor_.after(Duration::zero(), [this] {
      from_log_ = 0;
      link_.reset();
      auto log = AppendLogReader::open(settings_.session->record_log());
      if (!log) return end(true);
      log_.emplace(std::move(*log));
      if (!paused_) deliver();
    });
  }

  void go_on() {
    from_log_ = reactor_.after(Duration::zero(), [this] {
      from_log_ = 0;
      deliver();
    });
  }

  void deliver() {
    const std::weak_ptr<int> alive = alive_;
    for (int i = 0; i < kRecordsPerTurn; ++i) {
      if (paused_) return;
      auto record = log_->next();
      if (!record || record->empty()) return end(!ended_in_log_);
      ended_in_log_ = ended_in_log_ || names_session_end(*record);
      if (++in_log_ < cursor_) continue;
      ++cursor_;
      on_record_(*record);
      if (alive.expired()) return;
    }
    go_on();
  }

  static bool names_session_end(std::string_view packed) {
    if (packed.find(kSessionEnded) == std::string_view::npos) return false;
    const auto event = decode_event(packed);
    return event && event->type == kSessionEnded;
  }

  void end(bool gone) {
    over_ = true;
    on_end_(gone);
  }

  Reactor& reactor_;
  Settings settings_;
  std::uint64_t cursor_;                     // of the next record to deliver
  std::uint64_t wanted_ = settings_.cursor;  // what the last NEXT asked for
  OnRecord on_record_;
  OnEnd on_end_;
  bool over_ = false;
  bool paused_ = false;
  bool owed_ = false;  // a NEXT that was held back by the pause
  unsigned since_ask_ = 0;
  unsigned asks_left_ = kBurst;
  Duration refilled_{};
  Reactor::TimerId gathering_ = 0;
  Reactor::TimerId looking_ = 0;
  Reactor::TimerId from_log_ = 0;       // a turn that reads the file is due
  std::optional<AppendLogReader> log_;  // since the session is over
  std::uint64_t in_log_ = 0;            // cursor of what was read from it last
  bool ended_in_log_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::unique_ptr<Link> link_;
};

}  // namespace

Result<std::unique_ptr<RecordReader>> RecordReader::create(Context& context, Reactor& reactor,
                                                           Settings settings, OnRecord on_record,
                                                           OnEnd on_end) {
  auto reader =
      std::make_unique<Reader>(reactor, settings, std::move(on_record), std::move(on_end));
  CHECK(reader->open(context));
  return reader;
}

}  // namespace sluice::wire
