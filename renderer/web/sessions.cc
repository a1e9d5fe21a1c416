#include "renderer/web/sessions.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/try.h"

namespace sluice::renderer {

namespace {
constexpr std::size_t kTargets = 10;

// What a file says that others may have damaged: "" where it says something else than a text.
std::string text_of(const nlohmann::json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const nlohmann::json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace

std::string SessionList::json() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, history::Outline> kept;
  nlohmann::json list = nlohmann::json::array();
  auto ids = wire::list_session_ids();
  std::sort(ids.rbegin(), ids.rend());
  for (const std::string& id : ids) {
    const auto paths = wire::SessionPaths::of(id);
    if (!paths) continue;
    const auto text = read_file(paths->state + "/session.json");
    const auto described = parse_json(text ? *text : "");
    if (!described.is_object()) continue;
    const bool alive = paths->lives();
    const std::string state = text_of(described, "state");
    nlohmann::json one = {{"id", id},
                          {"project", text_of(described, "project")},
                          {"verb", text_of(described, "verb")},
                          {"started", number_of(described, "started")},
                          // One that says it is active and isn't alive was killed.
                          {"state", !alive && state == "active" ? "dead" : state},
                          {"alive", alive}};
    if (list.size() < kOutlines) {
      const std::string name = id + (alive ? " lives" : "");
      const auto at = known_.find(name);
      auto outline = at != known_.end() ? Result<history::Outline>(at->second)
                                        : history::outline(*paths, !alive);
      if (outline) {
        auto& targets = outline->targets;
        if (targets.size() > kTargets) targets.resize(kTargets);
        if (!alive) one["outcome"] = outline->outcome;
        if (!alive) one["ms"] = outline->duration / 1'000'000;
        one["targets"] = targets;
        // One that lives may have had no work yet.
        if (!alive || !targets.empty()) kept.emplace(name, std::move(*outline));
      }
    }
    list.push_back(std::move(one));
  }
  known_ = std::move(kept);
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
