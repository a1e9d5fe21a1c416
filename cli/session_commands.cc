// `session ...`: starting sessions that outlive their command, and being a client of one that
// another command started.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "cli/commands.h"
#include "cli/terminal_keys.h"
#include "cli/load.h"
#include "cli/own_session.h"
#include "cli/prompts.h"
#include "cli/renderers.h"
#include "cli/sessions.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/record_reader.h"

namespace sluice::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStatusTimeout = milliseconds(500);
constexpr Duration kCommandTimeout = seconds(15);
// For a terminal that accepts nothing.
constexpr Duration kScreenDeadline = seconds(5);
// How much of what has gone by is shown above the status area.
constexpr std::uint64_t kLookBack = 20;

// One request and its answer.
Result<wire::Reply> ask(const SessionInfo& session, std::string_view command, Duration timeout, const std::string& arguments = {}) {
  wire::Context context;
  wire::Reactor reactor;
  auto client = wire::ControlClient::create(context, reactor, session.paths.endpoint("control"), client_hello("control/1"));
  if (!client) return forward(client);
  std::optional<wire::Reply> answer;
  (*client)->request("scheduler", command, arguments, timeout, [&](const wire::Reply& reply) {
    answer = reply;
    reactor.stop();
  });
  reactor.run();
  client->reset();
  return std::move(*answer);
}

std::string date(std::int64_t nanoseconds) {
  const std::time_t when = nanoseconds / 1'000'000'000;
  std::tm parts{};
  ::localtime_r(&when, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

// What the scheduler says, since session.json doesn't know of a suspension.
std::string state_of(const SessionInfo& session) {
  if (!session.alive) return session.state == "active" ? "dead" : session.state;
  auto reply = ask(session, "status", kStatusTimeout);
  if (!reply || reply->status != "done") return session.state;
  const auto event = wire::decode_event(reply->result.bytes);
  return event && event->session ? event->session->state : session.state;
}

// On a terminal it asks about elements that fail, like the command that builds; the first answer wins.
class Attachment {
 public:
  explicit Attachment(Invocation& invocation)
      : invocation_(invocation), screens_(reactor_, [this] { reactor_.stop(); }),
        prompts_(reactor_, invocation, {[this] { keys_.hide(); screens_.pause_main(); }, [this] { show(); },
                                        [this](std::string_view name, std::string arguments, auto on_reply) {
                                          control_->request("scheduler", name, std::move(arguments), kCommandTimeout, on_reply);
                                        },
                                        [] {}}),
        keys_(reactor_, {[this](std::string_view name, std::string arguments, auto on_reply) {
                           control_->request("scheduler", name, std::move(arguments), kCommandTimeout, on_reply);
                         },
                         [this](const std::string& rows) { screens_.hint(rows); },
                         [this] { control_->request("scheduler", "kill", "", kCommandTimeout, [](const wire::Reply&) {}); }}) {
    screens_.on_paused([this](bool at_prompt) {
      keys_.hide();
      prompts_.paused(at_prompt);
    });
  }

  int run(const SessionInfo& session, const std::string& style) {
    const bool tty = style.empty() ? invocation_.interactive : style == "tty";
    if (style == "json") {
      arguments_ = {"--session", session.paths.id, "--style", "json"};
    } else {
      arguments_ = renderer_arguments(session.paths.id, {tty, invocation_.colors}, invocation_.global, nullptr);
      // A log belongs to the standard output when it is all that there is.
      if (!tty) arguments_.insert(arguments_.end(), {"--output", "-"});
    }
    for (const int signal : {SIGTERM, SIGHUP}) {
      const auto leave = [this] {
        prompts_.hang_up();
        detach();
      };
      if (auto taken = reactor_.on_signal(signal, leave); !taken) return failed(invocation_, taken.error());
    }
    const auto interrupt = [this] {
      if (!prompts_.in_front()) detach();
    };
    if (auto taken = reactor_.on_signal(SIGINT, interrupt); !taken) return failed(invocation_, taken.error());
    if (auto taken = reactor_.on_signal(SIGTSTP, [this] { stop_here(); }); !taken) return failed(invocation_, taken.error());
    if (auto taken = reactor_.on_signal(SIGCONT, [this] { keys_.continued(); }); !taken) return failed(invocation_, taken.error());
    std::uint64_t from = 1;
    if (tty) {
      auto cursor = end_cursor(session.paths);
      if (!cursor) return failed(invocation_, cursor.error());
      if (*cursor > kLookBack) from = *cursor - kLookBack;
      arguments_.insert(arguments_.end(), {"--from", std::to_string(from)});
    }
    if (tty && invocation_.interactive && ::isatty(0) == 1) {
      if (auto asking = ask(session, from); !asking) return failed(invocation_, asking.error());
    } else {
      show();
    }
    reactor_.run();
    if (error_) return failed(invocation_, *error_);
    if (detached_ || screens_.main_shown()) return kSuccess;
    if (const auto dead = find_session(session.paths.id); dead && !dead->alive && dead->state == "active") {
      return failed(invocation_, {"session", "vanished", fmt::format("Session {0} ended unexpectedly; `sluice session resume {0}` takes it up again", session.paths.id), {}, {}});
    }
    return kFailure;
  }

 private:
  Status ask(const SessionInfo& session, std::uint64_t from) {
    arguments_.emplace_back("--until-prompt");
    context_ = std::make_unique<wire::Context>();
    auto control = wire::ControlClient::create(*context_, reactor_, session.paths.endpoint("control"), client_hello("control/1"));
    if (!control) return forward(control);
    control_ = std::move(*control);
    wire::RecordReader::Settings settings;
    settings.endpoint = session.paths.endpoint("records");
    settings.session = session.paths;
    settings.hello = client_hello("records/1");
    settings.cursor = from;
    auto reader = wire::RecordReader::create(*context_, reactor_, std::move(settings), [this](std::string_view packed) { record(packed); },
                                             [this](bool) { show_rest(); });
    if (!reader) return forward(reader);
    reader_ = std::move(*reader);
    // Of prompts that were opened before what is shown.
    control_->request("scheduler", "status", "", kStatusTimeout, [this](const wire::Reply& reply) {
      if (over_ || detached_) return;
      const auto status = wire::decode_event(reply.result.bytes);
      if (reply.status == "done" && status && status->session) keys_.session_is(status->session->state);
      if (reply.status != "done" || !status || !status->prompts || !prompts_.ask_first(*status->prompts)) show();
    });
    return {};
  }

  // The session has ended: nothing is asked any more, what is in front of us is waited for.
  void show_rest() {
    over_ = true;
    keys_.hide();
    prompts_.leave([this] {
      if (detached_) return;
      show();
      screens_.expect_end(kScreenDeadline);
    });
  }

  void record(std::string_view packed) {
    const auto names = [&](std::string_view text) { return packed.find(text) != std::string_view::npos; };
    const bool of_session = names("session.suspended") || names("session.resumed");
    if (!of_session && !names("prompt.") && !(names("job.finished") && names("failure"))) return;
    const auto event = wire::decode_event(packed);
    if (event && event->session && event->type.starts_with("session.")) keys_.session_is(event->session->state);
    if (event && event->type == "job.finished" && event->level == "failure" && event->element) keys_.failed(event->element->name);
    if (!event || !event->prompt) return;
    if (event->type == "prompt.opened") prompts_.opened(*event->prompt);
    if (event->type == "prompt.closed") prompts_.closed(*event->prompt);
  }

  void show() {
    if (std::exchange(shown_, true)) {
      screens_.resume_main();
      return take_keys();
    }
    if (auto started = screens_.start(arguments_, true, [this] { return reader_ ? reader_->next_cursor() : std::uint64_t{1}; }); !started) {
      error_ = started.error();
      return reactor_.stop();
    }
    take_keys();
  }

  void take_keys() {
    const char* term = std::getenv("TERM");
    if (control_ && !detached_ && !over_ && term != nullptr && *term != '\0' && std::string_view(term) != "dumb") keys_.show();
  }

  void detach() {
    keys_.hide();
    if (detached_) return screens_.signal_all(SIGKILL);
    detached_ = true;
    prompts_.leave([this] {
      screens_.cut_short();
      screens_.expect_end(seconds(2));
    });
  }
  void stop_here() {
    const bool keys = keys_.shown();
    keys_.hide();
    screens_.signal_all(SIGTSTP);
    screens_.wait_stopped(milliseconds(500));
    ::kill(::getpid(), SIGSTOP);
    screens_.signal_all(SIGCONT);
    prompts_.continued();
    if (keys) keys_.show();
  }

  Invocation& invocation_;
  wire::Reactor reactor_;
  std::vector<std::string> arguments_;
  Renderers screens_;
  Prompts prompts_;
  TerminalKeys keys_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<wire::ControlClient> control_;
  std::unique_ptr<wire::RecordReader> reader_;
  std::optional<Error> error_;
  bool shown_ = false;
  bool detached_ = false;
  bool over_ = false;  // the session
};

Result<SessionInfo> chosen(const Invocation& invocation, const std::string& id) {
  return choose_session(id, load_arguments(invocation.global).directory);
}

Error refusal(const wire::Reply& reply, const std::string& verb) {
  if (reply.error) return reply.error->to_error();
  if (reply.status == "unknown") {
    return {"session", "unknown", fmt::format("No answer to '{}' in time: it may have been carried out", verb), {}, {}};
  }
  return {"session", "refused", fmt::format("'{}' was refused", verb), {}, {}};
}

}  // namespace

int run_session_list(Invocation& invocation, const SessionListCommand&) {
  const auto sessions = list_sessions();
  if (sessions.empty()) return kSuccess;
  std::vector<std::array<std::string, 6>> rows{{"ID", "STATE", "VERB", "PID", "STARTED", "PROJECT"}};
  for (const auto& session : sessions) {
    rows.push_back({session.paths.id, state_of(session), session.verb, session.alive ? std::to_string(session.pid) : "-",
                    date(session.started), session.project});
  }
  std::array<std::size_t, 5> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row.back() + "\n";
  }
  if (auto written = print(text); !written) return failed(invocation, written.error());
  return kSuccess;
}

int run_session_attach(Invocation& invocation, const SessionAttachCommand& command) {
  auto session = chosen(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  return Attachment(invocation).run(*session, command.style);
}

// Prints the id of a session that belongs to nobody's command.
int run_session_start(Invocation& invocation) {
  wire::Reactor reactor;
  std::optional<Error> error;
  std::unique_ptr<OwnSession> session;
  OwnSession::Callbacks callbacks;
  callbacks.on_ready = [&] { session->detach(); };
  callbacks.on_failed = [&](std::string_view why) { error = Error{"session", "failed", std::string(why), {}, {}}; };
  callbacks.on_gone = [&] {
    if (!error) error = Error{"session", "vanished", fmt::format("The session ended unexpectedly: sluice-session {}", session->how()), {}, {}};
    reactor.stop();
  };
  callbacks.on_detached = [&] { reactor.stop(); };
  auto started = OwnSession::start(reactor, load_arguments(invocation.global).directory, "session", std::move(callbacks));
  if (!started) return failed(invocation, started.error());
  session = std::move(*started);
  if (!session->paths().note.empty()) invocation.report.warning(session->paths().note);
  reactor.run();
  if (error) return failed(invocation, *error);
  if (auto written = write_all(1, session->paths().id + "\n"); !written) return failed(invocation, written.error());
  return kSuccess;
}

int run_session_control(Invocation& invocation, const SessionControlCommand& command) {
  if (command.verb == "resume" && !command.id.empty()) {
    if (auto dead = find_session(command.id); dead && !dead->alive && dead->state == "active") {
      return resume_session(invocation, command.id, dead->project, dead->verb);
    }
  }
  auto session = chosen(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  std::string arguments;
  if (command.verb == "retry") arguments = wire::encode(wire::RetryArguments{command.element});
  if (command.verb == "answer") arguments = wire::encode(wire::AnswerArguments{command.prompt, command.choice});
  if (command.verb == "builders") arguments = wire::encode(wire::LimitsArguments{command.number, {}});
  if (command.verb == "fetchers") arguments = wire::encode(wire::LimitsArguments{{}, command.number});
  const std::string name = command.verb == "stop" ? "end" : command.verb == "builders" || command.verb == "fetchers" ? "limits" : command.verb;
  auto reply = ask(*session, name, kCommandTimeout, arguments);
  if (!reply) return failed(invocation, reply.error());
  if (reply->status != "done" && reply->status != "accepted") return failed(invocation, refusal(*reply, command.verb));
  return kSuccess;
}

}  // namespace sluice::cli
