// What the styles with a status area share: finished lines scroll, the area stays below them.
//
// At most one frame each 100 ms; a frame is one write() and holds the lines that have come since
// the last, and what of the area has changed. While the terminal has not taken a frame there is no
// next one: lines wait (up to a limit, then full() is true and they stay in the record log), and of
// the status only the newest is kept. The last frame, which takes the area away, waits for nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "renderer/renderer.h"
#include "renderer/screen.h"

namespace sluice::renderer {

class Framed : public Renderer {
 public:
  // `sparing` as Screen has it.
  Framed(Sink& sink, const Clock& clock, Size size, bool sparing);

  Seen record(std::string_view packed) final;
  void recall(std::string_view packed) final;
  bool draws() const final { return true; }
  void live(std::string_view packed) final;
  void hint(std::string_view rows) final;
  void resize(Size size) final;
  void leave_screen() final;
  void enter_screen() final;
  void hide(bool hidden) final;
  Result<std::optional<Duration>> poll() final;
  bool full() const final { return pending_.size() + output_.pending() >= kFull; }
  bool drained() const final { return pending_.empty() && output_.idle(); }
  void finish() final { finishing_ = true; }
  bool done() const final { return finished_ && output_.idle(); }

 protected:
  // The lines that an event adds.
  virtual std::string lines_of(const wire::Event& event) = 0;
  // Takes an event whose lines aren't wanted.
  virtual void remember(const wire::Event& event) = 0;
  // What a status that has come is for the area: nothing, something that can wait for the next
  // second, or news.
  enum class News { kNone, kLater, kNow };
  virtual News news(const wire::Event& /*status*/) { return News::kNow; }
  virtual std::vector<Row> rows(const wire::Event& status, Duration since) = 0;
  // Bytes that a frame ends with. `status`: of the area that it shows; null: it shows none, for the
  // time being or since all is `over`.
  virtual std::string trailer(const wire::Event* /*status*/, bool /*over*/) { return {}; }
  // The size has changed.
  virtual void resized() {}

  // The area goes with the next frame, until there is another status.
  void drop_status();
  Size size() const { return size_; }
  const std::string& hint() const { return hint_; }

 private:
  Result<std::optional<Duration>> draw(Duration now);

  const Clock& clock_;
  Size size_;
  Screen screen_;
  std::string pending_;  // lines that no frame has taken yet
  std::string hint_;
  std::optional<wire::Event> status_;
  Duration received_{};  // when it came
  bool changed_ = false;
  bool hidden_ = false;
  std::optional<Duration> next_tick_;
  Duration last_frame_;
  bool finishing_ = false, finished_ = false;
};

}  // namespace sluice::renderer
