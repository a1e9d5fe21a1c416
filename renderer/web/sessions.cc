#include "renderer/web/sessions.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/try.h"

namespace sluice::renderer {

std::string sessions_json() {
  nlohmann::json list = nlohmann::json::array();
  auto ids = wire::list_session_ids();
  std::sort(ids.rbegin(), ids.rend());
  for (const std::string& id : ids) {
    const auto paths = wire::SessionPaths::of(id);
    if (!paths) continue;
    const auto text = read_file(paths->state + "/session.json");
    const auto described = nlohmann::json::parse(text ? *text : "", nullptr, false);
    if (!described.is_object()) continue;
    const bool alive = paths->lives();
    const std::string state = described.value("state", "");
    list.push_back({{"id", id},
                    {"project", described.value("project", "")},
                    {"verb", described.value("verb", "")},
                    {"started", described.value("started", std::int64_t{0})},
                    // One that says it is active and isn't alive was killed.
                    {"state", !alive && state == "active" ? "dead" : state},
                    {"alive", alive}});
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<wire::SessionPaths> known_session(const std::string& id) {
  if (wire::is_session_id(id)) {
    auto paths = TRY(wire::SessionPaths::of(id));
    if (path_exists(paths.record_log()) || path_exists(paths.state + "/session.json")) return paths;
  }
  return fail("app", "no-session", fmt::format("There is no session '{}'", id));
}

}  // namespace sluice::renderer
