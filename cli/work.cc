// Whatever works on elements (work.h): a session of its own, one load, one run, renderers, and
// everything gone at the end. With --session in one that is there already and stays; `session
// resume` of a dead one has no load and takes the run that it was in.
//
//   Starting -> Loading -> Choosing -> Asking -> Running -> Finishing -> Ending
//                  ^                                |
//                  +------------- Between <---------+      anywhere -> Ending, by way of Failing
//
// Starting: the supervisor makes its sockets. Loading: until the loader answers. Choosing: which of
// the caches on other machines answer. Asking: until the scheduler has accepted the run. Running:
// until the record run.finished. Finishing: the renderers show the last records. Ending: the
// session ends in order. Between: a run has got what the load lacked, and what showed it is ending.
// Failing: the loader or the scheduler has refused; nothing runs, and the record of why is awaited.
// An error or a signal goes to Ending.
#include "cli/work.h"

#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"
#include "cli/check_json.h"
#include "cli/commands.h"
#include "cli/disk_room.h"
#include "cli/last_builds.h"
#include "cli/listening.h"
#include "cli/load.h"
#include "cli/own_session.h"
#include "cli/remotes.h"
#include "cli/renderers.h"
#include "cli/run_plan.h"
#include "cli/sessions.h"
#include "cli/terminal.h"
#include "cli/workspaces_file.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/hello.h"
#include "wire/record_reader.h"

namespace sluice::cli {

namespace {

using model::Action;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A first load of a large project enters its local sources into the store; and what is between us
// and who answers may be stopped for long. Who waits has Ctrl-C.
constexpr Duration kAnswerTimeout = std::chrono::hours(1);
constexpr Duration kControlTimeout = seconds(10);
constexpr Duration kBusy = seconds(1);
// A load that takes longer is watched: the renderers start before its answer.
constexpr Duration kQuietLoad = milliseconds(250);
// How long a terminal that accepts nothing is waited for, or a renderer that is stopped.
constexpr Duration kScreenDeadline = seconds(5);
constexpr Duration kLogDeadline = seconds(2);
// How long the renderers have, after an interrupt, for what they have yet to show.
constexpr Duration kLastLook = seconds(1);
// How long a record is waited for that was said to be on its way.
constexpr Duration kRecordDeadline = seconds(30);
// How long the session's end may take; the supervisor's own deadlines sum up to less.
constexpr Duration kEndDeadline = seconds(40);

// What every phase has of its own goes with it; std::get_if on the phase says where we are.

struct Starting {
  // A dead session, whose run goes on instead of a load and a run.
  struct Dead {
    std::string id, project, verb;
  };
  std::optional<Dead> dead;
};
struct Loading {};
struct Choosing {
  RunPlan plan;
  std::unique_ptr<RemoteCheck> check;
};
struct Asking {
  model::Settings settings;
  bool fetching = false;
  std::string arguments;  // packed wire::RunArguments
  bool waiting = false;   // for another command's run
  std::optional<wire::Reactor::TimerId> retry;
  // the end of a run, perhaps ours: it may be read before its acceptance
  std::optional<wire::Event> finished;
};
struct Running {
  std::optional<model::Settings> settings;  // none of a dead session's
  bool fetching = false;
  // of a dead session it is known when its scheduler has answered
  std::optional<std::uint32_t> run;
  std::optional<wire::Event> finished;
};
struct Between {};
struct Failing {};
struct Finishing {
  std::optional<model::Settings> settings;
};
struct Ending {};

using Phase =
    std::variant<Starting, Loading, Choosing, Asking, Running, Between, Failing, Finishing, Ending>;

class WorkRun {
 public:
  WorkRun(Invocation& invocation, Work work, std::optional<Starting::Dead> dead = {})
      : invocation_(invocation), work_(std::move(work)),
        terminal_(
            reactor_, invocation_, invocation.style,
            invocation.interactive && ::isatty(0) == 1 && !work_.detach,
            {[this](std::string_view name, std::string arguments, auto on_reply) {
               if (control_)
                 control_->request("scheduler", name, std::move(arguments), kControlTimeout,
                                   on_reply);
             },
             [this] { start_screens(known_settings()); }, [this] { terminate_run(); },
             [this] { screens_gone(); }, [this] { interrupt(); },
             [this](int signal) { signal == SIGHUP ? give_up(terminated()) : terminate_run(); },
             [this] { return in<Running>() != nullptr; }}),
        logs_(reactor_, [this] { logs_gone(); }), phase_(Starting{std::move(dead)}),
        doing_(work_.verb) {}

  int run() {
    if (auto started = start(); !started) return failed(invocation_, started.error());
    reactor_.run();
    // With the renderers gone the terminal is ours.
    if (error_) {
      if ((error_told_ || (error_published_ && error_recorded_)) && terminal_.main_shown()) {
        invocation_.report.record_error(*error_);
      } else {
        invocation_.report.error(*error_);
      }
    }
    return work_.json ? print_checked() : status_;
  }

 private:
  // What the records say: of a run that has begun.
  int print_checked() {
    if (!session_) return status_;
    const auto history = history::read(session_->paths());
    if (!history) return failed(invocation_, history.error());
    for (const history::Run& run : history->runs) {
      if (run.number != next_run_) continue;
      if (auto written = print(check_json(*history, run)); !written)
        return failed(invocation_, written.error());
    }
    return status_;
  }

  template <typename P>
  P* in() {
    return std::get_if<P>(&phase_);
  }

  bool builds() const { return work_.verb == Action::kBuild; }
  // As with BuildStream: who has said what to do about errors isn't asked.
  bool prompts() const { return terminal_.asks() && !invocation_.global.overrides.on_error; }

  // ---- Starting

  Status start() {
    // Signals are blocked before the first socket is made, whose threads inherit that.
    CHECK(terminal_.take_signals());
    load_ = TRY(load_for(work_, invocation_.global));
    OwnSession::Callbacks callbacks{[this] { ready(); },
                                    [this](std::string_view why) { session_failed(why); },
                                    [this] { session_gone(); }, [this] { detached(); }};
    if (!work_.session.empty()) {
      const SessionInfo chosen = TRY(choose_session(work_.session, load_.what.directory));
      first_record_ = TRY(end_cursor(chosen.paths));
      session_ = OwnSession::join(reactor_, chosen.paths, std::move(callbacks));
      return {};
    }
    const auto& dead = std::get<Starting>(phase_).dead;
    session_ = dead ? TRY(OwnSession::start(reactor_, dead->project, dead->verb,
                                            std::move(callbacks), dead->id))
                    : TRY(OwnSession::start(reactor_, load_.what.directory,
                                            std::string(text_of(work_.verb)), std::move(callbacks),
                                            {}, preparation(invocation_, work_.listen)));
    if (const std::string& note = session_->paths().note; !note.empty())
      invocation_.report.warning(note);
    return {};
  }

  void ready() {
    if (!in<Starting>()) return;
    if (!work_.listen.given.empty() && !session_->joined()) {
      if (auto said = say_join_files(invocation_, session_->paths(), work_.listen); !said)
        return session_failed(said.error().str());
    }
    const auto dead = std::move(in<Starting>()->dead);
    if (builds()) find_workspaces(dead ? dead->project : "");
    if (dead) {
      auto cursor = end_cursor(session_->paths());
      if (!cursor) return give_up(cursor.error());
      first_record_ = *cursor;
    }
    if (auto connected = connect(); !connected) return give_up(connected.error());
    if (dead) {
      phase_ = Running{};
      start_json_log();
      control_->request("scheduler", "status", "", kAnswerTimeout,
                        [this](const wire::Reply& reply) { recovered(reply); });
      return;
    }
    if (!session_->joined()) start_json_log();
    load();
    if (work_.only_subprojects || session_->joined() || work_.detach) return;
    reactor_.after(kQuietLoad, [this] {
      if (in<Loading>() || in<Choosing>() || in<Asking>()) start_screens(nullptr);
    });
  }

  Status connect() {
    const auto& paths = session_->paths();
    context_ = std::make_unique<wire::Context>();
    control_ = TRY(wire::ControlClient::create(*context_, reactor_, paths.address("control"),
                                               client_hello(wire::kControlProtocol)));
    wire::RecordReader::Settings settings;
    settings.endpoint = paths.address("records");
    settings.session = paths;
    settings.cursor = first_record_;
    settings.hello = client_hello(wire::kRecordsProtocol);
    reader_ = TRY(wire::RecordReader::create(
        *context_, reactor_, std::move(settings),
        [this](std::string_view packed) { record(packed); },
        [this](bool gone) {
          if (gone) records_lost();
        }));
    return {};
  }

  // Finds the project whose workspaces are to know of what is built.
  void find_workspaces(std::string project) {
    if (project.empty()) {
      auto here = whereabouts(invocation_, "");
      if (here) project = here->project;
    }
    last_builds_.begin(project);
  }

  // ---- Loading

  void load() {
    phase_ = Loading{};
    auto file = snapshot_file();
    if (!file) return give_up(file.error());
    load_.wanted.snapshot_file = *file;
    control_->request("loader", "load", wire::encode(load_), kAnswerTimeout,
                      [this](const wire::Reply& reply) { loaded(reply); });
  }

  // The snapshot's file. In a session of its own a run's snapshot has its number; in another's the
  // file must be nobody else's.
  Result<std::string> snapshot_file() const {
    std::uint32_t number = next_run_;
    if (!session_->joined()) return session_->paths().snapshot(number);
    for (;; ++number) {
      const std::string path = session_->paths().snapshot(number);
      const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (fd) return path;
      if (errno != EEXIST) return fail_errno(errno, path);
    }
  }

  void loaded(const wire::Reply& reply) {
    if (!in<Loading>()) return;
    auto result = decode_reply<wire::LoadResult>(reply, "load");
    if (!result) return give_up(result.error());
    if (result->error) return fail_as_told(result->error->to_error(), nullptr);
    auto plan = plan_run(work_, load_, *result, prompts());
    if (!plan) return give_up(plan.error());
    doing_ = plan->fetching ? Action::kFetch : work_.verb;
    load_.what.artifacts_tried = load_.what.artifacts_tried || plan->run.verb == Action::kPull;
    if (work_.only_subprojects && !plan->fetching) return succeed();
    if (!session_->joined() && !work_.detach) start_screens(&plan->settings);
    find_remotes(std::move(*plan));
  }

  // ---- Choosing: which of the caches on other machines answer

  void find_remotes(RunPlan plan) {
    if (in<Ending>()) return;
    const std::string cachedir = plan.settings.cachedir;
    auto servers = all_servers(plan.run.remotes);
    auto& choosing = phase_.emplace<Choosing>(Choosing{std::move(plan), nullptr});
    if (choosing.plan.run.remotes.empty()) return remotes_found();
    auto check = RemoteCheck::start(reactor_, cachedir, std::move(servers),
                                    [this](Result<RemoteCheck::Found> found) {
                                      Choosing* choosing = in<Choosing>();
                                      if (choosing == nullptr) return;
                                      if (!found) return give_up(found.error());
                                      keep_reached(choosing->plan.run.remotes, found->reached);
                                      choosing->plan.run.warnings = std::move(found->warnings);
                                      remotes_found();
                                    });
    if (!check) return give_up(check.error());
    choosing.check = std::move(*check);
  }

  void remotes_found() {
    RunPlan plan = std::move(in<Choosing>()->plan);
    const std::string lacks = lacks_remotes(plan.run, work_.if_possible);
    if (lacks.empty() ? plan.nothing_matched : work_.if_possible) return succeed();
    if (!lacks.empty())
      return give_up({"stream", "", lacks, fmt::to_string(fmt::join(plan.run.warnings, "\n")), {}});
    phase_ = Asking{std::move(plan.settings), plan.fetching, wire::encode(plan.run), false, {}, {}};
    request_run();
  }

  // ---- Asking

  void request_run() {
    Asking* asking = in<Asking>();
    if (asking == nullptr) return;
    asking->retry.reset();
    if (session_->joined()) first_record_ = reader_->next_cursor();
    control_->request("scheduler", "run", asking->arguments, kAnswerTimeout,
                      [this](const wire::Reply& answer) { accepted(answer); });
  }

  void accepted(const wire::Reply& reply) {
    if (!in<Asking>()) return;
    auto result = decode_reply<wire::RunAccepted>(reply, "run");
    if (!result && session_->joined() && result.error().reason == "busy")
      return wait_for_session(result.error());
    Asking asked = std::move(*in<Asking>());
    if (!result) return fail_as_told(result.error(), &asked.settings);
    phase_ = Running{asked.settings, asked.fetching, result->run, std::move(asked.finished)};
    if (work_.detach && !asked.fetching) {
      status_ = kSuccess;
      return session_->joined() ? end() : session_->detach();
    }
    if (session_->joined() && !work_.detach) {
      next_run_ = result->run;
      start_json_log();
      start_screens(&asked.settings);
    }
    run_finished();
  }

  // Another command's run is under way: waits for its end.
  void wait_for_session(const Error& busy) {
    Asking* asking = in<Asking>();
    if (!std::exchange(asking->waiting, true))
      (void)write_all(2, fmt::format("{}: waiting for it\n", busy.message));
    asking->retry = reactor_.after(kBusy, [this] { request_run(); });
  }

  template <typename T>
  Result<T> decode_reply(const wire::Reply& reply, std::string_view what) {
    if (reply.status == "unknown") {
      return fail("session", "no-answer",
                  fmt::format("No answer to '{}' in time; the session's logs are in {}/logs", what,
                              session_->paths().state));
    }
    if (reply.status == "refused") {
      return reply.error ? tl::unexpected<Error>(reply.error->to_error())
                         : fail("session", "refused", fmt::format("'{}' was refused", what));
    }
    return wire::decode<T>(reply.result.bytes);
  }

  // ---- Running

  // What the next processes of a dead session have found.
  void recovered(const wire::Reply& reply) {
    if (!in<Running>()) return;
    const auto status = wire::decode_event(reply.result.bytes);
    if (reply.status != "done" || !status)
      return give_up({"session", "no-answer", "The session's scheduler does not answer", {}, {}});
    if (status->run) {
      in<Running>()->run = next_run_ = status->run->number;
      terminal_.show_or_ask(&*status);
      return run_finished();
    }
    // Little was left to do, or nothing: then no record comes.
    if (take_finished_run()) return;
    reactor_.after(kBusy, [this] {
      if (!in<Running>() || in<Running>()->run || take_finished_run()) return;
      (void)write_all(2, fmt::format("Session {} was in no run\n", session_->paths().id));
      succeed();
    });
  }
  bool take_finished_run() {
    Running* running = in<Running>();
    if (!running->finished) return false;
    running->run = running->finished->run->number;
    run_finished();
    return true;
  }

  void record(std::string_view packed) {
    // Most records don't concern this command, and aren't worth decoding.
    const auto names = [&](std::string_view text) {
      return packed.find(text) != std::string_view::npos;
    };
    const bool of_workspace = last_builds_.wanted() && names("job.finished");
    if (!names("run.finished") &&
        !names("type\xa5"
               "error") &&
        !of_workspace && !terminal_.concerns(packed))
      return;
    auto event = wire::decode_event(packed);
    if (!event) return;
    terminal_.record(*event);
    last_builds_.record(*event);
    if (event->type == "error" && !event->element && event->error) {
      error_seen_ = true;
      // Errors of the stream stand in no lines.
      error_recorded_ = error_recorded_ || event->error->domain != "stream";
      if (in<Failing>()) end();
    }
    if (event->type != "run.finished" || !event->run) return;
    if (Asking* asking = in<Asking>()) {
      if (asking->retry) {
        reactor_.cancel(*asking->retry);
        return request_run();
      }
      asking->finished = std::move(*event);
    } else if (Running* running = in<Running>()) {
      running->finished = std::move(*event);
      run_finished();
    }
  }

  // When the end that was read is that of our run.
  void run_finished() {
    Running* running = in<Running>();
    if (running == nullptr || !running->finished || running->run != running->finished->run->number)
      return;
    const wire::Event finished = std::move(*running->finished);
    const bool success = finished.outcome == "success" && interrupts_ == 0;
    if (success && running->fetching) {
      ++next_run_;
      first_record_ = reader_->next_cursor();
      phase_ = Between{};
      return terminal_.expect_end(screen_deadline());
    }
    if (success) {
      status_ = kSuccess;
    } else if (!error_) {
      error_ = run_error(finished);
      // The run's summary, which is on the screen, has told the error.
      error_told_ = true;
    }
    if (auto noted = last_builds_.save(); !noted && !error_) {
      error_ = noted.error();
      status_ = kFailure;
    }
    phase_ = Finishing{std::move(running->settings)};
    terminal_.show_rest(screen_deadline(), true);
  }

  // "The build", "The fetch": of the run that is or was under way.
  std::string what() const {
    return fmt::format("The {}",
                       text_of(work_.check && doing_ == Action::kBuild ? Action::kCheck : doing_));
  }

  Error run_error(const wire::Event& event) const {
    Error error;
    error.domain = "stream";
    error.reason = event.outcome == "terminated" ? "terminated" : "";
    error.message = what() + (event.outcome == "terminated" ? " was terminated"
                              : event.outcome == "quit"     ? " was ended early"
                                                            : " failed");
    if (event.failures) {
      for (const auto& failure : *event.failures)
        error.detail += failure.element.name + ": " + failure.text + "\n";
    }
    return error;
  }

  Error terminated() const { return {"stream", "terminated", what() + " was terminated", {}, {}}; }

  // ---- The end

  // A pipe's reader takes his time; a terminal that takes nothing may never do.
  static std::optional<Duration> screen_deadline() {
    return ::isatty(2) == 1 ? std::optional<Duration>(kScreenDeadline) : std::nullopt;
  }
  // The records of a session that was joined may never end.
  std::optional<Duration> last_deadline() const {
    return session_->joined() ? std::optional<Duration>(kScreenDeadline) : std::nullopt;
  }

  void succeed() {
    status_ = kSuccess;
    end();
  }
  void end() {
    phase_ = Ending{};
    terminal_.stop_asking();
    session_->end();
    reactor_.after(kEndDeadline, [this] { session_->end_at_once(); });
    reactor_.after(kEndDeadline + seconds(5), [this] { session_->kill(); });
  }
  void give_up(Error error) {
    if (!error_) error_ = std::move(error);
    if (in<Ending>()) return;
    if (session_->gone()) {
      phase_ = Ending{};
      session_gone();
    } else {
      end();
    }
  }
  // Why nothing is run is in a record, and shown like all of them before the session ends.
  void fail_as_told(Error error, const model::Settings* settings) {
    if (error_) return give_up(std::move(error));
    if (!session_->joined() && !work_.detach) start_screens(settings);
    error_published_ = !terminal_.none();
    if (!error_published_ || error_seen_ || in<Ending>()) return give_up(std::move(error));
    error_ = std::move(error);
    phase_ = Failing{};
    reactor_.after(kRecordDeadline, [this] {
      if (in<Failing>()) end();
    });
  }
  // Somebody has said that the session outlives this command.
  void detached() {
    phase_ = Ending{};
    status_ = kSuccess;
    error_.reset();
    terminal_.cut_short(kLogDeadline, [this] {
      logs_.cut_short();
      (void)write_all(2, fmt::format("\nSession {} goes on by itself\n", session_->paths().id));
    });
  }
  void screens_gone() {
    if (in<Between>()) {
      terminal_.begin_anew();
      return load();
    }
    if (in<Finishing>()) end();
    if (in<Ending>() && session_->gone()) logs_.expect_end(last_deadline());
  }
  // Called when the renderers of files have ended, perhaps before those of screens.
  void logs_gone() {
    if (in<Ending>() && session_->gone() && terminal_.none() && !terminal_.in_front())
      reactor_.stop();
  }
  // The records are lost, without which we would wait for a run's end for ever.
  void records_lost() {
    const std::string& state = session_->paths().state;
    give_up({"session",
             "records-lost",
             fmt::format("The session's records can't be read any more; its logs are in {}/logs{}",
                         state, no_room_hint(state)),
             {},
             {}});
  }
  void session_failed(std::string_view why) {
    // The cause of what was said last, if that was said at all.
    if (!error_ || error_published_) error_ = Error{"session", "failed", std::string(why), {}, {}};
    error_told_ = error_published_ = false;
  }
  void session_gone() {
    if (!in<Ending>() && !error_) {
      error_ = Error{
          "session",
          "vanished",
          fmt::format("The session ended unexpectedly: sluice-session {}; its logs are in {}/logs",
                      session_->how(), session_->paths().state),
          {},
          {}};
      status_ = kFailure;
    }
    phase_ = Ending{};
    reader_.reset();
    control_.reset();
    terminal_.show_rest(session_->joined() ? last_deadline() : screen_deadline(), false);
  }

  // ---- Renderers

  // The settings that a renderer which starts now may be told.
  const model::Settings* known_settings() {
    const auto given = [](const std::optional<model::Settings>& settings) {
      return settings ? &*settings : nullptr;
    };
    if (const Running* running = in<Running>()) return given(running->settings);
    if (const Finishing* finishing = in<Finishing>()) return given(finishing->settings);
    return nullptr;
  }

  void start_screens(const model::Settings* settings) {
    if (terminal_.begun()) return;
    auto arguments =
        renderer_arguments(session_->paths().id, invocation_.style, invocation_.global, settings);
    const auto until = [this](std::vector<std::string>& arguments) {
      arguments.insert(arguments.end(), {"--until-run", std::to_string(next_run_)});
      if (first_record_ > 1)
        arguments.insert(arguments.end(), {"--from", std::to_string(first_record_)});
    };
    std::vector<std::string> log;
    if (!invocation_.global.log_file.empty()) {
      log = renderer_arguments(session_->paths().id, {}, invocation_.global, settings);
      log.insert(log.end(), {"--output", invocation_.global.log_file});
      if (first_record_ > 1) log.push_back("--append");
      until(log);
    }
    until(arguments);
    if (prompts() && terminal_.asks_alone()) arguments.emplace_back("--until-prompt");
    const auto cursor = [this] { return reader_ ? reader_->next_cursor() : std::uint64_t{1}; };
    if (auto started = terminal_.start(std::move(arguments), cursor); !started)
      return give_up(started.error());
    if (log.empty()) return;
    if (auto started = terminal_.start_beside(std::move(log)); !started) give_up(started.error());
  }

  void start_json_log() {
    const std::string& file = invocation_.report.json_log();
    if (file.empty()) return;
    invocation_.report.shared();
    std::vector<std::string> arguments{"--session", session_->paths().id, "--json-log", file,
                                       "--append"};
    if (first_record_ > 1)
      arguments.insert(arguments.end(), {"--from", std::to_string(first_record_)});
    if (session_->joined())
      arguments.insert(arguments.end(), {"--until-run", std::to_string(next_run_)});
    auto started = logs_.start(std::move(arguments), false);
    if (!started) give_up(started.error());
  }

  // ---- Signals

  void interrupt() {
    const Running* running = in<Running>();
    if (terminal_.asks() && running != nullptr && interrupts_ == 0 && !running->fetching)
      return terminal_.ask_after_interrupt();
    terminate_run();
  }

  void terminate_run() {
    ++interrupts_;
    if (interrupts_ > 3) return session_->kill();
    if (interrupts_ > 2) return session_->end_at_once();
    if (interrupts_ > 1) return session_->terminate();
    if (in<Running>()) {
      error_ = terminated();
      error_told_ = true;
      // What it says is the record run.finished; without an answer the session's end does it.
      control_->request("scheduler", "kill", "", kControlTimeout, [this](const wire::Reply& reply) {
        if (reply.status != "done" && reply.status != "accepted" && in<Running>()) end();
      });
    } else if (in<Finishing>() || in<Ending>()) {
      // Whoever reads what the renderers write takes long.
      reactor_.after(kLastLook, [this] {
        terminal_.hurry();
        logs_.cut_short();
      });
    } else {
      give_up(terminated());
    }
  }

  Invocation& invocation_;
  const Work work_;
  wire::Reactor reactor_;
  Terminal terminal_;
  Renderers logs_;
  std::unique_ptr<OwnSession> session_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<wire::ControlClient> control_;
  std::unique_ptr<wire::RecordReader> reader_;
  Phase phase_;
  wire::LoadArguments load_;
  LastBuilds last_builds_;
  Action doing_;  // as errors name it
  std::uint32_t next_run_ = 1;
  std::uint64_t first_record_ = 1;  // that isn't shown yet when renderers start
  std::optional<Error> error_;
  bool error_told_ = false;       // a renderer that shows everything shows it as well
  bool error_published_ = false;  // ... when there is a record of it; a full disk has room for none
  bool error_seen_ = false;       // an error of no job is among the records
  bool error_recorded_ = false;   // ... that stands among the renderers' lines
  unsigned interrupts_ = 0;
  int status_ = kFailure;
};

}  // namespace

int run_work(Invocation& invocation, Work work) {
  // The run's reactor reads signals, which it blocks; what the caller does afterwards ends by them
  // again.
  sigset_t before;
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  const int status = WorkRun(invocation, std::move(work)).run();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return status;
}

int resume_session(Invocation& invocation, const std::string& id, const std::string& project,
                   const std::string& verb) {
  Work work;
  // A session that was started for several commands has no such verb: what works on it is a build.
  work.verb = model::named<Action>(verb).value_or(Action::kBuild);
  return WorkRun(invocation, std::move(work), Starting::Dead{id, project, verb}).run();
}

std::optional<LoadedProject> load_with_subprojects(Invocation& invocation,
                                                   const wire::LoadArguments& arguments) {
  auto loaded = load_once(arguments);
  if (!loaded && loaded.error().reason == "subproject-fetch-needed") {
    Work work;
    work.targets = arguments.what.targets;
    work.except = arguments.what.except;
    work.only_subprojects = true;
    if (run_work(invocation, std::move(work)) != kSuccess) return std::nullopt;
    loaded = load_once(arguments);
  }
  if (loaded) return std::move(*loaded);
  (void)failed(invocation, loaded.error());
  return std::nullopt;
}

}  // namespace sluice::cli
