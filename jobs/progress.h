// What running jobs do now, for whoever looks at the session: the step that runs and the last line
// of the output. Nothing is read, and nothing said, while nobody looks. spec/jobs.md, "Watching".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/job_messages.h"

namespace sluice::jobs {

// The steps of a job that have begun and not ended, the innermost last, by its messages' levels and
// texts.
class Steps {
 public:
  void note(std::string_view level, const std::string& text);
  std::string current() const { return open_.empty() ? std::string() : open_.back(); }

 private:
  std::vector<std::string> open_;
};

// The last line of a log in which a build says something (a letter or digit, and no message of the
// job's own), without what would steer a terminal, of at most kMostLine bytes; of a command that a
// shell traces, the command; what a program has written over (by a carriage return) is left out. ""
// when there is none in the log's last 4 KiB, or no log.
std::string last_line(const std::string& path);

// Knows what was said of each job, so that only news are said. One thread.
class ProgressTeller {
 public:
  // True when something is to be watched now.
  bool watch(const wire::Watch& watch);
  bool watching() const { return watch_.steps || watch_.lines; }
  // What is new of these jobs; none: nothing is. Jobs that aren't among them are forgotten.
  struct Job {
    wire::JobId id;
    std::string step;
    std::string log_path;
  };
  std::optional<wire::Progress> news(const std::vector<Job>& jobs);

 private:
  wire::Watch watch_;
  std::map<wire::JobId, wire::JobProgress> said_;
};

}  // namespace sluice::jobs
