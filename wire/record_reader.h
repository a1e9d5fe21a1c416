// A reader's end of the records link (spec/records.md): from a cursor on,
// without loss, backlog and live alike, across restarts of the broker.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/socket.h"

namespace sluice::wire {

class RecordReader {
 public:
  struct Settings {
    std::string endpoint;
    Hello hello;
    std::uint64_t cursor = 1;
    std::uint32_t max = 256;  // records in one batch
  };
  // `packed` is one event with its cursor; it lives for the call.
  using OnRecord = std::function<void(std::string_view packed)>;
  // The session's last record was delivered, or `gone`: the broker has not
  // answered for `give_up` (the session died without an end).
  using OnEnd = std::function<void(bool gone)>;
  static Result<std::unique_ptr<RecordReader>> create(Context& context, Reactor& reactor, Settings settings,
                                                      OnRecord on_record, OnEnd on_end);
  virtual ~RecordReader() = default;
  virtual std::uint64_t next_cursor() const = 0;
};

}  // namespace sluice::wire
