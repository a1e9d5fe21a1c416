#include "jobs/log_tail.h"

#include <algorithm>
#include <charconv>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace sluice::jobs {

namespace {

constexpr Duration kInterval = std::chrono::milliseconds(100);
// Within which a stream says something, be it nothing new.
constexpr Duration kSilence = std::chrono::seconds(1);
constexpr std::uint64_t kPast = 16384;  // bytes for who comes late to what is written
constexpr std::size_t kMostOfName = 32;

std::string topic_of_job(const wire::JobId& id) { return fmt::format("log/{}/", id.job); }

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The parts of log-from/JOB/OFFSET/READER/.
struct Asked {
  std::uint64_t job = 0;
  std::string_view offset;
};

std::optional<Asked> parse(std::string_view topic) {
  if (!topic.starts_with(wire::kLogFrom)) return std::nullopt;
  topic.remove_prefix(wire::kLogFrom.size());
  std::string_view parts[3];
  for (std::string_view& part : parts) {
    const std::size_t slash = topic.find('/');
    if (slash == std::string_view::npos || slash == 0) return std::nullopt;
    part = topic.substr(0, slash);
    topic.remove_prefix(slash + 1);
  }
  const auto job = number(parts[0]);
  const auto in_name = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (!topic.empty() || !job || parts[2].size() > kMostOfName ||
      !std::all_of(parts[2].begin(), parts[2].end(), in_name))
    return std::nullopt;
  return Asked{*job, parts[1]};
}

std::uint64_t size_of(int fd) {
  struct stat info {};
  return fd >= 0 && ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// Fewer than `most` bytes where the file has no more, or can't be read.
std::string read_at(int fd, std::uint64_t offset, std::uint64_t most) {
  std::string text(static_cast<std::size_t>(most), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

UniqueFd open_log(const std::string& path) {
  return path.empty() ? UniqueFd() : UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

LogTail::LogTail(wire::Reactor& reactor, const Clock& clock,
                 std::unique_ptr<wire::LivePublisher> live, const Jobs& running)
    : reactor_(reactor), clock_(clock), live_(std::move(live)), running_(running) {
  live_->on_subscribed([this](const std::string& topic) { subscribed(topic); });
  live_->on_unsubscribed([this](const std::string& topic) { streams_.erase(topic); });
}

LogTail::~LogTail() {
  if (timer_ != 0) reactor_.cancel(timer_);
  if (kept_timer_ != 0) reactor_.cancel(kept_timer_);
}

void LogTail::wake() {
  if (timer_ == 0) timer_ = reactor_.every(kInterval, [this] { look(); });
}

void LogTail::subscribed(const std::string& topic) {
  const auto asked = parse(topic);
  if (!asked) return wake();
  const auto open = this->open(asked->job);
  if (!open) return;
  const auto offset = number(asked->offset);
  if (!offset)
    return refuse(topic, *open, "bad-offset", fmt::format("'{}' is no offset", asked->offset));
  if (open->log.path.empty()) return refuse(topic, *open, "no-log", "This job writes no log");
  if (*offset > open->size)
    return refuse(topic, *open, "past-end", fmt::format("The log has {} bytes", open->size));
  if (streams_.size() >= kMostStreams)
    return refuse(topic, *open, "too-many",
                  fmt::format("This runner shows {} logs at a time", kMostStreams));
  Stream stream;
  stream.job = asked->job;
  stream.offset = *offset;
  stream.said = clock_.monotonic() - kSilence;
  const auto added = streams_.insert_or_assign(topic, stream).first;
  if (!serve(topic, added->second)) streams_.erase(added);
  wake();
}

void LogTail::look() {
  budget_ = kTurn;
  std::erase_if(offsets_, [&](const auto& entry) { return running_.count(entry.first) == 0; });
  bool anybody = !streams_.empty();
  for (const auto& [id, job] : running_) {
    if (!live_->wanted(topic_of_job(id))) {
      offsets_.erase(id);
      continue;
    }
    anybody = true;
    tail(id, job.log());
  }
  for (auto stream = streams_.begin(); stream != streams_.end();)
    stream = serve(stream->first, stream->second) ? std::next(stream) : streams_.erase(stream);
  // Subscriptions to jobs that have ended, or are to come, keep nobody awake.
  if (anybody || !offsets_.empty()) return;
  reactor_.cancel(timer_);
  timer_ = 0;
}

void LogTail::tail(const wire::JobId& id, const LogSource& log) {
  const UniqueFd fd = open_log(log.path);
  if (!fd) return;
  const std::uint64_t size = size_of(fd.get());
  auto [offset, fresh] = offsets_.emplace(id, size > kPast ? size - kPast : 0);
  if (offset->second >= size) return;
  const std::string text =
      read_at(fd.get(), offset->second, std::min(size - offset->second, kPast));
  if (text.empty()) return;
  publish(topic_of_job(id), log, text, {offset->second, size});
  offset->second += text.size();
}

void LogTail::begin(const wire::JobId& id) {
  if (live_->wanted(topic_of_job(id))) wake();
}

void LogTail::end(const wire::JobId& id, const LogSource& log) {
  if (log.path.empty()) return;
  if (live_->wanted(topic_of_job(id))) tail(id, log);
  Kept kept{id, log, open_log(log.path), clock_.monotonic()};
  if (!kept.fd) return;
  kept_.push_back(std::move(kept));
  if (kept_.size() > kMostKept) kept_.pop_front();
  if (kept_timer_ == 0) forget_later();
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    const bool goes_on = stream->second.job != id.job || serve(stream->first, stream->second);
    stream = goes_on ? std::next(stream) : streams_.erase(stream);
  }
}

void LogTail::forget_later() {
  const Duration age = clock_.monotonic() - kept_.front().ended;
  kept_timer_ = reactor_.after(std::max(kKept - age, kInterval), [this] {
    kept_timer_ = 0;
    while (!kept_.empty() && clock_.monotonic() - kept_.front().ended >= kKept) kept_.pop_front();
    if (!kept_.empty()) forget_later();
  });
}

// The newest attempt of a job counts.
std::optional<LogTail::Open> LogTail::open(std::uint64_t job) const {
  const Kept* kept = nullptr;
  for (const Kept& one : kept_) {
    if (one.id.job == job && (kept == nullptr || kept->id <= one.id)) kept = &one;
  }
  const auto next = running_.upper_bound(wire::JobId{job, ~std::uint32_t{0}});
  const auto runs = next == running_.begin() ? running_.end() : std::prev(next);
  Open open;
  if (kept != nullptr && (runs == running_.end() || runs->first.job != job ||
                          runs->first.attempt <= kept->id.attempt)) {
    open.log = kept->log;
    open.fd = kept->fd.get();
    open.ended = true;
  } else if (runs != running_.end() && runs->first.job == job) {
    open.log = runs->second.log();
    open.own = open_log(open.log.path);
    open.fd = open.own.get();
  } else {
    return std::nullopt;
  }
  open.size = size_of(open.fd);
  return open;
}

bool LogTail::serve(const std::string& topic, Stream& stream) {
  const auto open = this->open(stream.job);
  // A log that is kept no longer has been there for long enough to be asked for again.
  if (!open) return false;
  // Another attempt has a log of its own.
  if (stream.offset > open->size) {
    refuse(topic, *open, "past-end", fmt::format("The log has {} bytes", open->size));
    return false;
  }
  for (;;) {
    const std::uint64_t there = open->size - stream.offset;
    const std::uint64_t most = std::min({there, stream.left, kPiece});
    if (most > budget_) return true;
    const std::string text = read_at(open->fd, stream.offset, most);
    if (text.size() < most) {
      refuse(topic, *open, "unreadable", "The log can't be read");
      return false;
    }
    const bool ended = open->ended && there == most;
    const bool last = ended || stream.left == most;
    const Duration now = clock_.monotonic();
    if (text.empty() && !last && now - stream.said < kSilence) return true;
    budget_ -= most;
    stream.said = now;
    publish(topic, open->log, text, {stream.offset, open->size, last, ended});
    stream.offset += most;
    stream.left -= most;
    if (last) return false;
    if (there == most) return true;
  }
}

void LogTail::refuse(const std::string& topic, const Open& open, std::string_view reason,
                     const std::string& message) {
  wire::ErrorSection error;
  error.scope = "task";
  error.domain = "log";
  error.reason = reason;
  error.message = message;
  publish(topic, open.log, {}, {0, open.size, true, false}, &error);
}

void LogTail::publish(const std::string& topic, const LogSource& log, std::string_view text,
                      const wire::LogPlace& place, const wire::ErrorSection* error) {
  live_->publish(
      topic,
      [&] {
        wire::EventHead head;
        head.type = "log";
        head.time = clock_.wall_ns();
        head.text = text;
        const std::string section = wire::pack_section("job", log.section);
        const std::string where = wire::encode(place);
        const std::string why = error == nullptr ? std::string() : pack_section("error", *error);
        std::vector<std::string_view> sections{log.context, section, where};
        if (error != nullptr) sections.emplace_back(why);
        return wire::pack_event(head, sections);
      },
      log.ticket);
}

}  // namespace sluice::jobs
