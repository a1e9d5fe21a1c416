// A file of records that is only ever appended to: the broker's record log and
// the scheduler's journal.
//
// Format: the 8 bytes "SLUICE1\n", then for each record
//   u32 length | u32 CRC-32 of the payload | payload
// integers little-endian. A record is taken for whole when it isn't empty, its length fits the file
// and its checksum agrees. What follows the last whole record is cut off when the file is opened (a
// torn tail is what SIGKILL, a full disk or a loss of power leaves); but when a whole record
// follows one that isn't, the log was damaged, and is neither cut nor used. Records are handed to
// the kernel in append(), so they survive the death of the process; sync() makes them survive loss
// of power.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace sluice {

// One writer, one thread. Readers in other processes may read the same file.
class AppendLog {
 public:
  static constexpr std::uint32_t kMaxRecord = 64u << 20;

  // Opens or makes the file and calls `visit(offset, payload)` for each whole
  // record; the payload lives for the call. `cut` tells how many bytes of a torn
  // tail were removed. Errors: util/damaged-log with the place, util/not-a-log.
  using Visit = std::function<void(std::uint64_t offset, std::string_view payload)>;
  static Result<AppendLog> open(const std::string& path, const Visit& visit);

  // Records that are made where they are written from, without a copy in between.
  class Batch {
   public:
    void reserve(std::size_t records, std::size_t payload_bytes);
    // What is appended to the string that begin() gives, up to end(), is a record. What is in it
    // already isn't to be changed.
    std::string& begin();
    // Errors: util/empty-record, util/too-large.
    Status end();
    std::size_t size() const { return ends_.size(); }
    std::string_view operator[](std::size_t i) const;
    // Of all of it, as it is in the file.
    const std::string& bytes() const { return bytes_; }

   private:
    friend class AppendLog;
    std::size_t begin_of(std::size_t i) const { return i == 0 ? 0 : ends_[i - 1]; }
    std::string bytes_;
    std::vector<std::size_t> ends_;  // of the records, in bytes_
  };

  // `payload` has one byte at least. Returns the offset of the record. When it fails (disk full)
  // the file is cut back to its last whole record and the log can be used again.
  Result<std::uint64_t> append(std::string_view payload);
  // Several records, in one write. `offsets` gets one entry each when given.
  Status append_batch(const std::vector<std::string_view>& payloads,
                      std::vector<std::uint64_t>* offsets);
  // The records of all these batches, in one write.
  Status append(const std::vector<const Batch*>& batches, std::vector<std::uint64_t>* offsets);
  // The payload of the record at `offset`; checks its sum.
  Result<std::string> read(std::uint64_t offset) const;
  // Records that follow each other, in one read: those from the one at `begin` to where the last
  // one ends, which is the next one's offset, or size(). Checks their sums.
  struct Records {
    std::unique_ptr<char[]> bytes;  // what the payloads lie in
    std::vector<std::string_view> payloads;
  };
  Result<Records> read(std::uint64_t begin, std::uint64_t end) const;
  Status sync();

  std::uint64_t size() const { return size_; }
  std::uint64_t cut() const { return cut_; }

 private:
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::uint64_t cut_ = 0;
};

// The records of a log in their order, whoever writes it, or has written it; changes nothing in it.
// One thread.
class AppendLogReader {
 public:
  // Errors: a file that isn't there or can't be read, util/not-a-log.
  static Result<AppendLogReader> open(const std::string& path);

  // The next record's payload, valid until the next call. Empty: there is no further whole record,
  // now; asked again, it looks again. Error: util/damaged-log.
  Result<std::string_view> next();

 private:
  Result<bool> have(std::size_t bytes);

  UniqueFd fd_;
  std::string path_;
  std::string buffer_;  // read, and not given yet from at_ on
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0;  // of the buffer's first byte in the file
};

}  // namespace sluice
