// `build`, `source fetch`...: a session of its own, one load, one run, renderers, and everything gone at the end. With --session
// in one that is there already and stays; `session resume` of a dead one has no load and takes the run that it was in.
//
//   starting -> loading -> running -> finishing -> ending -> stopped
//
// starting: the supervisor makes its sockets; loading: the loader answers; running: until
// the record run.finished; finishing: the renderers show the last records; ending: the
// session ends in order. An error or a signal goes to ending from anywhere; one that the loader or the scheduler has told
// by way of failing, until its record is there.
#include <cerrno>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <optional>
#include <utility>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/disk_room.h"
#include "cli/terminal_keys.h"
#include "cli/load.h"
#include "cli/own_session.h"
#include "cli/prompts.h"
#include "cli/remotes.h"
#include "cli/renderers.h"
#include "cli/sessions.h"
#include "cli/targets.h"
#include "cli/work.h"
#include "cli/workspaces_file.h"
#include "model/remotes.h"
#include "wire/control.h"
#include "wire/events.h"
#include "wire/record_reader.h"
#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

using model::Action;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A first load of a large project enters its local sources into the store; and what is between us and who answers may be
// stopped for long. Who waits has Ctrl-C.
constexpr Duration kAnswerTimeout = std::chrono::hours(1);
constexpr Duration kControlTimeout = seconds(10);
constexpr Duration kBusy = seconds(1);
// A load that takes longer is watched: the renderers start before its answer.
constexpr Duration kQuietLoad = milliseconds(250);
// For a terminal that accepts nothing, or a renderer that is stopped.
constexpr Duration kScreenDeadline = seconds(5);
constexpr Duration kLogDeadline = seconds(2);
// After an interrupt, for what the renderers have yet to show.
constexpr Duration kLastLook = seconds(1);
// For a record that was said to be on its way.
constexpr Duration kRecordDeadline = seconds(30);
// The supervisor's own deadlines sum up to less.
constexpr Duration kEndDeadline = seconds(40);

class BuildRun {
 public:
  BuildRun(Invocation& invocation, Work work)
      : invocation_(invocation), work_(std::move(work)),
        screens_(reactor_, [this] { screens_gone(); }),
        logs_(reactor_, [this] { logs_gone(); }),
        prompts_(reactor_, invocation_, {[this] { keys_.hide(); screens_.pause_main(); }, [this] { screens_started_ ? screen_back() : start_screens(nullptr); },
                                         [this](std::string_view name, std::string arguments, auto on_reply) {
                                           if (control_) control_->request("scheduler", name, std::move(arguments), kControlTimeout, on_reply);
                                         },
                                         [this] { terminate_run(); }}),
        keys_(reactor_, {[this](std::string_view name, std::string arguments, auto on_reply) {
                           if (control_) control_->request("scheduler", name, std::move(arguments), kControlTimeout, on_reply);
                         },
                         [this](const std::string& rows) { screens_.hint(rows); }, [this] { terminate_run(); }}),
        asks_(invocation.interactive && ::isatty(0) == 1 && !work_.detach) {
    screens_.on_paused([this](bool at_prompt) {
      keys_.hide();
      prompts_.paused(at_prompt);
    });
  }

  // A dead session's run to its end, instead of a load and a run.
  void resume(const std::string& id, const std::string& project, const std::string& verb) { dead_ = Dead{id, project, verb}; }

  int run() {
    if (auto started = start(); !started) return failed(invocation_, started.error());
    reactor_.run();
    // The renderers are gone: the terminal is ours.
    if (error_) {
      if ((error_told_ || (error_published_ && error_recorded_)) && screens_.main_shown()) {
        invocation_.report.record_error(*error_);
      } else {
        invocation_.report.error(*error_);
      }
    }
    return status_;
  }

 private:
  // kBetween: a run has got what the load lacked, and what showed it is ending. kFailing: nothing runs, and the record of why
  // is awaited.
  enum class Phase { kStarting, kLoading, kRunning, kBetween, kFailing, kFinishing, kEnding };

  Status start() {
    // Before the first socket: its threads inherit what is blocked.
    if (auto taken = reactor_.on_signal(SIGINT, [this] { interrupt(); }); !taken) return taken;
    const auto hang_up = [this] {
      prompts_.hang_up();
      terminate_run();
    };
    if (auto taken = reactor_.on_signal(SIGTERM, hang_up); !taken) return taken;
    if (auto taken = reactor_.on_signal(SIGCONT, [this] { keys_.continued(); }); !taken) return taken;
    const auto terminal_gone = [this] {
      prompts_.hang_up();
      give_up(terminated());
    };
    if (auto taken = reactor_.on_signal(SIGHUP, terminal_gone); !taken) return taken;
    if (auto taken = reactor_.on_signal(SIGTSTP, [this] { suspend(); }); !taken) return taken;
    arguments_ = load_arguments(invocation_.global);
    arguments_.targets = work_.targets;
    if (work_.verb == Action::kPull || work_.verb == Action::kPush) {
      auto targets = split_targets(work_.targets, work_.deps);
      if (!targets) return forward(targets);
      arguments_.targets = std::move(targets->elements);
      arguments_.artifacts = std::move(targets->artifacts);
      // What is pushed is here.
      arguments_.artifacts_tried = work_.verb == Action::kPush;
    }
    OwnSession::Callbacks callbacks{[this] { ready(); }, [this](std::string_view why) { session_failed(why); },
                                    [this] { session_gone(); }, [this] { detached(); }};
    if (!work_.session.empty()) {
      auto chosen = choose_session(work_.session, arguments_.directory);
      if (!chosen) return forward(chosen);
      auto cursor = end_cursor(chosen->paths);
      if (!cursor) return forward(cursor);
      first_record_ = *cursor;
      session_ = OwnSession::join(reactor_, chosen->paths, std::move(callbacks));
      return {};
    }
    auto session = dead_ ? OwnSession::start(reactor_, dead_->project, dead_->verb, std::move(callbacks), dead_->id)
                         : OwnSession::start(reactor_, arguments_.directory, std::string(text_of(work_.verb)), std::move(callbacks));
    if (!session) return forward(session);
    session_ = std::move(*session);
    if (const std::string& note = session_->paths().note; !note.empty()) invocation_.report.warning(note);
    return {};
  }

  void ready() {
    if (phase_ != Phase::kStarting) return;
    find_workspaces();
    if (dead_) {
      auto cursor = end_cursor(session_->paths());
      if (!cursor) return give_up(cursor.error());
      first_record_ = *cursor;
    }
    if (auto connected = connect(); !connected) return give_up(connected.error());
    if (dead_) {
      phase_ = Phase::kRunning;
      start_json_log();
      control_->request("scheduler", "status", "", kAnswerTimeout, [this](const wire::Reply& reply) { recovered(reply); });
      return;
    }
    arguments_.except = work_.except;
    arguments_.deps = builds() ? "all" : work_.deps;
    arguments_.import_sources = true;
    arguments_.builds = builds();
    arguments_.retry_failed = work_.retry_failed;
    arguments_.ignore_junctions = builds();
    arguments_.accept_needs = true;
    arguments_.key_inputs = builds();
    arguments_.track = work_.verb == Action::kTrack;
    arguments_.cross_junctions = work_.cross_junctions;
    arguments_.ignore_workspaces = work_.ignore_workspaces;
    if (!session_->joined()) start_json_log();
    load();
    if (work_.only_subprojects || session_->joined() || work_.detach) return;
    reactor_.after(kQuietLoad, [this] {
      if (phase_ == Phase::kLoading) start_screens(nullptr);
    });
  }

  void load() {
    phase_ = Phase::kLoading;
    auto file = snapshot_file();
    if (!file) return give_up(file.error());
    arguments_.snapshot_file = *file;
    control_->request("loader", "load", wire::encode(arguments_), kAnswerTimeout, [this](const wire::Reply& reply) { loaded(reply); });
  }

  // In a session of its own a run's snapshot has its number; in another's the file must be nobody else's.
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

  Status connect() {
    const auto& paths = session_->paths();
    context_ = std::make_unique<wire::Context>();
    auto control = wire::ControlClient::create(*context_, reactor_, paths.endpoint("control"), client_hello("control/1"));
    if (!control) return forward(control);
    control_ = std::move(*control);
    wire::RecordReader::Settings settings;
    settings.endpoint = paths.endpoint("records");
    settings.session = paths;
    settings.cursor = first_record_;
    settings.hello = client_hello("records/1");
    auto reader = wire::RecordReader::create(
        *context_, reactor_, std::move(settings), [this](std::string_view packed) { record(packed); },
        [this](bool gone) {
          if (gone) records_lost();
        });
    if (!reader) return forward(reader);
    reader_ = std::move(*reader);
    return {};
  }

  void loaded(const wire::Reply& reply) {
    if (phase_ != Phase::kLoading) return;
    auto result = decode_reply<wire::LoadResult>(reply, "load");
    if (!result) return give_up(result.error());
    if (result->error) return fail_as_told(result->error->to_error(), nullptr);
    auto settings = wire::unpack_settings(result->settings.bytes);
    if (!settings) return give_up(settings.error());
    fetching_ = !result->needs.empty();
    nothing_matched_ = !fetching_ && result->elements == 0 && !arguments_.artifacts.empty();
    const bool pulls_first = fetching_ && !result->needs.front().ends_with(".bst");
    arguments_.artifacts_tried = arguments_.artifacts_tried || pulls_first;
    if (work_.only_subprojects && !fetching_) {
      status_ = kSuccess;
      return end();
    }
    if (!session_->joined() && !work_.detach) start_screens(&*settings);
    settings_ = std::move(*settings);
    wire::RunArguments run;
    run.verb = pulls_first ? Action::kPull : fetching_ ? Action::kFetch : work_.verb;
    run.snapshot_file = result->snapshot_file;
    run.selection = result->selection;
    if (!fetching_) {
      if (builds()) run.deps = work_.deps.empty() ? settings_->build_dependencies : work_.deps;
      run.retry_failed = work_.retry_failed;
      // As with BuildStream: who has said what to do about errors isn't asked.
      run.prompt = asks_ && !invocation_.global.on_error;
    }
    if ((work_.verb == Action::kTrack || (builds() && !settings_->strict)) && !fetching_) {
      wire::LoadArguments again = arguments_;
      again.track = false;
      again.accept_needs = false;
      again.quiet = true;
      again.snapshot_file = result->snapshot_file + ".again";
      run.reload.bytes = wire::encode(again);
    }
    const bool moves_artifacts = run.verb == Action::kBuild || run.verb == Action::kPull || run.verb == Action::kPush;
    const bool moves_sources = run.verb == Action::kBuild || run.verb == Action::kFetch || run.verb == Action::kSourcePush;
    run.remotes = choose_remotes(result->servers, work_.remotes, moves_artifacts, moves_sources);
    find_remotes(std::move(run));
  }

  // Which of the caches on other machines answer.
  void find_remotes(wire::RunArguments run) {
    if (run.remotes.empty()) return remotes_found(std::move(run));
    auto servers = all_servers(run.remotes);
    auto check = RemoteCheck::start(reactor_, settings_->cachedir, std::move(servers), [this, run](Result<RemoteCheck::Found> found) mutable {
      if (phase_ != Phase::kLoading) return;
      if (!found) return give_up(found.error());
      keep_reached(run.remotes, found->reached);
      run.warnings = std::move(found->warnings);
      remotes_found(std::move(run));
    });
    if (!check) return give_up(check.error());
    remote_check_ = std::move(*check);
  }

  void remotes_found(wire::RunArguments run) {
    const auto any = [&](bool (*can)(const std::vector<model::Remote>&), std::vector<model::Remote> wire::ProjectRemotes::* of) {
      return std::any_of(run.remotes.begin(), run.remotes.end(), [&](const auto& remotes) { return can(remotes.*of); });
    };
    const char* lacks = nullptr;
    if (run.verb == Action::kPull && !any(model::can_pull, &wire::ProjectRemotes::artifacts)) lacks = "No artifact caches available for pulling artifacts";
    if (run.verb == Action::kPush && !any(model::can_push, &wire::ProjectRemotes::artifacts)) lacks = "No artifact caches available for pushing artifacts";
    if (run.verb == Action::kSourcePush && !any(model::can_push, &wire::ProjectRemotes::sources)) lacks = "No source caches available for pushing sources";
    if (lacks != nullptr && work_.if_possible) {
      status_ = kSuccess;
      return end();
    }
    if (lacks == nullptr && nothing_matched_) {
      status_ = kSuccess;
      return end();
    }
    if (lacks != nullptr) return give_up({"stream", "", lacks, fmt::to_string(fmt::join(run.warnings, "\n")), {}});
    run_arguments_ = wire::encode(run);
    request_run();
  }

  void request_run() {
    if (phase_ != Phase::kLoading) return;
    if (session_->joined()) first_record_ = reader_->next_cursor();
    control_->request("scheduler", "run", run_arguments_, kAnswerTimeout, [this](const wire::Reply& answer) { accepted(answer); });
  }

  void accepted(const wire::Reply& reply) {
    if (phase_ != Phase::kLoading) return;
    auto result = decode_reply<wire::RunAccepted>(reply, "run");
    if (!result && session_->joined() && result.error().reason == "busy") return wait_for_session(result.error());
    if (!result) return fail_as_told(result.error(), &*settings_);
    phase_ = Phase::kRunning;
    run_ = result->run;
    if (work_.detach && !fetching_) {
      status_ = kSuccess;
      return session_->joined() ? end() : session_->detach();
    }
    if (session_->joined() && !work_.detach) {
      next_run_ = run_;
      start_json_log();
      start_screens(&*settings_);
    }
    // Its end may have been read before its acceptance.
    if (finished_) run_finished();
  }

  // Another command's run is under way.
  void wait_for_session(const Error& busy) {
    if (!std::exchange(waiting_, true)) (void)write_all(2, fmt::format("{}: waiting for it\n", busy.message));
    retry_ = reactor_.after(kBusy, [this] {
      retry_.reset();
      request_run();
    });
  }

  // What the next processes of a dead session have found.
  void recovered(const wire::Reply& reply) {
    if (phase_ != Phase::kRunning) return;
    const auto status = wire::decode_event(reply.result.bytes);
    if (reply.status != "done" || !status) return give_up({"session", "no-answer", "The session's scheduler does not answer", {}, {}});
    if (status->run) {
      run_ = next_run_ = status->run->number;
      if (!asks_ || !status->prompts || !prompts_.ask_first(*status->prompts)) start_screens(nullptr);
      if (finished_) run_finished();
      return;
    }
    // Little was left to do, or nothing: then no record comes.
    if (finished_) {
      run_ = finished_->run->number;
      return run_finished();
    }
    reactor_.after(kBusy, [this] {
      if (phase_ != Phase::kRunning || run_ != 0) return;
      if (finished_) {
        run_ = finished_->run->number;
        return run_finished();
      }
      (void)write_all(2, fmt::format("Session {} was in no run\n", session_->paths().id));
      status_ = kSuccess;
      end();
    });
  }

  template <typename T>
  Result<T> decode_reply(const wire::Reply& reply, std::string_view what) {
    if (reply.status == "unknown") {
      return fail("session", "no-answer", fmt::format("No answer to '{}' in time; the session's logs are in {}/logs", what, session_->paths().state));
    }
    if (reply.status == "refused") {
      return reply.error ? tl::unexpected<Error>(reply.error->to_error()) : fail("session", "refused", fmt::format("'{}' was refused", what));
    }
    return wire::decode<T>(reply.result.bytes);
  }

  void record(std::string_view packed) {
    // Most records are none of ours: not worth decoding.
    const auto names = [&](std::string_view text) { return packed.find(text) != std::string_view::npos; };
    const bool of_job = names("job.finished") && (!workspaces_of_.empty() || (asks_ && names("failure")));
    const bool of_session = asks_ && (names("session.suspended") || names("session.resumed"));
    if (!names("run.finished") && !names("type\xa5" "error") && !names("prompt.") && !of_job && !of_session) return;
    auto event = wire::decode_event(packed);
    if (!event) return;
    if (asks_ && event->session && event->type.starts_with("session.")) keys_.session_is(event->session->state);
    if (event->type == "error" && !event->element && event->error) {
      error_seen_ = true;
      // Those of the stream stand in no lines.
      error_recorded_ = error_recorded_ || event->error->domain != "stream";
      if (phase_ == Phase::kFailing) end();
    }
    if (event->type == "prompt.opened" && event->prompt) return prompts_.opened(*event->prompt);
    if (event->type == "prompt.closed" && event->prompt) return prompts_.closed(*event->prompt);
    if (event->type == "job.finished" && event->element) {
      // Of other outcomes there is no artifact to go on from.
      const bool built = event->outcome == "success" || event->outcome == "failure";
      if (built && event->job && model::named<Action>(event->job->action) == Action::kBuild && !event->element->key.empty()) built_[event->element->name] = event->element->key;
      if (asks_ && event->level == "failure") keys_.failed(event->element->name);
      return;
    }
    if (event->type != "run.finished" || !event->run) return;
    if (waiting_ && retry_ && phase_ == Phase::kLoading) {
      reactor_.cancel(*std::exchange(retry_, std::nullopt));
      request_run();
      return;
    }
    finished_ = std::move(*event);
    if (phase_ == Phase::kRunning && run_ != 0) run_finished();
  }

  void run_finished() {
    if (finished_->run->number != run_) return;
    if (finished_->outcome == "success" && !interrupted_ && fetching_) {
      ++next_run_;
      first_record_ = reader_->next_cursor();
      finished_.reset();
      phase_ = Phase::kBetween;
      return screens_.expect_end(screen_deadline());
    }
    if (finished_->outcome == "success" && !interrupted_) {
      status_ = kSuccess;
    } else if (!error_) {
      error_ = run_error(*finished_);
      // The summary of the run is on the screen.
      error_told_ = true;
    }
    if (auto noted = note_last_builds(); !noted && !error_) {
      error_ = noted.error();
      status_ = kFailure;
    }
    finish();
  }

  bool builds() const { return work_.verb == Action::kBuild; }

  // Whose workspaces are to know of what is built.
  void find_workspaces() {
    if (!builds()) return;
    std::string project;
    if (dead_) {
      project = dead_->project;
    } else if (auto here = whereabouts(invocation_, "")) {
      project = here->project;
    }
    if (!project.empty() && path_exists(project + "/.bst2/workspaces.yml")) workspaces_of_ = project;
  }

  // The next build in a workspace starts from what this one has left there.
  Status note_last_builds() {
    if (workspaces_of_.empty() || built_.empty()) return {};
    auto workspaces = WorkspacesFile::open(workspaces_of_);
    if (!workspaces) return forward(workspaces);
    bool any = false;
    for (const auto& [element, key] : built_) {
      auto* workspace = workspaces->find(element);
      if (workspace == nullptr || workspace->last_build == key) continue;
      workspace->last_build = key;
      any = true;
    }
    return any ? workspaces->save() : Status();
  }

  // "The build", "The fetch": of the run that is or was under way.
  std::string what() const { return fmt::format("The {}", text_of(fetching_ ? Action::kFetch : work_.verb)); }

  Error run_error(const wire::Event& event) const {
    Error error;
    error.domain = "stream";
    error.reason = event.outcome == "terminated" ? "terminated" : "";
    error.message = what() + (event.outcome == "terminated" ? " was terminated" : event.outcome == "quit" ? " was ended early" : " failed");
    if (event.failures) {
      for (const auto& failure : *event.failures) error.detail += failure.element.name + ": " + failure.text + "\n";
    }
    return error;
  }

  Error terminated() const { return {"stream", "terminated", what() + " was terminated", {}, {}}; }

  // ---- The end

  void finish() {
    phase_ = Phase::kFinishing;
    show_rest(screen_deadline());
  }
  // A pipe's reader takes his time; a terminal that takes nothing may never do.
  static std::optional<Duration> screen_deadline() { return ::isatty(2) == 1 ? std::optional<Duration>(kScreenDeadline) : std::nullopt; }
  // Nobody waits for an answer any more. What is in front of us, the user's, is waited for; then the renderer shows what is left.
  void show_rest(std::optional<Duration> within) {
    keys_.hide();
    prompts_.leave([this, within] {
      if (screens_started_) {
        screens_.resume_main();
      } else if (phase_ == Phase::kFinishing) {
        start_screens(settings_ ? &*settings_ : nullptr);
      }
      screens_.expect_end(within);
    });
  }
  // Why nothing is run is in a record, and shown like all of them before the session ends.
  void fail_as_told(Error error, const model::Settings* settings) {
    if (error_) return give_up(std::move(error));
    if (!session_->joined() && !work_.detach) start_screens(settings);
    error_published_ = !screens_.none();
    if (!error_published_ || error_seen_ || phase_ == Phase::kEnding) return give_up(std::move(error));
    error_ = std::move(error);
    phase_ = Phase::kFailing;
    reactor_.after(kRecordDeadline, [this] {
      if (phase_ == Phase::kFailing) end();
    });
  }
  // The session outlives us: somebody has said so.
  void detached() {
    keys_.hide();
    phase_ = Phase::kEnding;
    status_ = kSuccess;
    error_.reset();
    prompts_.leave([this] {
      screens_.cut_short();
      logs_.cut_short();
      (void)write_all(2, fmt::format("\nSession {} goes on by itself\n", session_->paths().id));
      screens_.expect_end(kLogDeadline);
    });
  }
  void screens_gone() {
    if (phase_ == Phase::kBetween) {
      screens_started_ = false;
      return load();
    }
    if (phase_ == Phase::kFinishing) end();
    if (phase_ == Phase::kEnding && session_->gone()) logs_.expect_end(last_deadline());
  }
  // They may be done before the screens are.
  void logs_gone() {
    if (phase_ == Phase::kEnding && session_->gone() && screens_.none() && !prompts_.in_front()) reactor_.stop();
  }
  void screen_back() {
    screens_.resume_main();
    take_keys();
  }
  // Of a terminal on which the renderer shows what they are.
  void take_keys() {
    const char* term = std::getenv("TERM");
    if (asks_ && term != nullptr && *term != '\0' && std::string_view(term) != "dumb") keys_.show();
  }
  void end() {
    phase_ = Phase::kEnding;
    keys_.hide();
    prompts_.leave([this] { screens_.resume_main(); });
    session_->end();
    reactor_.after(kEndDeadline, [this] { session_->end_at_once(); });
    reactor_.after(kEndDeadline + seconds(5), [this] { session_->kill(); });
  }
  void give_up(Error error) {
    if (!error_) error_ = std::move(error);
    if (phase_ == Phase::kEnding) return;
    if (session_->gone()) {
      phase_ = Phase::kEnding;
      session_gone();
    } else {
      end();
    }
  }
  // Without them we would wait for a run's end for ever.
  void records_lost() {
    const std::string& state = session_->paths().state;
    give_up({"session", "records-lost", fmt::format("The session's records can't be read any more; its logs are in {}/logs{}", state,
                                                    no_room_hint(state)), {}, {}});
  }
  void session_failed(std::string_view why) {
    // The cause of what was said last, if that was said at all.
    if (!error_ || error_published_) error_ = Error{"session", "failed", std::string(why), {}, {}};
    error_told_ = error_published_ = false;
  }
  void session_gone() {
    if (phase_ != Phase::kEnding && !error_) {
      error_ = Error{"session", "vanished", fmt::format("The session ended unexpectedly: sluice-session {}; its logs are in {}/logs",
                                                        session_->how(), session_->paths().state), {}, {}};
      status_ = kFailure;
    }
    phase_ = Phase::kEnding;
    reader_.reset();
    control_.reset();
    show_rest(session_->joined() ? last_deadline() : screen_deadline());
  }
  // The records of a session that was joined may never end.
  std::optional<Duration> last_deadline() const { return session_->joined() ? std::optional<Duration>(kScreenDeadline) : std::nullopt; }

  // ---- Renderers

  void start_screens(const model::Settings* settings) {
    if (screens_started_) return;
    screens_started_ = true;
    const RendererStyle style{invocation_.interactive, invocation_.colors};
    auto arguments = renderer_arguments(session_->paths().id, style, invocation_.global, settings);
    const auto until = [this](std::vector<std::string>& arguments) {
      arguments.insert(arguments.end(), {"--until-run", std::to_string(next_run_)});
      if (first_record_ > 1) arguments.insert(arguments.end(), {"--from", std::to_string(first_record_)});
    };
    until(arguments);
    if (asks_ && !invocation_.global.on_error) arguments.emplace_back("--until-prompt");
    const auto cursor = [this] { return reader_ ? reader_->next_cursor() : std::uint64_t{1}; };
    if (auto started = screens_.start(std::move(arguments), true, cursor); !started) return give_up(started.error());
    take_keys();
    if (!invocation_.global.log_file.empty()) {
      auto log = renderer_arguments(session_->paths().id, {}, invocation_.global, settings);
      log.insert(log.end(), {"--output", invocation_.global.log_file});
      if (first_record_ > 1) log.push_back("--append");
      until(log);
      if (auto started = screens_.start(std::move(log), false); !started) give_up(started.error());
    }
  }

  void start_json_log() {
    const std::string& file = invocation_.report.json_log();
    if (file.empty()) return;
    invocation_.report.shared();
    std::vector<std::string> arguments{"--session", session_->paths().id, "--json-log", file, "--append"};
    if (first_record_ > 1) arguments.insert(arguments.end(), {"--from", std::to_string(first_record_)});
    if (session_->joined()) arguments.insert(arguments.end(), {"--until-run", std::to_string(next_run_)});
    auto started = logs_.start(std::move(arguments), false);
    if (!started) give_up(started.error());
  }

  // ---- Signals

  void interrupt() {
    if (asks_ && phase_ == Phase::kRunning && !interrupted_ && !fetching_) return prompts_.interrupted();
    terminate_run();
  }

  void terminate_run() {
    ++interrupts_;
    interrupted_ = true;
    if (interrupts_ > 3) return session_->kill();
    if (interrupts_ > 2) return session_->end_at_once();
    if (interrupts_ > 1) return session_->terminate();
    if (phase_ == Phase::kRunning) {
      error_ = terminated();
      error_told_ = true;
      // What it says is the record run.finished; without an answer the session's end does it.
      control_->request("scheduler", "kill", "", kControlTimeout, [this](const wire::Reply& reply) {
        if (reply.status != "done" && reply.status != "accepted" && phase_ == Phase::kRunning) end();
      });
    } else if (phase_ == Phase::kStarting || phase_ == Phase::kLoading || phase_ == Phase::kBetween || phase_ == Phase::kFailing) {
      give_up(terminated());
    } else {
      // Whoever reads what we write takes long.
      reactor_.after(kLastLook, [this] {
        screens_.cut_short();
        logs_.cut_short();
      });
    }
  }

  void suspend() {
    if (suspending_) return;
    if (phase_ != Phase::kRunning || prompts_.suspends()) return stop_here();
    suspending_ = true;
    control_->request("scheduler", "suspend", "", kControlTimeout, [this](const wire::Reply&) { stop_here(); });
  }

  void stop_here() {
    // The renderer leaves the terminal as the shell wants it, and so do we.
    const bool keys = keys_.shown();
    keys_.hide();
    screens_.signal_all(SIGTSTP);
    screens_.wait_stopped(milliseconds(500));
    ::kill(::getpid(), SIGSTOP);
    // Here we go on: somebody sent SIGCONT.
    screens_.signal_all(SIGCONT);
    prompts_.continued();
    if (keys) keys_.show();
    if (!suspending_) return;
    suspending_ = false;
    if (control_) control_->request("scheduler", "resume", "", kControlTimeout, [](const wire::Reply&) {});
  }

  Invocation& invocation_;
  const Work work_;
  wire::Reactor reactor_;
  Renderers screens_;
  Renderers logs_;
  Prompts prompts_;
  TerminalKeys keys_;
  const bool asks_;  // somebody sits at the terminal
  std::unique_ptr<OwnSession> session_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<wire::ControlClient> control_;
  std::unique_ptr<wire::RecordReader> reader_;
  struct Dead {
    std::string id, project, verb;
  };
  std::optional<Dead> dead_;
  wire::LoadArguments arguments_;
  std::optional<model::Settings> settings_;
  std::string run_arguments_;
  std::unique_ptr<RemoteCheck> remote_check_;
  std::string workspaces_of_;                 // the project, when it has workspaces and this builds; else ""
  std::map<std::string, std::string> built_;  // elements and keys, then
  bool waiting_ = false;  // for another command's run
  std::optional<wire::Reactor::TimerId> retry_;
  Phase phase_ = Phase::kStarting;
  std::uint32_t run_ = 0;
  std::uint32_t next_run_ = 1;
  bool fetching_ = false;           // the run gets what the load lacks: projects behind junctions, artifacts with dependencies
  bool nothing_matched_ = false;  // patterns for names of artifacts: there is no project to run in
  std::uint64_t first_record_ = 1;  // that isn't shown yet when renderers start
  std::optional<wire::Event> finished_;
  std::optional<Error> error_;
  bool error_told_ = false;  // a renderer that shows everything shows it as well
  bool error_published_ = false;  // ... when there is a record of it; a full disk has room for none
  bool error_seen_ = false;       // an error of no job is among the records
  bool error_recorded_ = false;   // ... that stands among the renderers' lines
  bool screens_started_ = false;
  bool interrupted_ = false;
  bool suspending_ = false;
  unsigned interrupts_ = 0;
  int status_ = kFailure;
};

}  // namespace

int run_work(Invocation& invocation, Work work) {
  // The run's reactor reads signals, which it blocks; what the caller does afterwards ends by them again.
  sigset_t before;
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  const int status = BuildRun(invocation, std::move(work)).run();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return status;
}

int resume_session(Invocation& invocation, const std::string& id, const std::string& project, const std::string& verb) {
  Work work;
  // Of one that was started for several commands there is no such verb: what it works on builds.
  work.verb = model::named<Action>(verb).value_or(Action::kBuild);
  BuildRun run(invocation, std::move(work));
  run.resume(id, project, verb);
  return run.run();
}

std::optional<Loaded> load_with_subprojects(Invocation& invocation, const wire::LoadArguments& arguments) {
  auto loaded = load_once(arguments);
  if (!loaded && loaded.error().reason == "subproject-fetch-needed") {
    Work work;
    work.targets = arguments.targets;
    work.except = arguments.except;
    work.only_subprojects = true;
    if (run_work(invocation, std::move(work)) != kSuccess) return std::nullopt;
    loaded = load_once(arguments);
  }
  if (loaded) return std::move(*loaded);
  (void)failed(invocation, loaded.error());
  return std::nullopt;
}

}  // namespace sluice::cli
