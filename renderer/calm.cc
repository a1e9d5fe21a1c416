// The calm style: a line for what is done, and below it the status area (calm_area.h).
//
// A frame is inside synchronized output, and there is one a second while only clocks and what jobs
// write have changed. Without an area the same lines come alone, and after a silence one that says
// what runs.
#include <fmt/format.h>

#include "base/try.h"
#include "renderer/calm_area.h"
#include "renderer/calm_lines.h"
#include "renderer/frames.h"
#include "renderer/heartbeat.h"

namespace sluice::renderer {

namespace {

class Calm final : public Framed {
 public:
  Calm(Sink& sink, const Clock& clock, CalmSettings lines, TtySettings settings)
      : Framed(sink, clock, settings.size, true), pen_(lines.pen), lines_(std::move(lines)),
        shows_progress_(settings.progress) {}

  std::string topic() const override { return "status/lines/"; }

 protected:
  std::string lines_of(const wire::Event& event) override {
    std::string lines = lines_.render(event, size().columns);
    note_run(event);
    return lines;
  }

  void remember(const wire::Event& event) override {
    lines_.recall(event);
    note_run(event);
  }

  News news(const wire::Event& status) override {
    // What was published before the run's end may come after it.
    if (over_ && !(status.run && status.active && status.active->total > 0)) return News::kNone;
    std::string now = signature(status);
    const bool changed = now != signature_;
    signature_ = std::move(now);
    return changed ? News::kNow : News::kLater;
  }

  std::vector<Row> rows(const wire::Event& status, Duration since) override {
    return area_.rows(status, lines_.tally(), since, size(), pen_, hint());
  }

  // OSC 9;4, when the terminal shows it and it says something else than before.
  std::string trailer(const wire::Event* status, bool over) override {
    if (status == nullptr) return over || over_ ? say_progress({}) : std::string();
    const Progress progress = progress_of(*status, lines_.tally());
    if (!shows_progress_ || progress.all == 0) return {};
    return say_progress(
        fmt::format("{};{}", progress.failed > 0 ? 2 : 1,
                    std::uint64_t{progress.done + progress.failed} * 100 / progress.all));
  }

  void resized() override { area_.forget(); }

 private:
  void note_run(const wire::Event& event) {
    if (event.type == "run.started") {
      area_.forget();
      over_ = false;
    }
    if (event.type == "run.finished") {
      over_ = true;
      drop_status();
    }
  }

  std::string say_progress(std::string value) {
    if (value == progress_) return {};
    progress_ = std::move(value);
    return "\x1b]9;4;" + (progress_.empty() ? "0;0" : progress_) + "\x1b\\";
  }

  const Pen pen_;
  CalmLines lines_;
  CalmArea area_;
  const bool shows_progress_;
  std::string signature_, progress_;
  bool over_ = false;  // the run
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

  void recall(std::string_view packed) override {
    const auto event = wire::decode_event(packed);
    if (!event) return;
    lines_.recall(*event);
    heartbeat_.record(*event, false);
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
