// What a command says of itself: errors on standard error in BuildStream's form, and the same as
// records in the JSON log that --json-log asked for.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/result.h"

namespace sluice::cli {

// Writes to the standard output. On a terminal nothing in it steers that, whoever wrote it: file
// names, logs, what projects say; colours stay. Into a file or a pipe goes what it is.
Status print(std::string_view text);

// The process' report: there is one, used in one thread. What it says has no credentials in it
// (base/credentials.h).
class Report {
 public:
  // Makes or empties the file `json_log`; "-" is the standard output, "" means none.
  static Result<Report> create(std::string verb, const std::string& json_log);

  // Where the command works, so that the lines of the project's files that errors are about can be
  // shown.
  void work_in(std::string directory) { directory_ = std::move(directory); }

  // Reports an error. On standard error: an empty line, "INTRODUCTION: PLACE: MESSAGE", the detail
  // indented by four, and the line at that place. In the JSON log: a record of type "error" and
  // scope "main".
  void error(const Error& error);
  // Shows the line, and writes the record, of an error that somebody else has told already.
  void record_error(const Error& error);
  // Says a warning; "WARNING " stands on the terminal only.
  void warning(std::string_view text);
  // Says in a line what was done.
  void info(std::string_view text);
  // Records of commands that have no session: the start, and the end without a failure.
  void started();
  void succeeded();

  // Errors are annotations of a workflow on GitHub as well (base/workflow.h): `workspace` is what
  // names of files are relative to.
  void annotate(std::string workspace);

  // From now on somebody else writes the JSON log too (a renderer with --style json): only what
  // that can't know, the error, is added, at the end.
  void shared() { shared_ = true; }
  const std::string& json_log() const { return json_log_; }

 private:
  void message(std::string_view level, std::string_view text);
  void say(std::string_view level, std::string_view text) const;
  void append(std::string_view line);

  std::string verb_;
  std::string directory_;
  std::string json_log_;
  UniqueFd file_;
  bool shared_ = false;
  bool annotates_ = false;
  std::string workspace_;
};

}  // namespace sluice::cli
