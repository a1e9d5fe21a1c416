#include "renderer/frames.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "renderer/status_area.h"

namespace sluice::renderer {

namespace {

constexpr Duration kFrame = std::chrono::milliseconds(100);
constexpr Duration kSecond = std::chrono::seconds(1);

}  // namespace

Framed::Framed(Sink& sink, const Clock& clock, Size size, bool sparing)
    : Renderer(sink), clock_(clock), size_(size), screen_(size.columns, size.rows, sparing),
      last_frame_(clock.monotonic()) {}

Seen Framed::record(std::string_view packed) {
  const auto event = wire::decode_event(packed);
  if (!event) {
    pending_ += malformed_line(event.error());
    return {};
  }
  pending_ += lines_of(*event);
  return seen(*event);
}

void Framed::recall(std::string_view packed) {
  if (const auto event = wire::decode_event(packed)) remember(*event);
}

void Framed::live(std::string_view packed) {
  auto event = wire::decode_event(packed);
  if (!event || event->type != "status") return;
  const News how = news(*event);
  if (how == News::kNone) return;
  changed_ = changed_ || !status_ || how == News::kNow;
  status_ = std::move(*event);
  received_ = clock_.monotonic();
  if (!next_tick_) next_tick_ = received_ + kSecond;
}

void Framed::hint(std::string_view rows) {
  if (hint_ == rows) return;
  hint_ = rows;
  changed_ = true;
}

void Framed::resize(Size size) {
  size_ = size;
  screen_.resize(size.columns, size.rows);
  resized();
  changed_ = true;
}

void Framed::leave_screen() {
  if (!output_.flush() || !output_.idle()) return;
  output_.add(screen_.frame(pending_, {}) + trailer(nullptr, true));
  pending_.clear();
  (void)output_.flush();  // an error comes again in poll()
}

void Framed::enter_screen() {
  screen_.forget();
  changed_ = true;
}

void Framed::hide(bool hidden) {
  if (std::exchange(hidden_, hidden) != hidden) changed_ = true;
}

void Framed::drop_status() {
  status_.reset();
  changed_ = true;
}

Result<std::optional<Duration>> Framed::poll() {
  CHECK(output_.flush());
  if (!output_.idle()) return std::nullopt;
  const Duration now = clock_.monotonic();
  if (finishing_) {
    if (std::exchange(finished_, true)) return std::nullopt;
    return draw(now);
  }
  const bool due = changed_ || !pending_.empty() || (next_tick_ && now >= *next_tick_);
  if (!due) return next_tick_ ? std::optional(*next_tick_ - now) : std::nullopt;
  if (now < last_frame_ + kFrame) return last_frame_ + kFrame - now;
  return draw(now);
}

Result<std::optional<Duration>> Framed::draw(Duration now) {
  const bool shows = status_ && !finishing_ && !hidden_;
  std::vector<Row> block;
  if (shows) block = rows(*status_, now - received_);
  output_.add(screen_.frame(pending_, std::move(block)) +
              trailer(shows ? &*status_ : nullptr, finishing_ || hidden_));
  pending_.clear();
  changed_ = false;
  last_frame_ = now;
  next_tick_.reset();
  if (shows && ticking(*status_)) {
    // The next frame is due when the session's clock shows its next second.
    const std::int64_t elapsed =
        (status_->session ? status_->session->elapsed : 0) + (now - received_).count();
    next_tick_ = now + kSecond - Duration(std::max<std::int64_t>(elapsed, 0) % kSecond.count());
  }
  CHECK(output_.flush());
  if (!next_tick_) return std::nullopt;
  return *next_tick_ - now;
}

}  // namespace sluice::renderer
