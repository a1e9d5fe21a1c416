#include "cli/report.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/credentials.h"
#include "base/text.h"
#include "base/workflow.h"
#include "cli/place.h"
#include "wire/events.h"
#include "wire/record_json.h"

namespace sluice::cli {

namespace {

void tell(std::string_view text) {
  (void)write_all(2, ::isatty(2) == 1 ? clean_but_colors(text) : std::string(text));
}

Error told(const Error& error) {
  Error clean = error;
  clean.message = without_credentials(error.message);
  clean.detail = without_credentials(error.detail);
  return clean;
}

}  // namespace

Status print(std::string_view text) {
  return write_all(1, ::isatty(1) == 1 ? clean_but_colors(text) : std::string(text));
}

Result<Report> Report::create(std::string verb, const std::string& json_log) {
  Report report;
  report.verb_ = std::move(verb);
  report.json_log_ = json_log;
  if (json_log == "-") {
    report.file_.reset(::fcntl(1, F_DUPFD_CLOEXEC, 3));
    if (!report.file_) return fail_errno(errno, "cannot write the JSON log to the standard output");
  } else if (!json_log.empty()) {
    report.file_.reset(
        ::open(json_log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
    if (!report.file_) return fail_errno(errno, "cannot write the JSON log " + json_log);
  }
  return report;
}

void Report::append(std::string_view line) {
  if (!file_) return;
  if (!write_all(file_.get(), line)) {
    std::fprintf(stderr, "cannot write the JSON log %s\n", json_log_.c_str());
    file_.reset();
  }
}

void Report::message(std::string_view level, std::string_view text) {
  if (!file_ || shared_) return;
  const auto line = wire::json_line(wire::pack_event(
      {.type = "message", .time = system_clock().wall_ns(), .level = level, .text = text}, {}));
  if (line) append(*line);
}

void Report::error(const Error& error) {
  std::fflush(stdout);
  if (!annotates_) {
    tell(error_text(told(error)));
  } else {
    // What the error quotes is no command.
    tell(workflow_text(error_text(told(error)), workflow_token()));
    Error shown = told(error);
    shown.message = clean(shown.message);
    shown.detail = clean(shown.detail);
    // Of what is in no file of the project's there is no place either.
    shown.provenance.file = project::committed_file_of(shown.provenance.file, directory_);
    tell(workflow_error(shown, clean(shown.introduction), directory_, workspace_));
  }
  record_error(error);
}

void Report::annotate(std::string workspace) {
  annotates_ = true;
  workspace_ = std::move(workspace);
}

void Report::record_error(const Error& error) {
  const std::string place = place_text(error.provenance, directory_);
  tell(annotates_ ? workflow_text(place, workflow_token()) : place);
  append(wire::json_error_line(told(error), "main", system_clock().wall_ns()));
}

void Report::say(std::string_view level, std::string_view text) const {
  const std::string line = fmt::format("{} {}\n", level, without_credentials(text));
  // What a project or a plugin says is no command.
  tell(annotates_ ? workflow_text(line, workflow_token()) : line);
}

void Report::warning(std::string_view text) {
  say("WARNING", text);
  message("warn", text);
}

void Report::info(std::string_view text) {
  say("INFO", text);
  message("info", text);
}

void Report::started() { message("start", verb_); }
void Report::succeeded() { message("success", verb_); }

}  // namespace sluice::cli
