// LogTail shows the logs of running jobs (spec/records.md, live events): what is written now, under
// the topic log/JOB/, and all of it from a byte on, under log-from/JOB/OFFSET/READER/. Logs are
// read only while somebody listens.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "jobs/runner.h"
#include "wire/events.h"
#include "wire/live.h"
#include "wire/reactor.h"

namespace sluice::jobs {

// An event is a map: v, type "log", time, job (section), and what wire::LogPlace has. Who comes
// late to log/JOB/ gets the last 16 KiB first. Logs of jobs that have ended can be read from a byte
// on for kKept more. Lives in the reactor's thread.
class LogTail {
 public:
  // Bytes that one subscription gets: a reader asks for more when it has these, so that no queue
  // fills with a log that nobody reads.
  static constexpr std::uint64_t kWindow = 256 << 10;
  // Bytes in an event, and in all events of a turn.
  static constexpr std::uint64_t kPiece = 64 << 10;
  static constexpr std::uint64_t kTurn = 4 << 20;
  static constexpr std::size_t kMostStreams = 64;
  // How long, and how many, complete logs stay open.
  static constexpr Duration kKept = std::chrono::seconds(60);
  static constexpr std::size_t kMostKept = 64;

  using Jobs = std::map<wire::JobId, Runner::Running>;
  // `running` outlives it.
  LogTail(wire::Reactor& reactor, const Clock& clock, std::unique_ptr<wire::LivePublisher> live,
          const Jobs& running);
  ~LogTail();

  // A job's process starts.
  void begin(const wire::JobId& id);
  // A job's log is complete; the file may go as soon as this returns.
  void end(const wire::JobId& id, const LogSource& log);

 private:
  struct Stream {
    std::uint64_t job = 0;
    std::uint64_t offset = 0;
    std::uint64_t left = kWindow;
    Duration said{};
  };
  struct Kept {
    wire::JobId id;
    LogSource log;
    UniqueFd fd;
    Duration ended{};
  };
  // A log as it is now.
  struct Open {
    LogSource log;
    UniqueFd own;
    int fd = -1;  // -1: nothing was written yet
    std::uint64_t size = 0;
    bool ended = false;
  };

  void subscribed(const std::string& topic);
  void look();
  void tail(const wire::JobId& id, const LogSource& log);
  // Says what a stream may say now; false: it has nothing more to say.
  bool serve(const std::string& topic, Stream& stream);
  void refuse(const std::string& topic, const Open& open, std::string_view reason,
              const std::string& message);
  void publish(const std::string& topic, const LogSource& log, std::string_view text,
               const wire::LogPlace& place, const wire::ErrorSection* error = nullptr);
  std::optional<Open> open(std::uint64_t job) const;
  void wake();
  void forget_later();

  wire::Reactor& reactor_;
  const Clock& clock_;
  std::unique_ptr<wire::LivePublisher> live_;
  const Jobs& running_;
  std::map<wire::JobId, std::uint64_t> offsets_;  // of who listens to what is written
  std::map<std::string, Stream> streams_;         // by topic
  std::deque<Kept> kept_;
  std::uint64_t budget_ = kTurn;
  wire::Reactor::TimerId timer_ = 0;
  wire::Reactor::TimerId kept_timer_ = 0;
};

}  // namespace sluice::jobs
