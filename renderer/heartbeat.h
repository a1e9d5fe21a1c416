// A sign of life for whoever reads lines of a run that says nothing for long, like a system that
// kills what is silent: "Still building: gcc.bst 12m03s, llvm.bst 3m02s and 4 more".
//
// What runs is asked of the session (the topic `status/`) when the silence has become too long, and
// not before: it costs nothing until then.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "wire/events.h"

namespace sluice::renderer {

class Heartbeat {
 public:
  // `silence`: after which something is said; zero: never.
  Heartbeat(const Clock& clock, Duration silence)
      : clock_(clock), silence_(silence), last_(clock.monotonic()) {}

  // Takes every record; `shown`: something was written because of it.
  void record(const wire::Event& event, bool shown);
  // The topic that is wanted now; "": none.
  std::string topic() const;
  // Takes a live event. Gives what is to be said, without a newline; "": nothing.
  std::string live(std::string_view packed, bool spoken = false);
  // How long until topic() changes; none: nothing is waited for.
  std::optional<Duration> due() const;

 private:
  const Clock& clock_;
  const Duration silence_;
  Duration last_;         // when something was said
  bool running_ = false;  // a run
};

}  // namespace sluice::renderer
