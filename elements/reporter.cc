#include "elements/reporter.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/file.h"
#include "base/try.h"

namespace sluice::elements {

namespace {

constexpr Duration kHold = std::chrono::milliseconds(20);

struct LevelNames {
  const char* record;
  const char* log;
};

LevelNames names_of(Level level) {
  switch (level) {
    case Level::kDebug: return {"debug", "DEBUG"};
    case Level::kStatus: return {"status", "STATUS"};
    case Level::kInfo: return {"info", "INFO"};
    case Level::kWarn: return {"warn", "WARNING"};
    case Level::kError: return {"error", "ERROR"};
    case Level::kBug: return {"bug", "BUG"};
    case Level::kLog: return {"log", "LOG"};
    case Level::kStart: return {"start", "START"};
    case Level::kSuccess: return {"success", "SUCCESS"};
    case Level::kFailure: return {"failure", "FAILURE"};
    case Level::kSkipped: return {"skipped", "SKIPPED"};
  }
  return {"", ""};
}

// Whether a level is shown although a step that is silent is going on.
bool unconditional(Level level) {
  return level == Level::kInfo || level == Level::kWarn || level == Level::kFailure ||
         level == Level::kError || level == Level::kBug;
}

std::string_view without_trailing_newlines(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<JobLog> JobLog::create(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) {
    CHECK(make_directories(path.substr(0, slash)));
  }
  JobLog log;
  log.path_ = path;
  log.fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!log.fd_) return fail_errno(errno, "cannot open the log file " + path);
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char when[64];
  std::strftime(when, sizeof when, "%A, %d-%m-%Y at %H:%M:%S", &local);
  log.write(fmt::format("Sluice {} - {}\n", SLUICE_VERSION, when));
  return log;
}

void JobLog::write(std::string_view text) {
  // A log that can't be written (disk full) must not end the build that it is about.
  [[maybe_unused]] auto written = write_all(fd_.get(), text);
}

std::uint64_t JobLog::size() const {
  struct stat info {};
  return ::fstat(fd_.get(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string JobLog::read_from(std::uint64_t offset, std::size_t limit) const {
  const std::uint64_t end = size();
  if (offset >= end) return {};
  std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, limit)), '\0');
  const ssize_t n = ::pread(fd_.get(), text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return text;
}

std::string JobLog::tail(std::size_t bytes) const {
  const std::uint64_t end = size();
  if (end <= bytes) return read_from(0, bytes);
  std::string text = read_from(end - bytes, bytes);
  const auto newline = text.find('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

Reporter::Reporter(int channel, JobLog* log, Element element)
    : channel_(channel), log_(log), element_(std::move(element)),
      started_(system_clock().monotonic()) {}

Duration Reporter::elapsed() {
  if (poll_notes_) poll_notes_();
  return system_clock().monotonic() - started_ - paused_;
}

void Reporter::note(const wire::JobNote& note) {
  if (note.kind == "paused" && note.value > 0) paused_ += Duration(note.value);
}

void Reporter::send(const wire::JobEvent& event) {
  if (held_.empty()) held_since_ = system_clock().monotonic();
  held_ += wire::frame(wire::encode(event));
}

void Reporter::flush() {
  if (held_.empty()) return;
  // When the runner is gone this process is about to be, too.
  [[maybe_unused]] auto sent = write_all(channel_, held_);
  held_.clear();
}

void Reporter::tokens(std::uint32_t most) {
  wire::JobEvent event;
  event.kind = "tokens";
  event.elapsed = most;
  send(event);
  flush();
}

void Reporter::result(wire::JobResult result) {
  wire::JobEvent event;
  event.kind = "result";
  event.result = std::move(result);
  send(event);
  flush();
}

void Reporter::flush_if_old() {
  if (!held_.empty() && system_clock().monotonic() - held_since_ > kHold) flush();
}

void Reporter::write_log(const Element& who, Level level, std::string_view text,
                         std::string_view detail, Duration elapsed) {
  if (log_ == nullptr) return;
  std::string line = "[--:--:--]";
  if (level == Level::kSuccess || level == Level::kFailure) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
    line = fmt::format("[{:02}:{:02}:{:02}]", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  line += fmt::format(" {:<7}", names_of(level).log);
  if (!who.brief.empty()) line += fmt::format(" [{}]", who.brief);
  line += fmt::format(" {}: {}\n", who.name, text);
  detail = without_trailing_newlines(detail);
  if (!detail.empty()) {
    line += '\n';
    while (!detail.empty()) {
      const auto newline = detail.find('\n');
      line += "    ";
      line += detail.substr(0, newline);
      line += '\n';
      detail = newline == std::string_view::npos ? std::string_view{} : detail.substr(newline + 1);
    }
  }
  log_->write(line);
}

void Reporter::message(Level level, std::string_view text, std::string_view detail) {
  message_as(element_, level, text, detail);
}

void Reporter::log_only(Level level, std::string_view text, std::string_view detail,
                        Duration elapsed) {
  write_log(element_, level, without_credentials(text), without_credentials(detail), elapsed);
}

Status Reporter::warn(const std::vector<std::string>& fatal_warnings, std::string_view token,
                      std::string_view text, std::string_view detail) {
  const std::string brief = fmt::format("[{}]: {}", token, text);
  const bool fatal =
      std::any_of(fatal_warnings.begin(), fatal_warnings.end(),
                  [&](const std::string& entry) { return entry == "*" || entry == token; });
  if (fatal) return fail("plugin", std::string(token), brief, {}, std::string(detail));
  message(Level::kWarn, brief, detail);
  return {};
}

void Reporter::message_as(const Element& who, Level level, std::string_view given_text,
                          std::string_view given_detail, Duration elapsed) {
  const std::string text = without_credentials(given_text),
                    detail = without_credentials(given_detail);
  write_log(who, level, text, detail, elapsed);
  flush_if_old();
  if (level == Level::kLog || (silence_ > 0 && !unconditional(level))) return;
  wire::JobEvent event;
  event.kind = "message";
  event.time = system_clock().wall_ns();
  event.level = names_of(level).record;
  event.text = text;
  event.detail = detail;
  event.elapsed = elapsed.count();
  send(event);
}

Reporter::Activity::Activity(Reporter& reporter, std::string text, std::string_view detail,
                             bool silent, std::optional<Element> who)
    : reporter_(reporter), text_(std::move(text)), who_(who ? std::move(*who) : reporter.element_),
      silent_(silent), started_(reporter.elapsed()) {
  reporter_.message_as(who_, Level::kStart, text_, detail);
  if (silent_) ++reporter_.silence_;
}

void Reporter::Activity::finish(Level level) {
  if (finished_) return;
  finished_ = true;
  if (silent_) --reporter_.silence_;
  reporter_.message_as(who_, level, text_, {}, reporter_.elapsed() - started_);
}

void Reporter::Activity::success() { finish(Level::kSuccess); }

Reporter::Activity::~Activity() { finish(Level::kFailure); }

}  // namespace sluice::elements
