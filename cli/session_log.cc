// `session log`: the log of a job that runs, wherever that is, from a byte on and to its end.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/sessions.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/log_reader.h"
#include "wire/record_reader.h"

namespace sluice::cli {

namespace {

// How long the rest of a job that has ended is waited for.
constexpr Duration kRest = std::chrono::seconds(10);
// After how long it is said that the runner isn't heard.
constexpr Duration kSaySilence = std::chrono::seconds(6);
constexpr std::size_t kPiece = 1 << 20;
// Bytes of a terminal's sequence that isn't complete.
constexpr std::size_t kMostHeld = 4096;

// The standard output. What a build wrote doesn't steer a terminal; its colours stay.
class Output {
 public:
  Status write(std::string_view text) {
    if (!terminal_) return write_all(1, text);
    held_ += text;
    const std::size_t cut = complete();
    CHECK(write_all(1, clean_but_colors(std::string_view(held_).substr(0, cut))));
    held_.erase(0, cut);
    return {};
  }
  Status flush() {
    const std::string rest = std::exchange(held_, {});
    return write_all(1, clean_but_colors(rest));
  }

 private:
  // Where an escape sequence or a character begins whose end may be still to come.
  std::size_t complete() const {
    const std::size_t line = held_.find_last_of('\n') + 1;  // npos + 1 is 0
    std::size_t cut = held_.find('\x1b', line);
    if (cut == std::string::npos) cut = held_.size();
    while (cut > line && (held_[cut - 1] == '\r' || static_cast<signed char>(held_[cut - 1]) < 0))
      --cut;
    return held_.size() - cut > kMostHeld ? held_.size() : cut;
  }

  const bool terminal_ = ::isatty(1) == 1;
  std::string held_;
};

class LogShower {
 public:
  LogShower(Invocation& invocation, const SessionLogCommand& command, SessionInfo session)
      : invocation_(invocation), command_(command), session_(std::move(session)),
        offset_(command.from) {
    std::uint64_t number = 0;
    const char* end = command.what.data() + command.what.size();
    const auto read = std::from_chars(command.what.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) number_ = number;
  }

  int run() {
    if (auto begun = begin(); !begun) return failed(invocation_, begun.error());
    if (!over_) reactor_.run();
    if (!error_) {
      if (auto flushed = output_.flush(); !flushed) error_ = flushed.error();
    }
    return error_ ? failed(invocation_, *error_) : kSuccess;
  }

 private:
  Status begin() {
    known_ = TRY(end_cursor(session_.paths));
    wire::RecordReader::Settings settings;
    settings.endpoint = session_.paths.address("records");
    settings.wait_for(session_.paths);
    settings.hello = client_hello(wire::kRecordsProtocol);
    reader_ = TRY(wire::RecordReader::create(
        context_, reactor_, std::move(settings),
        [this](std::string_view packed) { record(packed); }, [this](bool) { session_is_over(); }));
    if (known_ <= 1) decide();
    return {};
  }

  void record(std::string_view packed) {
    const auto event = wire::decode_event(packed);
    if (!event || over_) return;
    const bool past = event->cursor + 1 < known_;
    if (event->job && event->type == "job.started" && is_meant(*event, past)) {
      if (job_ && decided_) say_again(*event->job);
      job_ = event->job;
      finished_ = false;
      if (decided_) follow();
    } else if (event->job && event->type == "job.finished" && job_ && event->job->id == job_->id &&
               event->job->attempt == job_->attempt) {
      finished_ = true;
      if (decided_) rest();
    }
    if (!past && !decided_) decide();
  }

  // Whether a job that has started is the one to be shown: of an element the last until now, and of
  // that one every attempt.
  bool is_meant(const wire::Event& event, bool past) const {
    if (job_ && !past && decided_) return event.job->id == job_->id;
    if (number_) return event.job->id == *number_;
    return event.element && event.element->name == command_.what;
  }

  void decide() {
    decided_ = true;
    if (!job_) {
      return stop(Error{
          "session",
          "no-job",
          number_ ? fmt::format("Session {} has started no job {}", session_.paths.id, *number_)
                  : fmt::format("Session {} has started no job of '{}'", session_.paths.id,
                                command_.what),
          {},
          {}});
    }
    if (job_->log_file.empty()) {
      return stop(
          Error{"session", "no-log", fmt::format("Job {} writes no log", job_->id), {}, {}});
    }
    if (finished_) return rest();
    follow();
  }

  void say_again(const wire::JobSection& now) {
    invocation_.report.warning(fmt::format(
        "Attempt {} of job {} was lost; this is the log of attempt {}, on {}, from its beginning",
        job_->attempt, job_->id, now.attempt, now.runner));
    offset_ = 0;
  }

  void follow() {
    live_.reset();
    said_silent_ = false;
    wire::LogReader::Callbacks callbacks;
    callbacks.on_text = [this](std::string_view text) {
      offset_ += text.size();
      said_silent_ = false;
      print(text);
    };
    callbacks.on_end = [this] { stop(); };
    callbacks.on_refused = [this](const Error& error) { stop(error); };
    callbacks.on_silence = [this](Duration silence) {
      if (silence < kSaySilence || finished_ || std::exchange(said_silent_, true)) return;
      invocation_.report.warning(
          fmt::format("Nothing is heard of {}: waiting for it", job_->runner));
    };
    auto live = wire::LogReader::create(context_, reactor_, session_.paths.address("live-out"),
                                        {job_->id, job_->attempt}, job_->runner, offset_,
                                        std::move(callbacks));
    if (!live) return stop(live.error());
    live_ = std::move(*live);
  }

  // The job has ended. Its log is on the session's host; who isn't there has it of the runner,
  // which keeps it for a while.
  void rest() {
    if (!session_.place && print_file()) return stop();
    if (!live_) follow();
    if (over_ || rest_timer_ != 0) return;
    rest_timer_ = reactor_.after(kRest, [this] {
      stop(Error{"session",
                 "log-elsewhere",
                 fmt::format("Job {} has ended, and its runner {} doesn't show its log any more "
                             "from byte {} on: it is {} where the session is",
                             job_->id, job_->runner, offset_, job_->log_file),
                 {},
                 {}});
    });
  }

  void session_is_over() {
    if (over_) return;
    decided_ = true;
    if (!job_) return decide();
    finished_ = true;
    rest();
  }

  // The rest of the log's file. False: that can't be read, or isn't all of it.
  bool print_file() {
    const UniqueFd fd(::open(job_->log_file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return false;
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (offset_ > size) {
      if (offset_ != command_.from) return false;
      stop(Error{"log", "past-end", fmt::format("The log has {} bytes", size), {}, {}});
      return true;
    }
    std::string text;
    while (offset_ < size && !over_) {
      text.resize(std::min<std::uint64_t>(kPiece, size - offset_));
      const ssize_t n = ::pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset_));
      if (n <= 0) return false;
      offset_ += static_cast<std::uint64_t>(n);
      print(std::string_view(text).substr(0, static_cast<std::size_t>(n)));
    }
    return true;
  }

  void print(std::string_view text) {
    if (over_) return;
    if (auto written = output_.write(text); !written) stop(written.error());
  }

  void stop(std::optional<Error> error = {}) {
    if (std::exchange(over_, true)) return;
    error_ = std::move(error);
    reactor_.stop();
  }

  Invocation& invocation_;
  const SessionLogCommand& command_;
  const SessionInfo session_;
  std::optional<std::uint64_t> number_;  // of the job, when the user has given that
  wire::Context context_;
  wire::Reactor reactor_;
  std::unique_ptr<wire::RecordReader> reader_;
  std::unique_ptr<wire::LogReader> live_;
  Output output_;
  std::uint64_t known_ = 0;              // cursor: records before it have been, when this began
  std::optional<wire::JobSection> job_;  // what is shown
  std::uint64_t offset_;
  bool decided_ = false;
  bool finished_ = false;
  bool said_silent_ = false;
  bool over_ = false;
  wire::Reactor::TimerId rest_timer_ = 0;
  std::optional<Error> error_;
};

}  // namespace

int run_session_log(Invocation& invocation, const SessionLogCommand& command) {
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  return LogShower(invocation, command, std::move(*session)).run();
}

}  // namespace sluice::cli
