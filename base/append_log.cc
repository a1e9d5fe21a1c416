#include "base/append_log.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <span>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>
#include <libdeflate.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice {

namespace {

constexpr std::string_view kMagic = "SLUICE1\n";
constexpr std::size_t kHeader = 8;
constexpr std::size_t kReadAhead = 256u << 10;

void put_u32(char* out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}

std::uint32_t get_u32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

// zlib's, computed with the processor's own instructions.
std::uint32_t checksum(std::string_view payload) {
  return ::libdeflate_crc32(0, payload.data(), payload.size());
}

// One behind the other; `parts` is used up.
Status write_all(int fd, std::span<iovec> parts) {
  while (!parts.empty()) {
    const ssize_t n =
        ::writev(fd, parts.data(), static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "log");
    auto written = static_cast<std::size_t>(n);
    for (; !parts.empty() && written >= parts.front().iov_len; parts = parts.subspan(1))
      written -= parts.front().iov_len;
    if (!parts.empty())
      parts.front() = {static_cast<char*>(parts.front().iov_base) + written,
                       parts.front().iov_len - written};
  }
  return {};
}

Status pread_exact(int fd, char* out, std::size_t count, std::uint64_t offset) {
  while (count > 0) {
    const ssize_t n = ::pread(fd, out, count, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "log");
    if (n == 0) return fail("util", "torn-record", "the log ends in the middle of a record");
    out += n;
    count -= static_cast<std::size_t>(n);
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

// The payload of a whole record at `at`; empty when there is none.
std::string_view whole_record(std::string_view bytes, std::size_t at) {
  if (bytes.size() - at < kHeader) return {};
  const std::uint32_t length = get_u32(bytes.data() + at);
  if (length == 0 || length > AppendLog::kMaxRecord || bytes.size() - at - kHeader < length)
    return {};
  const std::string_view payload = bytes.substr(at + kHeader, length);
  return checksum(payload) == get_u32(bytes.data() + at + 4) ? payload : std::string_view{};
}

}  // namespace

Result<AppendLog> AppendLog::open(const std::string& path, const Visit& visit) {
  AppendLog log;
  log.fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!log.fd_) return fail_errno(errno, path);
  // The file is read whole: it is opened at start-up and after a crash, and broker and scheduler
  // need every record then.
  const std::string data = TRY(read_all(log.fd_.get()));
  std::string_view bytes = data;
  std::uint64_t end = 0;
  if (bytes.substr(0, kMagic.size()) == kMagic) {
    end = kMagic.size();
    for (std::string_view payload; !(payload = whole_record(bytes, end)).empty();
         end += kHeader + payload.size()) {
      if (visit) visit(end, payload);
    }
    // Text read as a length is larger than the file: what this tries are few.
    for (std::size_t at = end + 1; at < bytes.size(); ++at) {
      if (whole_record(bytes, at).empty()) continue;
      return fail("util", "damaged-log",
                  fmt::format("{}: damaged at byte {}; the next whole record is at byte {}", path,
                              end, at));
    }
  } else if (kMagic.substr(0, bytes.size()) != bytes) {
    return fail("util", "not-a-log", path + ": not a log of Sluice's (wrong first bytes)");
  }
  if (end == 0) {
    if (::ftruncate(log.fd_.get(), 0) != 0 || ::lseek(log.fd_.get(), 0, SEEK_SET) < 0)
      return fail_errno(errno, path);
    CHECK(write_all(log.fd_.get(), kMagic));
    end = kMagic.size();
  } else if (end < bytes.size()) {
    if (::ftruncate(log.fd_.get(), static_cast<off_t>(end)) != 0) return fail_errno(errno, path);
    log.cut_ = bytes.size() - end;
  }
  ::lseek(log.fd_.get(), static_cast<off_t>(end), SEEK_SET);
  log.size_ = end;
  return log;
}

Result<std::uint64_t> AppendLog::append(std::string_view payload) {
  std::vector<std::uint64_t> offsets;
  CHECK(append_batch({payload}, &offsets));
  return offsets.front();
}

Status AppendLog::append_batch(const std::vector<std::string_view>& payloads,
                               std::vector<std::uint64_t>* offsets) {
  Batch batch;
  std::size_t bytes = 0;
  for (const std::string_view payload : payloads) bytes += payload.size();
  batch.reserve(payloads.size(), bytes);
  for (const std::string_view payload : payloads) {
    batch.begin().append(payload);
    if (auto ended = batch.end(); !ended) return ended;
  }
  return append(std::vector<const Batch*>{&batch}, offsets);
}

Status AppendLog::append(const std::vector<const Batch*>& batches,
                         std::vector<std::uint64_t>* offsets) {
  std::vector<iovec> parts;
  parts.reserve(batches.size());
  for (const Batch* batch : batches)
    parts.push_back({const_cast<char*>(batch->bytes_.data()), batch->bytes_.size()});
  if (auto written = write_all(fd_.get(), parts); !written) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0)
      ::lseek(fd_.get(), static_cast<off_t>(size_), SEEK_SET);
    return written;
  }
  for (const Batch* batch : batches) {
    for (std::size_t i = 0; offsets != nullptr && i < batch->size(); ++i)
      offsets->push_back(size_ + batch->begin_of(i));
    size_ += batch->bytes_.size();
  }
  return {};
}

void AppendLog::Batch::reserve(std::size_t records, std::size_t payload_bytes) {
  ends_.reserve(records);
  bytes_.reserve(payload_bytes + records * kHeader);
}

std::string& AppendLog::Batch::begin() {
  bytes_.resize(begin_of(size()) + kHeader);
  return bytes_;
}

Status AppendLog::Batch::end() {
  char* const header = bytes_.data() + begin_of(size());
  const std::string_view payload(header + kHeader, bytes_.size() - begin_of(size()) - kHeader);
  if (payload.empty()) return fail("util", "empty-record", "a record must not be empty");
  if (payload.size() > kMaxRecord) {
    return fail("util", "too-large",
                fmt::format("a record of {} bytes is over the log's limit", payload.size()));
  }
  put_u32(header, static_cast<std::uint32_t>(payload.size()));
  put_u32(header + 4, checksum(payload));
  ends_.push_back(bytes_.size());
  return {};
}

std::string_view AppendLog::Batch::operator[](std::size_t i) const {
  return std::string_view(bytes_).substr(begin_of(i) + kHeader, ends_[i] - begin_of(i) - kHeader);
}

Result<std::string> AppendLog::read(std::uint64_t offset) const {
  char header[kHeader];
  CHECK(pread_exact(fd_.get(), header, kHeader, offset));
  const std::uint32_t length = get_u32(header);
  if (length > kMaxRecord)
    return fail("util", "torn-record", "no record starts at this offset of the log");
  std::string payload(length, '\0');
  CHECK(pread_exact(fd_.get(), payload.data(), length, offset + kHeader));
  if (checksum(payload) != get_u32(header + 4)) {
    return fail("util", "bad-checksum",
                fmt::format("the record at offset {} fails its checksum", offset));
  }
  return payload;
}

Result<AppendLog::Records> AppendLog::read(std::uint64_t begin, std::uint64_t end) const {
  Records records;
  const std::size_t size = end - begin;
  records.bytes = std::make_unique_for_overwrite<char[]>(size);
  CHECK(pread_exact(fd_.get(), records.bytes.get(), size, begin));
  const std::string_view bytes(records.bytes.get(), size);
  for (std::size_t at = 0; at < size;) {
    const std::string_view payload = whole_record(bytes, at);
    if (payload.empty())
      return fail("util", "bad-checksum",
                  fmt::format("the record at offset {} fails its checksum", begin + at));
    records.payloads.push_back(payload);
    at += kHeader + payload.size();
  }
  return records;
}

Status AppendLog::sync() {
  if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "log");
  return {};
}

Result<AppendLogReader> AppendLogReader::open(const std::string& path) {
  AppendLogReader reader;
  reader.path_ = path;
  reader.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!reader.fd_) return fail_errno(errno, path);
  TRY(reader.have(kMagic.size()));
  if (reader.buffer_.substr(0, kMagic.size()) != kMagic.substr(0, reader.buffer_.size())) {
    return fail("util", "not-a-log", path + ": not a log of Sluice's (wrong first bytes)");
  }
  reader.at_ = kMagic.size();
  return reader;
}

// Whether `bytes` bytes from at_ on are in the buffer, after reading what is there of them.
Result<bool> AppendLogReader::have(std::size_t bytes) {
  if (buffer_.size() >= at_ + bytes) return true;
  // Before the first bytes are there, at_ is behind them.
  const std::size_t given = std::min(at_, buffer_.size());
  buffer_.erase(0, given);
  offset_ += given;
  at_ -= given;
  const std::size_t wanted = std::max(at_ + bytes, kReadAhead);
  std::size_t size = buffer_.size();
  buffer_.resize(wanted);
  while (size < wanted) {
    const ssize_t n = ::pread(fd_.get(), buffer_.data() + size, wanted - size,
                              static_cast<off_t>(offset_ + size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int cause = errno;
      buffer_.resize(size);
      return fail_errno(cause, path_);
    }
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  buffer_.resize(size);
  return buffer_.size() >= at_ + bytes;
}

Result<std::string_view> AppendLogReader::next() {
  bool there = TRY(have(kHeader));
  if (!there) return std::string_view{};
  const std::uint32_t length = get_u32(buffer_.data() + at_);
  if (length > 0 && length <= AppendLog::kMaxRecord) {
    there = TRY(have(kHeader + length));
    if (!there) return std::string_view{};
    if (const std::string_view payload = whole_record(buffer_, at_); !payload.empty()) {
      at_ += kHeader + payload.size();
      return payload;
    }
  }
  return fail("util", "damaged-log", fmt::format("{}: damaged at byte {}", path_, offset_ + at_));
}

}  // namespace sluice
