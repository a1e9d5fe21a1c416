// Reporter says what a job has to say: to its log file, in the form of BuildStream's logs, and to
// its runner, which makes records of it (wire/job_protocol.h). It is the job's clock, too, from
// which the time that it was frozen is left out.
//
// One thread. Each message to the runner wakes it, the broker, and all who read its records;
// so what is said within some milliseconds goes out together. Who starts what may take long
// calls flush() first, and nothing waits for longer than the next message.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "wire/job_protocol.h"

namespace sluice::elements {

// The log file. The commands of the job write to the same descriptor.
class JobLog {
 public:
  // Makes the file with its directories, and writes the header line.
  static Result<JobLog> create(const std::string& path);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  void write(std::string_view text);
  // The last `bytes` at most, from the start of a line on.
  std::string tail(std::size_t bytes) const;
  // The bytes that were written so far.
  std::uint64_t size() const;
  // What was written from `offset` on, at most `limit` bytes.
  std::string read_from(std::uint64_t offset, std::size_t limit) const;

 private:
  UniqueFd fd_;
  std::string path_;
};

// Levels have the names that records carry; the log has BuildStream's, which differ for warnings.
enum class Level {
  kDebug,
  kStatus,
  kInfo,
  kWarn,
  kError,
  kBug,
  kLog,
  kStart,
  kSuccess,
  kFailure,
  kSkipped
};

class Reporter {
 public:
  struct Element {
    std::string name;   // full name
    std::string brief;  // first characters of its key; "" leaves the brackets out of the log
  };

  // `channel` is the job's end of the socket. `log` may be null. Neither is owned.
  Reporter(int channel, JobLog* log, Element element);
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void message(Level level, std::string_view text, std::string_view detail = {});
  // Warns of what a project may make fatal: the error "plugin" with the token as its reason, when
  // that is among `fatal_warnings`.
  Status warn(const std::vector<std::string>& fatal_warnings, std::string_view token,
              std::string_view text, std::string_view detail = {});
  // Says something in the name of another element, or of the sandbox (without a key).
  void message_as(const Element& who, Level level, std::string_view text,
                  std::string_view detail = {}, Duration elapsed = {});
  // Writes to the log alone.
  void log_only(Level level, std::string_view text, std::string_view detail, Duration elapsed);

  // Sends what was held back to the runner.
  void flush();
  // Says how many tokens can be used from now on.
  void tokens(std::uint32_t most);
  // Says how the job ended, the last thing that it says.
  void result(wire::JobResult result);

  // The time since the job's start, without pauses.
  Duration elapsed();

  // Takes a note that arrived from the runner.
  void note(const wire::JobNote& note);

  const Element& element() const { return element_; }
  Element sandbox() const { return {element_.name, {}}; }
  JobLog* log() const { return log_; }
  // `poll_notes` is called before the time is looked at, to read notes that have come.
  void on_clock(std::function<void()> poll_notes) { poll_notes_ = std::move(poll_notes); }

  // A step with its time: START when made, SUCCESS by success(), else FAILURE when it
  // goes. With `silent` what is said meanwhile goes to the log alone, but for what must be seen.
  class Activity {
   public:
    Activity(Reporter& reporter, std::string text, std::string_view detail = {}, bool silent = true,
             std::optional<Element> who = {});
    ~Activity();
    Activity(const Activity&) = delete;
    Activity& operator=(const Activity&) = delete;
    void success();

   private:
    void finish(Level level);
    Reporter& reporter_;
    std::string text_;
    Element who_;
    bool silent_;
    bool finished_ = false;
    Duration started_;
  };

 private:
  void send(const wire::JobEvent& event);
  void flush_if_old();
  void write_log(const Element& who, Level level, std::string_view text, std::string_view detail,
                 Duration elapsed);

  int channel_;
  JobLog* log_;
  Element element_;
  int silence_ = 0;
  Duration started_;
  Duration paused_{};
  std::string held_;  // frames
  Duration held_since_{};
  std::function<void()> poll_notes_;
};

}  // namespace sluice::elements
