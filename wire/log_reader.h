// A reader of a running job's log from a byte on (spec/records.md, live events): asks its runner
// for one window after the other, and again for what got lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/address.h"
#include "wire/job_messages.h"
#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

class LogReader {
 public:
  struct Callbacks {
    // The next bytes of the log, each once and in order.
    std::function<void(std::string_view text)> on_text;
    // The log has ended and all of it was given.
    std::function<void()> on_end;
    // The runner won't show it: domain "log", reasons of R58. Nothing is asked for any more.
    std::function<void(const Error& error)> on_refused;
    // Nothing was heard for so long; it was asked for again.
    std::function<void(Duration silence)> on_silence;
  };
  // Reads the log of attempt `id`, which `runner` has, from `offset` on. No callback may destroy
  // the reader.
  static Result<std::unique_ptr<LogReader>> create(Context& context, Reactor& reactor,
                                                   const Address& live_out, const JobId& id,
                                                   std::string runner, std::uint64_t offset,
                                                   Callbacks callbacks);
  virtual ~LogReader() = default;
  // That of the next byte.
  virtual std::uint64_t offset() const = 0;

  // After how many seconds of silence it asks again.
  static constexpr unsigned kAskAgain = 3;
};

}  // namespace sluice::wire
