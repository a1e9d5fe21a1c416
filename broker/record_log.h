// The broker's record log (spec/records.md, "The log"): one order for the records of all
// publishers, a cursor for each record, and what is held of whom.
//
// A record in the log is the event with `src`, `epoch`, `seq` and `cursor` spliced in front: what
// readers get, byte for byte. The index is rebuilt from the file when it is opened. No sockets; one
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/append_log.h"
#include "base/result.h"
#include "wire/events.h"
#include "wire/messages.h"

namespace sluice::broker {

// What becomes of an APPEND.
struct AppendOutcome {
  enum class Kind {
    kTaken,    // everything up to `number` is in the log when write() has succeeded
    kResend,   // a gap: the records from `number` on are needed
    kRefused,  // not taken, and would not be if it came again: `error`
  };
  Kind kind = Kind::kTaken;
  std::uint64_t number = 0;
  Error error;
};

class RecordLog {
 public:
  // How many publishers the log takes records of, and how many bytes a record may have.
  static constexpr std::size_t kMaxPublishers = 65536;
  static constexpr std::size_t kMaxRecord = wire::kMaxRecord;
  // Told of each record that was appended, with its type's name.
  using OnRecord = std::function<void(std::string_view type, std::string_view stamped)>;

  static Result<RecordLog> open(const std::string& path);

  // Takes an APPEND's records for the next write(). Readers and on_record get them after that.
  AppendOutcome append(const std::string& instance, std::uint64_t epoch,
                       const wire::AppendView& message);
  // Writes what append() has taken, all at once, for the cost depends on the number of writes. When
  // that fails nothing of it is held, as if it had never come.
  Status write(const OnRecord& on_record);
  std::size_t unwritten_bytes() const { return unwritten_bytes_; }

  // The last sequence number held of this publisher in this epoch; 0 when there is none. True only
  // after write().
  std::uint64_t acknowledged(const std::string& instance, std::uint64_t epoch) const;
  bool knows(const std::string& instance) const { return publishers_.contains(instance); }

  // The cursor that the next record gets; the first one is 1.
  std::uint64_t end_cursor() const { return index_.size() + 1; }
  // Records from `cursor` on (1 to end_cursor()): at most `max`, and no more after `max_bytes` are
  // reached. An error when the file can't be read.
  struct Records {
    std::vector<wire::BlobView> records;  // valid until the next append
    std::size_t bytes = 0;                // of them all
    AppendLog::Records from_file;         // what those that aren't in memory any more lie in
  };
  Result<Records> read(std::uint64_t cursor, std::size_t max, std::size_t max_bytes) const;

  std::uint64_t torn_bytes() const { return log_.cut(); }

 private:
  struct Publisher {
    std::uint64_t epoch = 0;
    std::uint64_t last = 0;
  };
  explicit RecordLog(AppendLog log) : log_(std::move(log)) {}

  // The newest records, which nearly all readers ask for: those of an APPEND, as they were written.
  struct Chunk {
    std::uint64_t first = 0;  // its first cursor
    AppendLog::Batch records;
  };
  // What append() has taken, and what was known of its publisher before.
  struct Unwritten {
    Chunk chunk;
    std::vector<std::string> types;
    std::string instance;
    std::optional<Publisher> before;
  };

  AppendLog log_;
  std::vector<std::uint64_t> index_;  // offset of the record with cursor i + 1
  std::map<std::string, Publisher> publishers_;
  std::vector<Unwritten> unwritten_;
  std::size_t unwritten_bytes_ = 0;
  std::deque<Chunk> tail_;
  std::size_t tail_bytes_ = 0;
};

}  // namespace sluice::broker
