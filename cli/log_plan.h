// Where the log of an element is: what `log` decides, in `sluice` for jobs and in `sluice-artifact`
// for what no job has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/sessions.h"
#include "history/history.h"

namespace sluice::cli {

struct LogPlan {
  std::optional<SessionInfo> session;  // that is looked at; none: there is none of the project
  struct Element {
    std::string name;
    std::optional<history::Job> job;  // whose log is shown
    bool follows = false;             // the session lives, and the job runs or is waited for
    std::string gone;  // the log's file, where a job has ended whose log isn't there any more
  };
  std::vector<Element> elements;  // as they were named, each once

  // Names of those that have a log in no session.
  std::vector<std::string> without_job() const;
};

// Looks at the session that was named, or else the newest of the project that lives, or has been;
// outside of projects at the newest of all. Errors: of a session that was named, and of its log.
Result<LogPlan> plan_logs(const Invocation& invocation, const ElementLogCommand& command);

// What stands before each line of an element's log: "" with one element, else its name, as wide as
// the widest.
std::string log_prefix(const ElementLogCommand& command, const std::string& name);

}  // namespace sluice::cli
