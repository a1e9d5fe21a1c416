#include "base/clock.h"

namespace sluice {

namespace {

class SystemClock final : public Clock {
 public:
  Duration monotonic() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
  std::int64_t wall_ns() const override {
    return std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock kClock;
  return kClock;
}

}  // namespace sluice
