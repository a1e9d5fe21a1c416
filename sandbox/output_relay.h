// OutputRelay moves what commands write from a pipe that they have to a file that they don't, which
// only grows by it; and it knows the limits on that: how much it is, and how long there is none.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace sluice::sandbox {

struct SandboxLimits {
  Duration silence{};     // the longest time without output; 0: no limit
  std::uint64_t log = 0;  // bytes of the file, with what was in it before; 0: no limit
  // A clock that stands still while the job is stopped; needed with `silence`.
  std::function<Duration()> clock;
};

// One thread.
class OutputRelay {
 public:
  // `file`: open for appending; -1: nowhere. Not owned.
  static Result<OutputRelay> make(int file, const SandboxLimits& limits);

  // The pipe's end for the commands.
  int entry() const { return entry_.get(); }
  void close_entry() { entry_.reset(); }
  // The pipe's end to be polled; -1 when all was read.
  int exit() const { return exit_.get(); }
  // Moves what is there now, at most some 64 KiB; returns whether there was any.
  bool move();
  // Moves all that is there, when nobody writes any more.
  void drain();
  // Whether the limits are kept. Errors: domain "sandbox", reason "max-log-size" or
  // "max-silent-time".
  Status check();
  // The time until check() may say otherwise although nothing is moved, in ms, for poll(); -1:
  // never.
  int patience() const;
  // The last bytes that were moved.
  std::string tail(std::size_t most) const;

 private:
  OutputRelay(int file, const SandboxLimits& limits) : file_(file), limits_(limits) {}

  int file_;
  const SandboxLimits& limits_;
  UniqueFd entry_, exit_;
  std::uint64_t before_ = 0, moved_ = 0;
  Duration last_{};
};

}  // namespace sluice::sandbox
