#include "cli/sessions.h"

#include <csignal>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/try.h"
#include "cli/place.h"
#include "wire/hello.h"
#include "wire/link.h"
#include "wire/reactor.h"

namespace sluice::cli {

namespace {

constexpr unsigned kSayAfterBeats = 5;
constexpr Duration kLookForSignals = std::chrono::milliseconds(100);

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

bool read_session(const std::string& id, SessionInfo& info) {
  auto paths = wire::SessionPaths::of(id);
  if (!paths) return false;
  info.paths = std::move(*paths);
  const auto text = read_file(info.paths.state + "/session.json");
  if (!text) return false;
  const auto description = nlohmann::json::parse(*text, nullptr, false);
  if (!description.is_object()) return false;
  take(description, "project", info.project);
  take(description, "verb", info.verb);
  take(description, "started", info.started);
  take(description, "pid", info.pid);
  take(description, "state", info.state);
  info.alive = info.paths.lives();
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
  wire::Context context;
  wire::Reactor reactor;
  std::uint64_t cursor = 0;
  unsigned beats = 0;
  wire::Link::Callbacks callbacks;
  callbacks.on_welcome = [&](const wire::Welcome& welcome) {
    cursor = welcome.end_cursor;
    reactor.stop();
  };
  callbacks.on_message = [](std::string_view, std::string_view) {};
  callbacks.on_beat = [&](unsigned) {
    if (!paths.lives()) return reactor.stop();
    if (++beats == kSayAfterBeats)
      (void)write_all(2, fmt::format("Session {} doesn't answer: waiting for it\n", paths.id));
  };
  auto link = TRY(wire::Link::create(context, reactor, paths.address("records"),
                                     client_hello(wire::kRecordsProtocol), std::move(callbacks)));
  // Signals that the caller has blocked, to hear of them in a loop of its own.
  reactor.every(kLookForSignals, [&] {
    sigset_t pending;
    sigemptyset(&pending);
    (void)::sigpending(&pending);
    if (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
        sigismember(&pending, SIGHUP) == 1)
      reactor.stop();
  });
  reactor.run();
  link.reset();
  if (cursor == 0)
    return fail("session", "no-answer", fmt::format("No answer from session {}", paths.id));
  return cursor;
}

}  // namespace sluice::cli
