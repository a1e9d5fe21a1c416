// The tty style: finished lines scroll, the status area stays below them.
//
// At most one frame each 100 ms; a frame is one write() and holds the lines that have come since
// the last, and what of the status area has changed. While the terminal has not taken a frame there
// is no next one: lines wait (up to a limit, then full() is true and they stay in the record log),
// and of the status only the newest is kept. The last frame, which takes the status area away,
// waits for nothing.
#include <algorithm>

#include "base/try.h"
#include "renderer/renderer.h"
#include "renderer/screen.h"
#include "renderer/status_area.h"

namespace sluice::renderer {

namespace {

constexpr Duration kFrame = std::chrono::milliseconds(100);
constexpr Duration kSecond = std::chrono::seconds(1);

class Tty final : public Renderer {
 public:
  Tty(Sink& sink, const Clock& clock, Lines lines, TtySettings settings)
      : Renderer(sink), clock_(clock), lines_(std::move(lines)), paint_{settings.colors},
        size_(settings.size), screen_(settings.size.columns, settings.size.rows),
        last_frame_(clock.monotonic()) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      pending_ += malformed_line(event.error());
      return {};
    }
    pending_ += lines_.render(*event);
    return seen(*event);
  }

  std::string topic() const override { return "status/"; }
  bool draws() const override { return true; }

  void live(std::string_view packed) override {
    auto event = wire::decode_event(packed);
    if (!event || event->type != "status") return;
    status_ = std::move(*event);
    received_ = clock_.monotonic();
    changed_ = true;
  }

  void hint(std::string_view rows) override {
    if (hint_ == rows) return;
    hint_ = rows;
    changed_ = true;
  }

  void resize(Size size) override {
    size_ = size;
    screen_.resize(size.columns, size.rows);
    changed_ = true;
  }

  void leave_screen() override {
    if (!output_.flush() || !output_.idle()) return;
    output_.add(screen_.frame(pending_, {}));
    pending_.clear();
    (void)output_.flush();  // an error comes again in poll()
  }

  void enter_screen() override {
    screen_.forget();
    changed_ = true;
  }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    if (!output_.idle()) return std::nullopt;
    const Duration now = clock_.monotonic();
    if (finishing_) {
      if (!finished_) {
        finished_ = true;
        return draw(now, {});
      }
      return std::nullopt;
    }
    const bool due = changed_ || !pending_.empty() || (next_tick_ && now >= *next_tick_);
    if (!due) return next_tick_ ? std::optional(*next_tick_ - now) : std::nullopt;
    if (now < last_frame_ + kFrame) return last_frame_ + kFrame - now;
    std::vector<Row> rows;
    if (status_) rows = status_rows(*status_, now - received_, size_, paint_, hint_);
    return draw(now, std::move(rows));
  }

  bool full() const override { return pending_.size() + output_.pending() >= kFull; }

  bool drained() const override { return pending_.empty() && output_.idle(); }

  void finish() override { finishing_ = true; }
  bool done() const override { return finished_ && output_.idle(); }

 private:
  Result<std::optional<Duration>> draw(Duration now, std::vector<Row> rows) {
    output_.add(screen_.frame(pending_, std::move(rows)));
    pending_.clear();
    changed_ = false;
    last_frame_ = now;
    next_tick_.reset();
    if (status_ && !finishing_ && ticking(*status_)) {
      // The next frame is due when the session's clock shows its next second.
      const std::int64_t elapsed =
          (status_->session ? status_->session->elapsed : 0) + (now - received_).count();
      next_tick_ = now + kSecond - Duration(std::max<std::int64_t>(elapsed, 0) % kSecond.count());
    }
    CHECK(output_.flush());
    if (!next_tick_) return std::nullopt;
    return *next_tick_ - now;
  }

  const Clock& clock_;
  Lines lines_;
  Painter paint_;
  Size size_;
  Screen screen_;
  std::string pending_;  // lines that no frame has taken yet
  std::string hint_;
  std::optional<wire::Event> status_;
  Duration received_{};  // when it came
  bool changed_ = false;
  std::optional<Duration> next_tick_;
  Duration last_frame_;
  bool finishing_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<Renderer> make_tty(Sink& sink, const Clock& clock, Lines lines,
                                   TtySettings settings) {
  return std::make_unique<Tty>(sink, clock, std::move(lines), settings);
}

}  // namespace sluice::renderer
