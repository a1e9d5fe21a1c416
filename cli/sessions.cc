#include "cli/sessions.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/try.h"
#include "cli/place.h"
#include "wire/follow.h"
#include "wire/hello.h"

namespace sluice::cli {

namespace {

template <typename T>
void take(const nlohmann::json& from, const char* key, T& into) {
  const auto found = from.find(key);
  if (found == from.end()) return;
  if constexpr (std::is_integral_v<T>) {
    if (found->is_number_integer()) into = found->get<T>();
  } else {
    if (found->is_string()) into = found->get<T>();
  }
}

void take_course(const nlohmann::json& description, SessionInfo& info) {
  const auto found = description.find("course");
  if (found == description.end() || !found->is_object()) return;
  SessionCourse& course = info.course.emplace();
  take(*found, "outcome", course.outcome);
  take(*found, "ended", course.ended);
  take(*found, "duration", course.duration);
  const auto targets = found->find("targets");
  if (targets == found->end() || !targets->is_array()) return;
  for (const auto& target : *targets) {
    if (target.is_string()) course.targets.push_back(target.get<std::string>());
  }
}

bool read_session(const std::string& id, SessionInfo& info) {
  auto paths = wire::SessionPaths::of(id);
  if (!paths) return false;
  info.paths = std::move(*paths);
  const auto text = read_file(info.paths.state + "/session.json");
  if (!text) return false;
  const auto description = parse_json(*text);
  if (!description.is_object()) return false;
  take(description, "project", info.project);
  take(description, "verb", info.verb);
  take(description, "started", info.started);
  take(description, "pid", info.pid);
  take(description, "state", info.state);
  info.alive = info.paths.lives();
  if (!info.alive) take_course(description, info);
  return true;
}

}  // namespace

std::vector<SessionInfo> list_sessions() {
  std::vector<SessionInfo> sessions;
  for (const auto& id : wire::list_session_ids()) {
    SessionInfo info;
    if (read_session(id, info)) sessions.push_back(std::move(info));
  }
  return sessions;
}

Result<SessionInfo> choose_session(const std::string& id, const std::string& directory) {
  if (!id.empty()) {
    auto info = find_session(id);
    if (info && !info->alive)
      return fail("session", "session-ended", fmt::format("Session '{}' has ended", id));
    return info;
  }
  const std::string project = find_project(directory);
  const SessionInfo* chosen = nullptr;
  const auto sessions = list_sessions();
  for (const auto& info : sessions) {
    if (!info.alive) continue;
    const bool here = !project.empty() && find_project(info.project) == project;
    const bool chosen_here =
        chosen != nullptr && !project.empty() && find_project(chosen->project) == project;
    if (chosen == nullptr || here || !chosen_here) chosen = &info;
  }
  if (chosen == nullptr) return fail("session", "no-session", "There is no session at present");
  return *chosen;
}

Result<SessionInfo> find_session(const std::string& id) {
  SessionInfo info;
  if (!read_session(id, info))
    return fail("session", "no-session", fmt::format("There is no session '{}'", id));
  return info;
}

wire::Hello client_hello(std::string_view protocol) {
  return {std::string(protocol), SLUICE_VERSION, "client", fmt::format("cli-{}", ::getpid())};
}

Result<std::uint64_t> end_cursor(const wire::SessionPaths& paths) {
  return wire::end_cursor(paths, client_hello(wire::kRecordsProtocol));
}

}  // namespace sluice::cli
