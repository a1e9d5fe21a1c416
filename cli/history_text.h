// What has been in a session, as text for people and as JSON: what `session what-ran`,
// `what-failed` and `summary` print. Made of a history alone (history/history.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "history/history.h"

namespace sluice::cli {

// "0.25s", "12.3s", "2m 05s", "1h 02m": the shorter, the more exact. Nanoseconds.
std::string short_duration(std::int64_t nanoseconds);
// "2026-11-30 13:19:41" in the machine's time zone; "-" for 0. Nanoseconds since 1970.
std::string local_date(std::int64_t nanoseconds);

// Which attempts are listed, and in which order.
struct JobFilter {
  std::vector<std::string> actions;   // of these; empty: all
  std::vector<std::string> elements;  // full names, or patterns of them; empty: all
  std::uint32_t run = 0;              // 0: of all runs
  // start: as they have started; else the largest first (element: by name): duration, element,
  // cpu, memory
  std::string sort = "start";
};
inline constexpr std::string_view kJobOrders[] = {"start", "duration", "element", "cpu", "memory"};
std::vector<std::size_t> choose_jobs(const history::History& history, const JobFilter& filter);

// A table with a heading; "" when there is nothing to list.
std::string what_ran_text(const history::History& history, const std::vector<std::size_t>& jobs);
std::string what_ran_json(const history::History& history, const std::vector<std::size_t>& jobs);

// An element that has failed in a session and wasn't done since, with what is to be shown of it.
struct ShownFailure {
  std::size_t run = history::kNone;
  std::size_t element = history::kNone;
  std::size_t job = history::kNone;
  std::uint32_t attempts = 1;
  std::string log_tail;  // the last lines of its log
};
// Those of all runs. The end of a log is what the record has, `lines` of it, and where that has
// none what the file has, if it is here.
std::vector<ShownFailure> shown_failures(const history::History& history, std::uint32_t lines);
// What belongs to no element (a project that can't be loaded) comes behind. "" when nothing failed.
std::string what_failed_text(const history::History& history,
                             const std::vector<ShownFailure>& failures);
std::string what_failed_json(const history::History& history,
                             const std::vector<ShownFailure>& failures);

// `run`: an index into History::runs; history::kNone: there was none.
std::string summary_text(const history::History& history, std::size_t run,
                         const std::vector<ShownFailure>& failures);
std::string summary_json(const history::History& history, std::size_t run,
                         const std::vector<ShownFailure>& failures);

}  // namespace sluice::cli
