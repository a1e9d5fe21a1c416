#include "cli/replay_keys.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::cli {

namespace {

// What keys choose. More can be given as an option.
constexpr double kSlowest = 0.125, kFastest = 1024;

}  // namespace

ReplayKeys::ReplayKeys(wire::Reactor& reactor, Renderers& renderers, double speed,
                       std::function<void()> quit)
    : renderers_(renderers), quit_(std::move(quit)),
      input_(
          reactor, [this](std::string_view keys) { typed(keys); }, [this] { say(); }),
      speed_(speed) {}

void ReplayKeys::on() {
  (void)input_.on();
  say();
}

void ReplayKeys::typed(std::string_view keys) {
  for (const char key : plain_keys(keys)) {
    switch (key) {
      case ' ':
      case 'p':
        held_ = !held_;
        renderers_.steer(held_ ? "pause" : "resume");
        break;
      case '+':
      case '=': change_speed(2); break;
      case '-':
      case '_': change_speed(0.5); break;
      case 'q': return quit_();
      default: break;
    }
  }
  say();
}

// Slower than without waiting is as fast as keys go.
void ReplayKeys::change_speed(double by) {
  if (speed_ == 0 && by > 1) return;
  speed_ = speed_ == 0
               ? kFastest
               : std::clamp(speed_ * by, std::min(kSlowest, speed_), std::max(kFastest, speed_));
  renderers_.steer(fmt::format("speed {}", speed_));
}

void ReplayKeys::say() {
  if (!input_.is_on()) return renderers_.hint("");
  renderers_.hint(fmt::format("space {}  +/- speed ({})  q quit", held_ ? "go on" : "pause",
                              speed_ == 0 ? "max" : fmt::format("{:g}x", speed_)));
}

}  // namespace sluice::cli
