#include "renderer/web/streams.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "renderer/page/digest.h"
#include "renderer/web/event_stream.h"
#include "wire/record_json.h"

namespace sluice::renderer {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one event of records holds at most, before the record that goes beyond it.
constexpr std::size_t kMostRecords = 500, kMostBytes = 256 << 10;
// Bytes of a record that is sent by itself.
constexpr std::size_t kLarge = 128 << 10;
// Records that are passed over in one go on the way to the first one that is wanted.
constexpr std::size_t kMostPassed = 20'000;
constexpr std::size_t kPiece = 64 << 10;
constexpr Duration kBeat = seconds(10);
constexpr Duration kWait = seconds(1);

bool beat(Duration& said, const Write& write) {
  const Duration now = system_clock().monotonic();
  if (now - said < kBeat) return true;
  said = now;
  return write(kStreamBeat);
}

}  // namespace

bool RecordStream::next(const Write& write) {
  {
    const std::lock_guard lock(watch_->mutex);
    if (watch_->stop) return false;
  }
  bool any = false;
  if (!read(write, any)) return false;
  return any || idle(write);
}

// Sends what the file has. `any`: there may be more at once.
bool RecordStream::read(const Write& write, bool& any) {
  if (!reader_) {
    auto opened = AppendLogReader::open(watch_->paths.record_log());
    // The broker of a session that has just begun makes it.
    if (!opened) return true;
    reader_.emplace(std::move(*opened));
  }
  std::string list = "[";
  for (std::size_t i = 0; i < (cursor_ < from_ ? kMostPassed : kMostRecords); ++i) {
    const auto record = reader_->next();
    if (!record) {
      // What a broker that was killed had half written is there no more when the next one writes:
      // it is read again.
      if (damaged_) {
        write(stream_event("trouble", "", wire::json_string(record.error().message)));
        return false;
      }
      damaged_ = true;
      from_ = std::max(from_, cursor_);
      cursor_ = 1;
      reader_.reset();
      any = true;
      break;
    }
    if (record->empty()) break;
    any = true;
    if (cursor_ >= from_ && record->size() > kLarge) {
      if (list.size() > 1 && !write(stream_event("", std::to_string(cursor_), list + "]")))
        return false;
      return send_large(*record, write);
    }
    if (cursor_++ < from_) continue;
    damaged_ = false;
    const auto event = wire::decode_event(*record);
    const std::string json = event ? page_event(*event) : std::string();
    if (json.empty()) continue;
    if (list.size() > 1) list += ',';
    list += json;
    if (list.size() > kMostBytes) break;
  }
  if (list.size() == 1) return true;
  said_ = system_clock().monotonic();
  return write(stream_event("", std::to_string(cursor_), list + "]"));
}

bool RecordStream::send_large(std::string_view packed, const Write& write) {
  std::shared_ptr<const std::string> json;
  {
    const std::lock_guard lock(watch_->large_mutex);
    auto& known = watch_->large[cursor_];
    json = known.lock();
    if (!json) {
      const auto event = wire::decode_event(packed);
      json = std::make_shared<const std::string>(event ? page_event(*event) : std::string());
      known = json;
    }
  }
  // The reader would keep room for such a record.
  from_ = ++cursor_;
  cursor_ = 1;
  damaged_ = false;
  reader_.reset();
  if (json->empty()) return true;
  said_ = system_clock().monotonic();
  return write(fmt::format("id: {}\ndata: [", from_)) && write(*json) && write("]\n\n");
}

// At the file's end: says so, then statuses, and waits for what comes.
bool RecordStream::idle(const Write& write) {
  if (!caught_) {
    caught_ = true;
    said_ = system_clock().monotonic();
    return write(stream_event("caught", "", std::to_string(cursor_)));
  }
  std::string status;
  {
    std::unique_lock lock(watch_->mutex);
    if (watch_->over && seen_ == watch_->size) {
      lock.unlock();
      write(stream_event("over", "", std::to_string(cursor_)));
      return false;
    }
    watch_->changed.wait_for(lock, kWait, [this] {
      return watch_->stop || watch_->over || watch_->size != seen_ || watch_->heard != heard_;
    });
    seen_ = watch_->size;
    if (watch_->heard != heard_) status = watch_->status;
    heard_ = watch_->heard;
  }
  if (status.empty()) return beat(said_, write);
  said_ = system_clock().monotonic();
  return write(stream_event("status", "", status));
}

Result<FoundJob> find_job(const wire::SessionPaths& paths, std::uint64_t id,
                          std::uint32_t attempt) {
  const Error none = {"web", "no-job", fmt::format("There is no job {} there", id), {}, {}};
  if (!path_exists(paths.record_log())) return tl::unexpected<Error>(none);
  FoundJob found;
  AppendLogReader& records = found.records.emplace(TRY(AppendLogReader::open(paths.record_log())));
  bool there = false;
  while (true) {
    const std::string_view packed = TRY(records.next());
    if (packed.empty()) break;
    // Most records needn't be decoded.
    const bool started = packed.find("job.started") != packed.npos;
    if (!started && packed.find("job.finished") == packed.npos) continue;
    const auto event = wire::decode_event(packed);
    if (!event || !event->job || event->job->id != id || event->job->attempt != attempt) continue;
    if (event->type != "job.started" && event->type != "job.finished") continue;
    there = true;
    found.job = *event->job;
    found.ended = event->type == "job.finished";
  }
  if (!there) return tl::unexpected<Error>(none);
  return found;
}

Result<UniqueFd> open_log(const std::string& path) {
  // O_NONBLOCK: what is named in a record must not be able to stop us (a FIFO).
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(errno, path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, path);
  if (!S_ISREG(info.st_mode)) return fail("util", "not-a-file", path + " is not a regular file");
  return fd;
}

std::size_t whole_characters(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto c = static_cast<unsigned char>(text[text.size() - back]);
    if (c < 0x80) break;
    if (c < 0xc0) continue;
    const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();
}

LogStream::LogStream(Hub& hub, std::shared_ptr<Watch> watch, FoundJob found, std::uint64_t from)
    : hub_(hub), watch_(std::move(watch)), found_(std::move(found)), offset_(from) {
  if (auto file = open_log(found_.job.log_file)) file_ = std::move(*file);
}

bool LogStream::next(const Write& write) {
  {
    const std::lock_guard lock(watch_->mutex);
    if (watch_->stop) return false;
  }
  if (!file_ && !feed_) {
    if (auto file = open_log(found_.job.log_file)) {
      file_ = std::move(*file);
    } else if (found_.job.log_file.empty() || watch_->paths.over()) {
      return end(file.error().message, write);
    } else {
      feed_ = hub_.follow_log(watch_->paths, {found_.job.id, found_.job.attempt}, found_.job.runner,
                              offset_);
    }
  }
  return file_ ? from_file(write) : from_runner(write);
}

// `whole`: nothing follows that could complete a character.
bool LogStream::send(std::string_view text, bool whole, const Write& write) {
  held_ += text;
  const std::size_t size = whole ? held_.size() : whole_characters(held_);
  if (size == 0) return true;
  offset_ += size;
  const std::string json = wire::json_string(std::string_view(held_).substr(0, size));
  held_.erase(0, size);
  said_ = system_clock().monotonic();
  return write(stream_event("", std::to_string(offset_), json));
}

bool LogStream::from_file(const Write& write) {
  // Asked before the file is read: what is written before the job's end is there then.
  const bool ended = has_ended();
  std::string text(kPiece, '\0');
  const ssize_t n =
      ::pread(file_.get(), text.data(), text.size(), static_cast<off_t>(offset_ + held_.size()));
  if (n < 0) return end("The log can't be read", write);
  if (n > 0)
    return send(std::string_view(text).substr(0, static_cast<std::size_t>(n)), false, write);
  if (ended) return send("", true, write) && end("", write);
  {
    // A log grows without a record that says so.
    std::unique_lock lock(watch_->mutex);
    watch_->changed.wait_for(lock, milliseconds(200), [this] { return watch_->stop; });
  }
  return beat(said_, write);
}

bool LogStream::from_runner(const Write& write) {
  std::string text, error;
  bool ended = false;
  {
    std::unique_lock lock(feed_->mutex);
    feed_->changed.wait_for(lock, kWait,
                            [this] { return !feed_->text.empty() || feed_->ended || feed_->stop; });
    text.swap(feed_->text);
    error = feed_->error;
    ended = feed_->ended;
    if (feed_->stop) return false;
  }
  if (!text.empty() || ended) {
    if (!send(text, ended, write)) return false;
    return !ended || end(error, write);
  }
  return beat(said_, write);
}

bool LogStream::end(const std::string& error, const Write& write) {
  write(stream_event("over", "", wire::json_string(error)));
  return false;
}

bool LogStream::has_ended() {
  if (found_.ended || watch_->paths.over()) return true;
  auto& records = found_.records;
  if (!records) {
    auto opened = AppendLogReader::open(watch_->paths.record_log());
    if (!opened) return false;
    records.emplace(std::move(*opened));
  }
  while (true) {
    const auto record = records->next();
    // What was half written by a broker that was killed: it is read again.
    if (!record) records.reset();
    if (!record || record->empty()) return false;
    if (record->find("job.finished") == record->npos) continue;
    const auto event = wire::decode_event(*record);
    if (event && event->type == "job.finished" && event->job && event->job->id == found_.job.id &&
        event->job->attempt == found_.job.attempt)
      return found_.ended = true;
  }
}

}  // namespace sluice::renderer
