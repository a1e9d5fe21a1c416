// The calm style: a line for what is done, and below it the status area (calm_area.h).
//
// A frame is one write() inside synchronized output, and holds what has changed. There are at most
// ten a second, and one a second while only clocks and what jobs write have changed. While the
// terminal has not taken a frame there is no next one, as in tty.cc. Without an area the same lines
// come alone, and after a silence one that says what runs.
#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "renderer/calm_area.h"
#include "renderer/calm_lines.h"
#include "renderer/heartbeat.h"
#include "renderer/renderer.h"
#include "renderer/screen.h"
#include "renderer/status_area.h"

namespace sluice::renderer {

namespace {

constexpr Duration kFrame = std::chrono::milliseconds(100);
constexpr Duration kSecond = std::chrono::seconds(1);

class Calm final : public Renderer {
 public:
  Calm(Sink& sink, const Clock& clock, CalmSettings lines, TtySettings settings)
      : Renderer(sink), clock_(clock), pen_(lines.pen), lines_(std::move(lines)),
        shows_progress_(settings.progress), size_(settings.size),
        screen_(settings.size.columns, settings.size.rows, true), last_frame_(clock.monotonic()) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      pending_ += malformed_line(event.error());
      return {};
    }
    pending_ += lines_.render(*event, size_.columns);
    if (event->type == "run.started") {
      area_.forget();
      over_ = false;
    }
    if (event->type == "run.finished") {
      over_ = changed_ = true;
      status_.reset();
    }
    return seen(*event);
  }

  std::string topic() const override { return "status/lines/"; }
  bool draws() const override { return true; }

  void live(std::string_view packed) override {
    auto event = wire::decode_event(packed);
    if (!event || event->type != "status") return;
    // What was published before the run's end may come after it.
    if (over_ && !(event->run && event->active && event->active->total > 0)) return;
    std::string now = signature(*event);
    changed_ = changed_ || !status_ || now != signature_;
    signature_ = std::move(now);
    status_ = std::move(*event);
    received_ = clock_.monotonic();
    // Another clock or line can wait for the next second.
    if (!next_tick_) next_tick_ = received_ + kSecond;
  }

  void hint(std::string_view rows) override {
    if (hint_ == rows) return;
    hint_ = rows;
    changed_ = true;
  }

  void resize(Size size) override {
    size_ = size;
    screen_.resize(size.columns, size.rows);
    area_.forget();
    changed_ = true;
  }

  void leave_screen() override {
    if (!output_.flush() || !output_.idle()) return;
    output_.add(screen_.frame(pending_, {}) + progress_off());
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
        return draw(now, {}, progress_off());
      }
      return std::nullopt;
    }
    const bool due = changed_ || !pending_.empty() || (next_tick_ && now >= *next_tick_);
    if (!due) return next_tick_ ? std::optional(*next_tick_ - now) : std::nullopt;
    if (now < last_frame_ + kFrame) return last_frame_ + kFrame - now;
    std::vector<Row> rows;
    std::string progress;
    if (status_) {
      rows = area_.rows(*status_, lines_.tally(), now - received_, size_, pen_, hint_);
      progress = progress_now();
    } else if (over_) {
      progress = progress_off();
    }
    return draw(now, std::move(rows), progress);
  }

  bool full() const override { return pending_.size() + output_.pending() >= kFull; }
  bool drained() const override { return pending_.empty() && output_.idle(); }
  void finish() override { finishing_ = true; }
  bool done() const override { return finished_ && output_.idle(); }

 private:
  Result<std::optional<Duration>> draw(Duration now, std::vector<Row> rows,
                                       const std::string& progress) {
    output_.add(screen_.frame(pending_, std::move(rows)) + progress);
    pending_.clear();
    changed_ = false;
    last_frame_ = now;
    next_tick_.reset();
    if (status_ && !finishing_ && ticking(*status_)) next_tick_ = now + kSecond;
    CHECK(output_.flush());
    if (!next_tick_) return std::nullopt;
    return *next_tick_ - now;
  }

  // OSC 9;4, when the terminal shows it and it says something else than before.
  std::string progress_now() {
    const Progress progress = progress_of(*status_, lines_.tally());
    if (!shows_progress_ || progress.all == 0) return {};
    return say_progress(
        fmt::format("{};{}", progress.failed > 0 ? 2 : 1,
                    std::uint64_t{progress.done + progress.failed} * 100 / progress.all));
  }
  std::string progress_off() { return progress_.empty() ? std::string() : say_progress("0;0"); }
  std::string say_progress(std::string value) {
    if (value == progress_ || (value == "0;0" && progress_.empty())) return {};
    std::string out = "\x1b]9;4;" + value + "\x1b\\";
    progress_ = value == "0;0" ? std::string() : std::move(value);
    return out;
  }

  const Clock& clock_;
  const Pen pen_;
  CalmLines lines_;
  CalmArea area_;
  const bool shows_progress_;
  Size size_;
  Screen screen_;
  std::string pending_;  // lines that no frame has taken yet
  std::string hint_, signature_, progress_;
  std::optional<wire::Event> status_;
  Duration received_{};  // when it came
  bool changed_ = false;
  bool over_ = false;  // the run
  std::optional<Duration> next_tick_;
  Duration last_frame_;
  bool finishing_ = false, finished_ = false;
};

class CalmWithoutArea final : public Renderer {
 public:
  CalmWithoutArea(Sink& sink, const Clock& clock, CalmSettings settings, Duration silence)
      : Renderer(sink), quiet_(settings.quiet), spoken_(settings.spoken),
        lines_(std::move(settings)), heartbeat_(clock, silence) {}

  Seen record(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) {
      output_.add(malformed_line(event.error()));
      return {};
    }
    const std::string lines = lines_.render(*event, 0);
    heartbeat_.record(*event, !lines.empty());
    output_.add(lines);
    return seen(*event);
  }

  std::string topic() const override { return quiet_ ? "" : heartbeat_.topic(); }

  void live(std::string_view packed) override {
    const std::string words = heartbeat_.live(packed, spoken_);
    if (!words.empty()) output_.add(words + (spoken_ ? ".\n" : "\n"));
  }

  Result<std::optional<Duration>> poll() override {
    CHECK(output_.flush());
    return quiet_ ? std::nullopt : heartbeat_.due();
  }

 private:
  const bool quiet_, spoken_;
  CalmLines lines_;
  Heartbeat heartbeat_;
};

}  // namespace

std::unique_ptr<Renderer> make_calm(Sink& sink, const Clock& clock, CalmSettings lines,
                                    TtySettings settings) {
  return std::make_unique<Calm>(sink, clock, std::move(lines), settings);
}

std::unique_ptr<Renderer> make_calm_lines(Sink& sink, const Clock& clock, CalmSettings lines,
                                          Duration silence) {
  return std::make_unique<CalmWithoutArea>(sink, clock, std::move(lines), silence);
}

}  // namespace sluice::renderer
