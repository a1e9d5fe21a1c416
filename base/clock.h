// Time is injected: what decides by time takes a Clock, and tests advance a fake.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Since an arbitrary start; never goes back, and goes on while a process is stopped
  // (CLOCK_MONOTONIC).
  virtual Duration monotonic() const = 0;
  // Nanoseconds since 1970, for people; may jump.
  virtual std::int64_t wall_ns() const = 0;
};

// The system's clocks. Thread-safe.
const Clock& system_clock();

class FakeClock final : public Clock {
 public:
  Duration monotonic() const override { return now_; }
  std::int64_t wall_ns() const override { return wall_ + now_.count(); }
  void advance(Duration by) { now_ += by; }
  void jump_wall(Duration by) { wall_ += by.count(); }

 private:
  Duration now_{std::chrono::seconds(1)};
  std::int64_t wall_ = 1'700'000'000'000'000'000;
};

}  // namespace sluice
