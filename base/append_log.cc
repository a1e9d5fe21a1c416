#include "base/append_log.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <libdeflate.h>

#include "base/file.h"

namespace sluice {

namespace {

constexpr std::string_view kMagic = "SLUICE1\n";
constexpr std::size_t kHeader = 8;
constexpr std::size_t kReadAhead = 256u << 10;

void put_u32(std::string& out, std::uint32_t value) {
  const char bytes[] = {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16), static_cast<char>(value >> 24)};
  out.append(bytes, sizeof bytes);
}

std::uint32_t get_u32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

// zlib's, computed with the processor's own instructions.
std::uint32_t checksum(std::string_view payload) { return ::libdeflate_crc32(0, payload.data(), payload.size()); }

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
  if (length == 0 || length > AppendLog::kMaxRecord || bytes.size() - at - kHeader < length) return {};
  const std::string_view payload = bytes.substr(at + kHeader, length);
  return checksum(payload) == get_u32(bytes.data() + at + 4) ? payload : std::string_view{};
}

}  // namespace

Result<AppendLog> AppendLog::open(const std::string& path, const Visit& visit) {
  AppendLog log;
  log.fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!log.fd_) return fail_errno(errno, path);
  // Read whole: opening happens at start-up and after a crash, and both readers
  // need every record then.
  auto data = read_all(log.fd_.get());
  if (!data) return forward(data);
  std::string_view bytes = *data;
  std::uint64_t end = 0;
  if (bytes.substr(0, kMagic.size()) == kMagic) {
    end = kMagic.size();
    for (std::string_view payload; !(payload = whole_record(bytes, end)).empty(); end += kHeader + payload.size()) {
      if (visit) visit(end, payload);
    }
    // Text read as a length is larger than the file: what this tries are few.
    for (std::size_t at = end + 1; at < bytes.size(); ++at) {
      if (whole_record(bytes, at).empty()) continue;
      return fail("util", "damaged-log",
                  fmt::format("{}: damaged at byte {}; the next whole record is at byte {}", path, end, at));
    }
  } else if (kMagic.substr(0, bytes.size()) != bytes) {
    return fail("util", "not-a-log", path + ": not a log of Sluice's (wrong first bytes)");
  }
  if (end == 0) {
    if (::ftruncate(log.fd_.get(), 0) != 0 || ::lseek(log.fd_.get(), 0, SEEK_SET) < 0) return fail_errno(errno, path);
    if (auto written = write_all(log.fd_.get(), kMagic); !written) return forward(written);
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
  if (auto status = append_batch({payload}, &offsets); !status) return forward(status);
  return offsets.front();
}

Status AppendLog::append_batch(const std::vector<std::string_view>& payloads, std::vector<std::uint64_t>* offsets) {
  std::string buffer;
  std::vector<std::uint64_t> places;
  std::size_t bytes = 0;
  for (const std::string_view payload : payloads) bytes += kHeader + payload.size();
  buffer.reserve(bytes);
  places.reserve(payloads.size());
  for (const std::string_view payload : payloads) {
    if (payload.empty()) return fail("util", "empty-record", "a record must not be empty");
    if (payload.size() > kMaxRecord) {
      return fail("util", "too-large", fmt::format("a record of {} bytes is over the log's limit", payload.size()));
    }
    places.push_back(size_ + buffer.size());
    put_u32(buffer, static_cast<std::uint32_t>(payload.size()));
    put_u32(buffer, checksum(payload));
    buffer.append(payload);
  }
  if (auto written = write_all(fd_.get(), buffer); !written) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0) ::lseek(fd_.get(), static_cast<off_t>(size_), SEEK_SET);
    return written;
  }
  size_ += buffer.size();
  if (offsets != nullptr) offsets->insert(offsets->end(), places.begin(), places.end());
  return {};
}

Result<std::string> AppendLog::read(std::uint64_t offset) const {
  char header[kHeader];
  if (auto status = pread_exact(fd_.get(), header, kHeader, offset); !status) return forward(status);
  const std::uint32_t length = get_u32(header);
  if (length > kMaxRecord) return fail("util", "torn-record", "no record starts at this offset of the log");
  std::string payload(length, '\0');
  if (auto status = pread_exact(fd_.get(), payload.data(), length, offset + kHeader); !status) return forward(status);
  if (checksum(payload) != get_u32(header + 4)) {
    return fail("util", "bad-checksum", fmt::format("the record at offset {} fails its checksum", offset));
  }
  return payload;
}

Result<std::vector<std::string>> AppendLog::read(std::uint64_t offset, std::size_t count, std::size_t max_bytes) const {
  std::vector<std::string> records;
  std::string chunk;
  std::size_t bytes = 0;
  while (records.size() < count && (records.empty() || bytes < max_bytes)) {
    chunk.resize(kReadAhead);
    const ssize_t n = ::pread(fd_.get(), chunk.data(), chunk.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "log");
    std::string_view rest(chunk.data(), static_cast<std::size_t>(n));
    const std::size_t before = records.size();
    while (records.size() < count && (records.empty() || bytes < max_bytes) && rest.size() >= kHeader) {
      const std::uint32_t length = get_u32(rest.data());
      if (rest.size() - kHeader < length) break;
      const std::string_view payload = rest.substr(kHeader, length);
      if (checksum(payload) != get_u32(rest.data() + 4)) {
        return fail("util", "bad-checksum", fmt::format("the record at offset {} fails its checksum", offset));
      }
      records.emplace_back(payload);
      bytes += length;
      rest.remove_prefix(kHeader + length);
      offset += kHeader + length;
    }
    if (records.size() > before) continue;
    // Larger than what is read ahead, or none is there.
    auto record = read(offset);
    if (!record) return forward(record);
    bytes += record->size();
    offset += kHeader + record->size();
    records.push_back(std::move(*record));
  }
  return records;
}

Status AppendLog::sync() {
  if (::fdatasync(fd_.get()) != 0) return fail_errno(errno, "log");
  return {};
}

}  // namespace sluice
