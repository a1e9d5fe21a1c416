// `session what-ran`, `what-failed` and `summary`.
#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/history_text.h"
#include "cli/past.h"

namespace sluice::cli {

namespace {

Result<history::History> history_of(const Invocation& invocation, const std::string& id) {
  const SessionInfo session = TRY(past_session(invocation, id));
  history::History history = TRY(read_history(session));
  if (const std::uint64_t bad = history.malformed; bad > 0) {
    invocation.report.warning(fmt::format(
        "{} of the {} records of session {} can't be read: what they say is missing here", bad,
        history.records, session.paths.id));
  }
  return history;
}

// Of a run that the user has named.
Result<std::size_t> find_run(const history::History& history, std::uint32_t number) {
  if (number == 0) return history.runs.empty() ? history::kNone : history.runs.size() - 1;
  const auto found = std::find_if(history.runs.begin(), history.runs.end(),
                                  [&](const history::Run& run) { return run.number == number; });
  if (found == history.runs.end())
    return fail("session", "no-run",
                fmt::format("Session {} has no run {}: it has had {}", history.session, number,
                            history.runs.size()));
  return static_cast<std::size_t>(found - history.runs.begin());
}

int shown(Invocation& invocation, const std::string& text) {
  if (auto written = print(text); !written) return failed(invocation, written.error());
  return kSuccess;
}

}  // namespace

int run_session_what_ran(Invocation& invocation, const SessionWhatRanCommand& command) {
  const auto history = history_of(invocation, command.id);
  if (!history) return failed(invocation, history.error());
  if (auto run = find_run(*history, command.run); !run) return failed(invocation, run.error());
  const auto jobs =
      choose_jobs(*history, {command.actions, command.elements, command.run, command.sort});
  if (command.json) return shown(invocation, what_ran_json(*history, jobs));
  if (jobs.empty()) {
    invocation.report.info(fmt::format("No such job has run in session {}", history->session));
    return kSuccess;
  }
  return shown(invocation, what_ran_text(*history, jobs));
}

int run_session_what_failed(Invocation& invocation, const SessionWhatFailedCommand& command) {
  const auto history = history_of(invocation, command.id);
  if (!history) return failed(invocation, history.error());
  const auto failures = shown_failures(*history, command.lines);
  if (command.json) return shown(invocation, what_failed_json(*history, failures));
  const std::string text = what_failed_text(*history, failures);
  if (text.empty()) {
    invocation.report.info(fmt::format("Nothing has failed in session {}", history->session));
    return kSuccess;
  }
  return shown(invocation, text);
}

int run_session_summary(Invocation& invocation, const SessionSummaryCommand& command) {
  const auto history = history_of(invocation, command.id);
  if (!history) return failed(invocation, history.error());
  const auto run = find_run(*history, command.run);
  if (!run) return failed(invocation, run.error());
  const auto failures = shown_failures(*history, 20);
  return shown(invocation, command.json ? summary_json(*history, *run, failures)
                                        : summary_text(*history, *run, failures));
}

}  // namespace sluice::cli
