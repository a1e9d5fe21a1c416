// What event streams send, piece by piece. Each belongs to one connection and its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/append_log.h"
#include "base/fd.h"
#include "base/result.h"
#include "renderer/web/hub.h"
#include "wire/events.h"

namespace sluice::renderer {

// A stream's next piece: false when it was the last one. May write nothing; waits for a second at
// most.
using Write = std::function<bool(std::string_view piece)>;

// The records of a session from a cursor on, as events of the page, and statuses between them.
class RecordStream {
 public:
  RecordStream(std::shared_ptr<Watch> watch, std::uint64_t from)
      : watch_(std::move(watch)), from_(from) {}
  bool next(const Write& write);

 private:
  bool read(const Write& write, bool& any);
  bool send_large(std::string_view packed, const Write& write);
  bool idle(const Write& write);

  const std::shared_ptr<Watch> watch_;
  std::uint64_t from_;        // cursor of the first record that is wanted
  std::uint64_t cursor_ = 1;  // of the next record in the file
  std::uint64_t seen_ = 0;    // the file's size, when its end was reached
  std::uint64_t heard_ = 0;   // statuses
  std::optional<AppendLogReader> reader_;
  bool caught_ = false, damaged_ = false;
  Duration said_{};
};

// A job's attempt, as the session's records know it.
struct FoundJob {
  wire::JobSection job;
  bool ended = false;
  std::optional<AppendLogReader> records;  // at the first one that wasn't looked at
};
// Reads all of the session's records. Errors: "web"/"no-job", and those of AppendLogReader.
Result<FoundJob> find_job(const wire::SessionPaths& paths, std::uint64_t id, std::uint32_t attempt);

// The log of a job from a byte on, to its end: from its file, or, of a job that runs elsewhere,
// from its runner.
class LogStream {
 public:
  LogStream(Hub& hub, std::shared_ptr<Watch> watch, FoundJob found, std::uint64_t from);
  bool next(const Write& write);

 private:
  bool send(std::string_view text, bool whole, const Write& write);
  bool from_file(const Write& write);
  bool from_runner(const Write& write);
  bool end(const std::string& error, const Write& write);
  bool has_ended();

  Hub& hub_;
  const std::shared_ptr<Watch> watch_;
  FoundJob found_;
  std::uint64_t offset_;  // of the next byte that is sent
  UniqueFd file_;
  std::shared_ptr<LogFeed> feed_;
  std::string held_;  // the beginning of a character
  Duration said_{};
};

// A log as it is now, from the beginning. Error: it can't be read here.
Result<UniqueFd> open_log(const std::string& path);

// How many bytes of the text are whole characters of UTF-8, but for an incomplete one at its end.
std::size_t whole_characters(std::string_view text);

}  // namespace sluice::renderer
