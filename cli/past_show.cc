#include "cli/past_show.h"

#include <csignal>
#include <optional>

#include <unistd.h>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/history_text.h"
#include "cli/past.h"
#include "cli/renderers.h"
#include "cli/replay_keys.h"
#include "history/outline.h"

namespace sluice::cli {

namespace {

// What became of the showing.
enum class Shown { kAll, kInterrupted, kNot };
constexpr Duration kStopDeadline = std::chrono::milliseconds(500);

// `keys_at`: somebody sits at the terminal, and the replay goes that fast as it begins.
Result<Shown> show(std::vector<std::string> arguments, std::optional<double> keys_at = {}) {
  wire::Reactor reactor;
  bool interrupted = false;
  Renderers renderers(reactor, [&] { reactor.stop(); });
  const auto enough = [&] {
    interrupted = true;
    renderers.cut_short();
  };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) CHECK(reactor.on_signal(signal, enough));
  std::optional<ReplayKeys> keys;
  if (keys_at) {
    keys.emplace(reactor, renderers, *keys_at, enough);
    CHECK(reactor.on_signal(SIGTSTP, [&] {
      keys->off();
      renderers.signal_all(SIGTSTP);
      renderers.wait_stopped(kStopDeadline);
      ::kill(::getpid(), SIGSTOP);
      renderers.signal_all(SIGCONT);
      keys->on();
    }));
  }
  CHECK(renderers.start(std::move(arguments), true));
  if (keys) keys->on();
  reactor.run();
  if (interrupted) return Shown::kInterrupted;
  return renderers.main_shown() ? Shown::kAll : Shown::kNot;
}

}  // namespace

Result<RendererStyle> style_named(const Invocation& invocation, const std::string& name) {
  RendererStyle style = invocation.style;
  if (name == "json") {
    if (style.quiet) return fail("app", "usage", "--quiet: --style json has every record");
    style.name = name;
    return style;
  }
  if (name.empty()) return style;
  GlobalOptions global = invocation.global;
  global.style = name;
  return chosen_style(global, invocation.interactive, invocation.colors);
}

std::vector<std::string> arguments_in_style(const Invocation& invocation,
                                            const SessionInfo& session,
                                            const RendererStyle& style) {
  if (style.name == "json") return {"--session", session.paths.handle(), "--style", "json"};
  std::vector<std::string> out =
      renderer_arguments(session.paths.handle(), style, invocation.global, nullptr);
  // A log belongs to the standard output when it is all that there is.
  if (!style.draws()) out.insert(out.end(), {"--output", "-"});
  return out;
}

int show_ended(Invocation& invocation, const SessionInfo& session, const std::string& style) {
  auto named = style_named(invocation, style);
  if (!named) return failed(invocation, named.error());
  auto shown = show(arguments_in_style(invocation, session, *named));
  if (!shown) return failed(invocation, shown.error());
  if (*shown == Shown::kInterrupted) return kSuccess;
  if (session.state == "active") {
    return failed(
        invocation,
        {"session",
         "vanished",
         fmt::format(
             "Session {0} ended unexpectedly; `sluice session resume {0}` takes it up again",
             session.paths.id),
         {},
         {}});
  }
  const auto outline = history::outline(session.paths, true);
  return *shown == Shown::kAll && outline && outline->outcome == "success" ? kSuccess : kFailure;
}

int run_session_replay(Invocation& invocation, const SessionReplayCommand& command) {
  auto session = past_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  if (session->place) {
    return failed(invocation, {"session",
                               "elsewhere",
                               "Only a session of this machine can be replayed: records of others "
                               "are shown by `session attach`",
                               {},
                               {}});
  }
  if (!command.skip_to.empty()) {
    const auto history = read_history(*session);
    if (!history) return failed(invocation, history.error());
    if (choose_jobs(*history, {.elements = {command.skip_to}}).empty()) {
      return failed(invocation, {"session",
                                 "no-job",
                                 fmt::format("Session {} has started no job of '{}'",
                                             session->paths.id, command.skip_to),
                                 {},
                                 {}});
    }
  }
  auto style = style_named(invocation, command.style);
  if (!style) return failed(invocation, style.error());
  auto arguments = arguments_in_style(invocation, *session, *style);
  arguments.insert(arguments.end(), {"--replay", "--speed", command.speed});
  const auto add = [&](const char* option, std::uint32_t seconds) {
    if (seconds != 0) arguments.insert(arguments.end(), {option, std::to_string(seconds)});
  };
  add("--max-pause", command.max_pause_s);
  add("--skip", command.skip_s);
  if (!command.skip_to.empty()) arguments.insert(arguments.end(), {"--skip-to", command.skip_to});
  const bool keys = style->draws() && invocation.interactive && ::isatty(0) == 1;
  auto shown = show(
      std::move(arguments),
      keys ? std::optional(command.speed == "max" ? 0 : std::stod(command.speed)) : std::nullopt);
  if (!shown) return failed(invocation, shown.error());
  return *shown == Shown::kNot ? kFailure : kSuccess;
}

}  // namespace sluice::cli
