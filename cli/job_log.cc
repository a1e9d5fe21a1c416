#include "cli/job_log.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "wire/hello.h"

namespace sluice::cli {

namespace {

// How long the rest of a job that has ended is waited for.
constexpr Duration kRest = std::chrono::seconds(10);
// After how long it is said that the runner isn't heard.
constexpr Duration kSaySilence = std::chrono::seconds(6);
constexpr std::size_t kPiece = 1 << 20;
// Bytes of a terminal's sequence, or of a line, that isn't complete.
constexpr std::size_t kMostHeld = 4096;

}  // namespace

// ---- The output --------------------------------------------------------------------

LogOutput::LogOutput(std::string prefix)
    : prefix_(std::move(prefix)), terminal_(::isatty(1) == 1) {}

Status LogOutput::put(std::string_view text) const {
  const std::string cleaned = terminal_ ? clean_but_colors(text) : std::string(text);
  if (prefix_.empty()) return write_all(1, cleaned);
  std::string out;
  for (const std::string_view line : split_lines(cleaned)) {
    out += prefix_;
    out += line;
    if (!line.ends_with('\n')) out += '\n';
  }
  return write_all(1, out);
}

Status LogOutput::write(std::string_view text) {
  if (!terminal_ && prefix_.empty()) return write_all(1, text);
  held_ += text;
  const std::size_t cut = complete();
  CHECK(put(std::string_view(held_).substr(0, cut)));
  held_.erase(0, cut);
  return {};
}

Status LogOutput::flush() {
  if (held_.empty()) return {};
  return put(std::exchange(held_, {}));
}

// Where an escape sequence or a character begins whose end may be still to come, or a line.
std::size_t LogOutput::complete() const {
  const std::size_t line = held_.find_last_of('\n') + 1;  // npos + 1 is 0
  if (!prefix_.empty() && held_.size() - line <= kMostHeld) return line;
  std::size_t cut = held_.find('\x1b', line);
  if (cut == std::string::npos) cut = held_.size();
  while (cut > line && (held_[cut - 1] == '\r' || static_cast<signed char>(held_[cut - 1]) < 0))
    --cut;
  return held_.size() - cut > kMostHeld ? held_.size() : cut;
}

// ---- The log -----------------------------------------------------------------------

Result<std::unique_ptr<JobLog>> JobLog::create(wire::Context& context, wire::Reactor& reactor,
                                               Report& report, const SessionInfo& session,
                                               Wanted wanted, Callbacks callbacks) {
  std::unique_ptr<JobLog> log(
      new JobLog(context, reactor, report, session, std::move(wanted), std::move(callbacks)));
  CHECK(log->begin());
  return log;
}

JobLog::JobLog(wire::Context& context, wire::Reactor& reactor, Report& report,
               const SessionInfo& session, Wanted wanted, Callbacks callbacks)
    : context_(context), reactor_(reactor), report_(report), session_(session),
      wanted_(std::move(wanted)), callbacks_(std::move(callbacks)), offset_(wanted_.from) {
  std::uint64_t number = 0;
  const char* end = wanted_.what.data() + wanted_.what.size();
  const auto read = std::from_chars(wanted_.what.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end) number_ = number;
}

JobLog::~JobLog() {
  for (const auto timer : {rest_timer_, next_timer_}) {
    if (timer != 0) reactor_.cancel(timer);
  }
}

Status JobLog::begin() {
  known_ = TRY(end_cursor(session_.paths));
  wire::RecordReader::Settings settings;
  settings.endpoint = session_.paths.address("records");
  settings.wait_for(session_.paths);
  settings.hello = client_hello(wire::kRecordsProtocol);
  reader_ = TRY(wire::RecordReader::create(
      context_, reactor_, std::move(settings), [this](std::string_view packed) { record(packed); },
      [this](bool) { session_is_over(); }));
  if (known_ <= 1) decide();
  return {};
}

void JobLog::record(std::string_view packed) {
  const auto event = wire::decode_event(packed);
  if (!event || over_) return;
  const bool past = event->cursor + 1 < known_;
  if (event->type == "run.started") {
    run_lasts_ = true;
  } else if (event->type == "run.finished") {
    run_lasts_ = false;
  } else if (event->job && event->type == "job.started" && is_meant(*event, past)) {
    started(*event->job);
  } else if (event->job && event->type == "job.finished" && job_ && event->job->id == job_->id &&
             event->job->attempt == job_->attempt) {
    finished_ = true;
    if (decided_) rest();
  }
  if (!past && !decided_) decide();
  // What waits for a further job, or for the first one, waits no longer than the run.
  if (decided_ && !run_lasts_ && wanted_.goes_on && (done_ || !job_) && !next_) stop();
}

// Whether a job that has started is the one to be shown: of an element the last until now, and of
// that one every attempt.
bool JobLog::is_meant(const wire::Event& event, bool past) const {
  const bool same = job_ && event.job->id == job_->id;
  if (job_ && !past && decided_ && !wanted_.goes_on) return same;
  if (number_) return event.job->id == *number_;
  return event.element && event.element->name == wanted_.what;
}

void JobLog::started(const wire::JobSection& job) {
  const bool same = job_ && job.id == job_->id;
  // Another job of the element: what is left of the one before comes first.
  if (decided_ && job_ && !same && !done_) {
    next_ = job;
    return;
  }
  if (decided_ && same && !finished_) {
    report_.warning(fmt::format(
        "Attempt {} of job {} was lost; this is the log of attempt {}, on {}, from its beginning",
        job_->attempt, job_->id, job.attempt, job.runner));
  }
  if (decided_ && job_) offset_ = 0;
  job_ = job;
  finished_ = false;
  done_ = false;
  if (decided_) follow();
}

void JobLog::decide() {
  decided_ = true;
  if (!job_) {
    if (wanted_.goes_on && run_lasts_) return;
    return stop(Error{
        "session",
        "no-job",
        number_
            ? fmt::format("Session {} has started no job {}", session_.paths.id, *number_)
            : fmt::format("Session {} has started no job of '{}'", session_.paths.id, wanted_.what),
        {},
        {}});
  }
  if (finished_ && !job_->log_file.empty()) return rest();
  follow();
}

void JobLog::follow() {
  live_.reset();
  said_silent_ = false;
  if (job_->log_file.empty()) {
    return job_done(
        Error{"session", "no-log", fmt::format("Job {} writes no log", job_->id), {}, {}});
  }
  wire::LogReader::Callbacks callbacks;
  callbacks.on_text = [this](std::string_view text) {
    offset_ += text.size();
    said_silent_ = false;
    print(text);
  };
  callbacks.on_end = [this] { job_done(); };
  callbacks.on_refused = [this](const Error& error) { job_done(error); };
  callbacks.on_silence = [this](Duration silence) {
    if (silence < kSaySilence || finished_ || std::exchange(said_silent_, true)) return;
    report_.warning(fmt::format("Nothing is heard of {}: waiting for it", job_->runner));
  };
  auto live = wire::LogReader::create(context_, reactor_, session_.paths.address("live-out"),
                                      {job_->id, job_->attempt}, job_->runner, offset_,
                                      std::move(callbacks));
  if (!live) return stop(live.error());
  live_ = std::move(*live);
}

// The job has ended. Its log is on the session's host; who isn't there has it of the runner, which
// keeps it for a while.
void JobLog::rest() {
  if (!session_.place && print_file()) return job_done();
  if (!live_) follow();
  if (over_ || done_ || rest_timer_ != 0) return;
  rest_timer_ = reactor_.after(kRest, [this] {
    rest_timer_ = 0;
    stop(Error{"session",
               "log-elsewhere",
               fmt::format("Job {} has ended, and its runner {} doesn't show its log any more "
                           "from byte {} on: it is {} where the session is",
                           job_->id, job_->runner, offset_, job_->log_file),
               {},
               {}});
  });
}

void JobLog::session_is_over() {
  if (over_) return;
  decided_ = true;
  run_lasts_ = false;
  if (!job_) return decide();
  if (done_) return stop();
  finished_ = true;
  rest();
}

// The rest of the log's file. False: that can't be read, or isn't all of it.
bool JobLog::print_file() {
  const UniqueFd fd(::open(job_->log_file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return false;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (offset_ > size) {
    if (offset_ != wanted_.from) return false;
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

void JobLog::print(std::string_view text) {
  if (over_ || done_) return;
  if (auto written = callbacks_.on_text(text); !written) stop(written.error());
}

// All of the job's log was given, or no more of it can be had.
void JobLog::job_done(std::optional<Error> error) {
  if (over_ || done_) return;
  if (error || !wanted_.goes_on) return stop(std::move(error));
  done_ = true;
  if (rest_timer_ != 0) reactor_.cancel(std::exchange(rest_timer_, 0));
  if (!next_ && run_lasts_) return;
  // Not at once: this may be a call of the reader that goes.
  if (next_timer_ == 0) {
    next_timer_ = reactor_.after(Duration::zero(), [this] {
      next_timer_ = 0;
      next_job();
    });
  }
}

void JobLog::next_job() {
  if (!next_) {
    if (!run_lasts_) stop();
    return;
  }
  const wire::JobSection job = *std::exchange(next_, std::nullopt);
  started(job);
}

void JobLog::stop(std::optional<Error> error) {
  if (std::exchange(over_, true)) return;
  callbacks_.on_end(std::move(error));
}

}  // namespace sluice::cli
