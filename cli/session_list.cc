// `session list`: what session.json says of each session; of one that its supervisor could write
// nothing about at its end, and of those that live, what their log says.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/history_text.h"
#include "cli/place.h"
#include "history/outline.h"
#include "wire/events.h"

namespace sluice::cli {

namespace {

constexpr Duration kStatusTimeout = std::chrono::milliseconds(500);
constexpr std::size_t kTargetColumns = 40;
constexpr std::int64_t kSecond = 1'000'000'000;

struct Row {
  SessionInfo session;
  std::string state;
  SessionCourse course;
};

// What the scheduler says, since session.json doesn't know of a suspension.
void ask_living(Row& row) {
  auto reply = ask(row.session, "scheduler", "status", kStatusTimeout);
  if (!reply || reply->status != "done") return;
  const auto event = wire::decode_event(reply->result.bytes);
  if (!event || !event->session) return;
  row.state = event->session->state;
  row.course.duration = event->session->elapsed;
}

Row row_of(const SessionInfo& session) {
  Row row{session, session.state, {}};
  if (!session.alive && session.state == "active") row.state = "dead";
  if (session.course) {
    row.course = *session.course;
  } else if (auto found = history::outline(session.paths, !session.alive)) {
    row.course = {found->outcome, found->targets, found->ended, found->duration};
  }
  if (session.alive) {
    row.course.ended = 0;
    ask_living(row);
  }
  return row;
}

bool is_of_project(const SessionInfo& session, const std::string& project) {
  const std::string directory = find_project(session.project);
  const std::string& own = directory.empty() ? session.project : directory;
  return own == project || own.substr(own.find_last_of('/') + 1) == project;
}

bool is_wanted(const Row& row, const SessionListCommand& command) {
  if (!command.states.empty() &&
      std::find(command.states.begin(), command.states.end(), row.state) == command.states.end())
    return false;
  return !command.failed || (!row.course.outcome.empty() && row.course.outcome != "success");
}

std::string table_of(const std::vector<Row>& rows) {
  if (rows.empty()) return {};
  std::vector<std::array<std::string, 9>> lines{
      {"ID", "STATE", "OUTCOME", "VERB", "PID", "STARTED", "DURATION", "TARGETS", "PROJECT"}};
  for (const Row& row : rows) {
    const SessionInfo& session = row.session;
    const std::string targets = fmt::format("{}", fmt::join(row.course.targets, " "));
    lines.push_back({session.paths.id, row.state,
                     row.course.outcome.empty() ? "-" : row.course.outcome, session.verb,
                     session.alive ? std::to_string(session.pid) : "-", local_date(session.started),
                     short_duration(row.course.duration),
                     targets.empty() ? "-" : truncate(targets, kTargetColumns), session.project});
  }
  return table(lines);
}

std::string json_of(const std::vector<Row>& rows) {
  using nlohmann::ordered_json;
  const auto moment = [](std::int64_t when) {
    return when == 0 ? ordered_json() : ordered_json(static_cast<double>(when) / kSecond);
  };
  ordered_json all = ordered_json::array();
  for (const Row& row : rows) {
    const SessionInfo& session = row.session;
    all.push_back({{"id", session.paths.id},
                   {"state", row.state},
                   {"outcome",
                    row.course.outcome.empty() ? ordered_json() : ordered_json(row.course.outcome)},
                   {"verb", session.verb},
                   {"pid", session.alive ? ordered_json(session.pid) : ordered_json()},
                   {"started", moment(session.started)},
                   {"ended", moment(row.course.ended)},
                   {"duration", static_cast<double>(row.course.duration) / kSecond},
                   {"targets", row.course.targets},
                   {"project", session.project}});
  }
  return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

int run_session_list(Invocation& invocation, const SessionListCommand& command) {
  std::string project = command.project;
  if (command.here || !project.empty()) {
    const std::string directory = load_arguments(invocation.global).what.directory;
    const std::string named = command.here               ? directory
                              : project.starts_with('/') ? project
                              : project.find('/') != std::string::npos || project == "."
                                  ? directory + "/" + project
                                  : "";
    if (!named.empty()) {
      project = find_project(named);
      if (project.empty())
        return failed(
            invocation,
            {"session", "no-project", fmt::format("There is no project in {}", named), {}, {}});
    }
  }
  const std::int64_t since =
      command.since_s == 0 ? 0 : system_clock().wall_ns() - command.since_s * kSecond;
  std::vector<Row> rows;
  auto sessions = list_sessions();
  // From the newest on, so that no more are looked at than are wanted.
  for (auto session = sessions.rbegin(); session != sessions.rend(); ++session) {
    if (command.last != 0 && rows.size() == command.last) break;
    if (session->started < since) continue;
    if (!project.empty() && !is_of_project(*session, project)) continue;
    Row row = row_of(*session);
    if (is_wanted(row, command)) rows.push_back(std::move(row));
  }
  std::reverse(rows.begin(), rows.end());
  if (auto written = print(command.json ? json_of(rows) : table_of(rows)); !written)
    return failed(invocation, written.error());
  return kSuccess;
}

}  // namespace sluice::cli
