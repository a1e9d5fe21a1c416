// A reader's end of the records link (spec/records.md): from a cursor on, without loss, backlog and
// live alike, across restarts of the broker. What the broker had no time to give before the
// session's end, or could not since it was killed, is read from the log's file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "wire/messages.h"
#include "wire/reactor.h"
#include "wire/session.h"
#include "wire/socket.h"

namespace sluice::wire {

class RecordReader {
 public:
  struct Settings {
    Address endpoint;
    Hello hello;
    std::uint64_t cursor = 1;
    std::uint32_t max = 256;  // records in one batch
    // Of this machine: the broker is waited for as long as the session lives, however long it says
    // nothing, and what is missing then comes from the file. Without it a broker is given up that
    // is silent for `give_up_beats`.
    std::optional<SessionPaths> session;
    unsigned give_up_beats = 10;
    // The broker of a session on another machine may be away for ten minutes.
    static constexpr unsigned kRemoteBeats = 600;
    void wait_for(const SessionPaths& paths) {
      if (paths.joined) {
        give_up_beats = kRemoteBeats;
      } else {
        session = paths;
      }
    }
  };
  // `packed` is one event with its cursor; it lives for the call.
  using OnRecord = std::function<void(std::string_view packed)>;
  // Called once. The session's last record was delivered, or `gone`: there is no more, and the
  // session died without an end.
  using OnEnd = std::function<void(bool gone)>;
  static Result<std::unique_ptr<RecordReader>> create(Context& context, Reactor& reactor,
                                                      Settings settings, OnRecord on_record,
                                                      OnEnd on_end);
  virtual ~RecordReader() = default;
  virtual std::uint64_t next_cursor() const = 0;
  // Between the two no NEXT is asked for: a reader whose own output is full keeps its place as a
  // cursor instead of records in memory. What has arrived in a BATCH is still delivered.
  virtual void pause() = 0;
  virtual void resume() = 0;
};

}  // namespace sluice::wire
