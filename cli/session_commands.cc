// `session ...`: starting sessions that outlive their command, and being a client of one that
// another command started.
#include <algorithm>
#include <csignal>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/try.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/listening.h"
#include "cli/load.h"
#include "cli/own_session.h"
#include "cli/past_show.h"
#include "cli/renderers.h"
#include "cli/sessions.h"
#include "cli/terminal.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/record_reader.h"

namespace sluice::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStatusTimeout = milliseconds(500);
// How long a terminal that accepts nothing is waited for.
constexpr Duration kScreenDeadline = seconds(5);
constexpr Duration kDetachDeadline = seconds(2);
// How many of the records that have gone by are shown above the status area: BuildStream's lines
// show nearly each of them, the calm ones few.
constexpr std::uint64_t kLookBack = 20, kCalmLookBack = 200;

// A command that shows a session. On a terminal it asks about elements that fail, like the command
// that builds; the first answer wins.
class Attachment {
 public:
  Attachment(Invocation& invocation, RendererStyle style)
      : invocation_(invocation), style_(std::move(style)),
        terminal_(reactor_, invocation, style_,
                  style_.draws() && invocation.interactive && ::isatty(0) == 1,
                  {[this](std::string_view name, std::string arguments, auto on_reply) {
                     if (control_)
                       control_->request("scheduler", name, std::move(arguments), kCommandTimeout,
                                         on_reply);
                   },
                   [this] { start(); }, [this] { kill(); }, [this] { reactor_.stop(); },
                   [this] {
                     if (!terminal_.in_front()) detach();
                   },
                   [this](int) { detach(); }, [] { return false; }}) {}

  int run(const SessionInfo& session) {
    if (auto begun = begin(session); !begun) return failed(invocation_, begun.error());
    reactor_.run();
    if (error_) return failed(invocation_, *error_);
    if (detached_ || terminal_.main_shown()) return kSuccess;
    if (const auto dead = find_session(session.paths.id);
        dead && !dead->alive && dead->state == "active") {
      return failed(
          invocation_,
          {"session",
           "vanished",
           fmt::format(
               "Session {0} ended unexpectedly; `sluice session resume {0}` takes it up again",
               session.paths.id),
           {},
           {}});
    }
    return kFailure;
  }

 private:
  Status begin(const SessionInfo& session) {
    const bool draws = style_.draws();
    arguments_ = arguments_in_style(invocation_, session, style_);
    CHECK(terminal_.take_signals());
    std::uint64_t from = 1;
    if (draws) {
      const std::uint64_t cursor = TRY(end_cursor(session.paths));
      const std::uint64_t back = style_.name == "calm" ? kCalmLookBack : kLookBack;
      if (cursor > back) from = cursor - back;
      arguments_.insert(arguments_.end(), {"--from", std::to_string(from)});
    }
    if (terminal_.asks()) return connect(session, from);
    terminal_.show();
    return {};
  }

  // Connects to the session, to know of prompts and to answer them.
  Status connect(const SessionInfo& session, std::uint64_t from) {
    if (terminal_.asks_alone()) arguments_.emplace_back("--until-prompt");
    context_ = std::make_unique<wire::Context>();
    control_ =
        TRY(wire::ControlClient::create(*context_, reactor_, session.paths.address("control"),
                                        client_hello(wire::kControlProtocol)));
    wire::RecordReader::Settings settings;
    settings.endpoint = session.paths.address("records");
    settings.wait_for(session.paths);
    settings.hello = client_hello(wire::kRecordsProtocol);
    settings.cursor = from;
    reader_ = TRY(wire::RecordReader::create(
        *context_, reactor_, std::move(settings),
        [this](std::string_view packed) { record(packed); }, [this](bool) { session_is_over(); }));
    // The status tells of prompts that were opened before what is shown.
    control_->request("scheduler", "status", "", kStatusTimeout, [this](const wire::Reply& reply) {
      if (over_ || detached_) return;
      const auto status = wire::decode_event(reply.result.bytes);
      terminal_.show_or_ask(reply.status == "done" && status ? &*status : nullptr);
    });
    return {};
  }

  void record(std::string_view packed) {
    if (!terminal_.concerns(packed)) return;
    if (const auto event = wire::decode_event(packed)) terminal_.record(*event);
  }

  void start() {
    const auto cursor = [this] { return reader_ ? reader_->next_cursor() : std::uint64_t{1}; };
    if (auto started = terminal_.start(arguments_, cursor); !started) {
      error_ = started.error();
      reactor_.stop();
    }
  }

  void kill() {
    control_->request("scheduler", "kill", "", kCommandTimeout, [](const wire::Reply&) {});
  }

  void session_is_over() {
    over_ = true;
    terminal_.show_rest(kScreenDeadline, true);
  }

  void detach() {
    if (std::exchange(detached_, true)) return terminal_.kill_renderers();
    terminal_.cut_short(kDetachDeadline);
  }

  Invocation& invocation_;
  const RendererStyle style_;
  wire::Reactor reactor_;
  Terminal terminal_;
  std::vector<std::string> arguments_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<wire::ControlClient> control_;
  std::unique_ptr<wire::RecordReader> reader_;
  std::optional<Error> error_;
  bool detached_ = false;
  bool over_ = false;  // the session
};

}  // namespace

int run_session_attach(Invocation& invocation, const SessionAttachCommand& command) {
  if (!command.id.empty() && !command.id.ends_with(".json")) {
    const auto ended = find_session(command.id);
    if (ended && !ended->alive) return show_ended(invocation, *ended, command.style);
  }
  auto style = style_named(invocation, command.style);
  if (!style) return failed(invocation, style.error());
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  return Attachment(invocation, std::move(*style)).run(*session);
}

// Prints the id of a session that belongs to nobody's command.
int run_session_start(Invocation& invocation, const SessionStartCommand& command) {
  wire::Reactor reactor;
  std::optional<Error> error;
  std::unique_ptr<OwnSession> session;
  OwnSession::Callbacks callbacks;
  callbacks.on_ready = [&] { session->detach(); };
  callbacks.on_failed = [&](std::string_view why) {
    error = Error{"session", "failed", std::string(why), {}, {}};
  };
  callbacks.on_gone = [&] {
    if (!error)
      error =
          Error{"session",
                "vanished",
                fmt::format("The session ended unexpectedly: sluice-session {}", session->how()),
                {},
                {}};
    reactor.stop();
  };
  callbacks.on_detached = [&] { reactor.stop(); };
  auto started =
      OwnSession::start(reactor, load_arguments(invocation.global).what.directory, "session",
                        std::move(callbacks), {}, preparation(invocation, command.listen));
  if (!started) return failed(invocation, started.error());
  session = std::move(*started);
  if (!session->paths().note.empty()) invocation.report.warning(session->paths().note);
  reactor.run();
  if (error) return failed(invocation, *error);
  if (!command.listen.given.empty()) {
    if (auto said = say_join_files(invocation, session->paths(), command.listen); !said)
      return failed(invocation, said.error());
  }
  if (auto written = write_all(1, session->paths().id + "\n"); !written)
    return failed(invocation, written.error());
  return kSuccess;
}

int run_session_control(Invocation& invocation, const SessionControlCommand& command) {
  if (command.verb == "resume" && !command.id.empty()) {
    if (auto dead = find_session(command.id); dead && !dead->alive && dead->state == "active") {
      return resume_session(invocation, command.id, dead->project, dead->verb);
    }
  }
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  std::string arguments;
  if (command.verb == "retry") arguments = wire::encode(wire::RetryArguments{command.element});
  if (command.verb == "answer")
    arguments = wire::encode(wire::AnswerArguments{command.prompt, command.choice});
  if (command.verb == "builders")
    arguments = wire::encode(wire::LimitsArguments{command.number, {}});
  if (command.verb == "fetchers")
    arguments = wire::encode(wire::LimitsArguments{{}, command.number});
  const std::string name = command.verb == "stop" ? "end"
                           : command.verb == "builders" || command.verb == "fetchers"
                               ? "limits"
                               : command.verb;
  auto reply = ask_done(*session, "scheduler", name, arguments, command.verb);
  if (!reply) return failed(invocation, reply.error());
  return kSuccess;
}

int run_session_revoke(Invocation& invocation, const SessionRevokeCommand& command) {
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  auto reply = ask_done(*session, "broker", "revoke",
                        wire::encode(wire::RevokeArguments{command.name}), "session revoke");
  if (!reply) return failed(invocation, reply.error());
  return kSuccess;
}

}  // namespace sluice::cli
