#include "renderer/service.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/append_log.h"
#include "base/file.h"
#include "base/terminal.h"
#include "base/try.h"
#include "base/workflow.h"
#include "renderer/ci.h"
#include "renderer/renderer.h"
#include "wire/follow.h"
#include "wire/session.h"

namespace sluice::renderer {

namespace {

constexpr int kShown = 0, kOutputLost = 1, kUsage = 2, kVanished = 3, kAtPrompt = 4;
// SIGTERM: so long the output may take what it has been given.
constexpr Duration kTermGrace = std::chrono::milliseconds(500);
constexpr Duration kIdle = std::chrono::hours(1);

void say(const Error& error) { std::fprintf(stderr, "sluice-renderer: %s\n", error.str().c_str()); }

Result<FdSink> open_output(const Options& options) {
  if (options.output.empty())
    return FdSink::of_descriptor(options.style == StyleName::kJson ? STDOUT_FILENO : STDERR_FILENO);
  if (options.output == "-") return FdSink::of_descriptor(STDOUT_FILENO);
  return FdSink::of_file(options.output, options.append);
}

Size size_of(const FdSink& sink, const Options& options) {
  Size size;
  struct winsize asked {};
  if (::ioctl(sink.fd(), TIOCGWINSZ, &asked) == 0 && asked.ws_col > 0 && asked.ws_row > 0) {
    size = {asked.ws_col, asked.ws_row};
  }
  if (options.width) size.columns = *options.width;
  if (options.height) size.rows = *options.height;
  return size;
}

StyleName style_of(const Options& options, const FdSink& sink) {
  if (options.style != StyleName::kAutomatic) return options.style;
  if (sink.terminal()) return StyleName::kCalm;
  const auto lines = lines_by_environment();
  if (lines == "github") return StyleName::kGithub;
  return lines == "gitlab" ? StyleName::kGitlab : StyleName::kPlain;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

CiSettings ci_settings(const Options& options, StyleName style) {
  CiSettings out;
  out.github = style == StyleName::kGithub;
  out.directory = options.directory;
  if (!out.github) return out;
  out.token = workflow_token();
  out.summary = variable("GITHUB_STEP_SUMMARY");
  out.workspace = variable("GITHUB_WORKSPACE");
  return out;
}

Result<std::unique_ptr<Renderer>> make_renderer(const Options& options, FdSink& sink) {
  StyleName style = style_of(options, sink);
  if (style == StyleName::kJson) return make_json(sink);
  const bool screen = style == StyleName::kCalm || style == StyleName::kTty;
  const bool sized = options.width && options.height;
  if (screen && !options.quiet && !sink.terminal() && !sized) {
    return fail(
        "app", "usage",
        fmt::format("--style {}: the output is not a terminal (or give --width and --height)",
                    style == StyleName::kCalm ? "calm" : "tty"));
  }
  const bool draws = screen && !options.quiet && (!sink.terminal() || smart_terminal());
  const Duration silence = std::chrono::seconds(options.heartbeat_s);
  LineSettings settings = options.lines;
  settings.colors = options.colors.value_or(colors_by_environment(sink.terminal()));
  settings.terminal = sink.terminal() || screen;
  const TtySettings tty{size_of(sink, options), settings.colors,
                        sink.terminal() && progress_by_environment()};

  const bool ci = style == StyleName::kGithub || style == StyleName::kGitlab;
  CalmSettings calm;
  calm.pen.paint.colors = settings.colors && style != StyleName::kReader;
  calm.pen.unicode = ci || utf8_by_environment();
  calm.pen.links = sink.terminal() && links_by_environment();
  calm.spoken = style == StyleName::kReader;
  calm.quiet = options.quiet;
  calm.debug = settings.debug;
  calm.verbose = settings.verbose;
  calm.terminal = settings.terminal || ci;
  calm.error_lines = settings.error_lines;
  calm.message_lines = settings.message_lines;
  if (ci) return make_ci(sink, system_clock(), calm, ci_settings(options, style), silence);
  if (style == StyleName::kCalm && draws) return make_calm(sink, system_clock(), calm, tty);
  if (style == StyleName::kCalm || style == StyleName::kReader || options.quiet)
    return make_calm_lines(sink, system_clock(), calm, silence);

  // TRY would do, were it not for gcc 12, which takes what it holds for freed twice.
  auto lines = Lines::create(std::move(settings));
  if (!lines) return forward(lines);
  if (draws) return make_tty(sink, system_clock(), std::move(*lines), tty);
  return make_plain(sink, system_clock(), std::move(*lines), silence);
}

class Service {
 public:
  Service(const Options& options, wire::SessionPaths paths, FdSink& sink, Renderer& renderer)
      : options_(options), paths_(std::move(paths)), sink_(sink), renderer_(renderer),
        next_(renderer.recalls() ? 1 : options.from), shown_(options.from) {}

  Status open() {
    // Signals are set before the first socket is made, whose threads inherit that.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    if (auto taken = reactor_.on_signal(SIGTERM, [this] { terminate(); }); !taken) return taken;
    if (renderer_.draws()) {
      if (auto taken =
              reactor_.on_signal(SIGWINCH, [this] { renderer_.resize(size_of(sink_, options_)); });
          !taken)
        return taken;
      if (auto taken = reactor_.on_signal(SIGTSTP, [this] { stop(); }); !taken) return taken;
    }
    if (options_.hint_fd >= 0) {
      if (::fcntl(options_.hint_fd, F_SETFL, O_NONBLOCK) != 0)
        return fail_errno(errno, "--hint-fd");
      reactor_.on_fd(options_.hint_fd, POLLIN, [this](short) { read_hints(); });
    }
    if (options_.steer_fd >= 0) {
      if (::fcntl(options_.steer_fd, F_SETFL, O_NONBLOCK) != 0)
        return fail_errno(errno, "--steer-fd");
      reactor_.on_fd(options_.steer_fd, POLLIN, [this](short) { read_steering(); });
    }
    if (options_.replay) return open_replay();
    context_ = std::make_unique<wire::Context>();
    wire::Follower::Settings settings;
    settings.paths = paths_;
    settings.name = "renderer";
    settings.cursor = next_;
    topic_ = renderer_.topic();
    if (!topic_.empty()) settings.topics = {topic_};
    reader_ = TRY(wire::Follower::create(*context_, reactor_, std::move(settings),
                                         {[this](std::string_view packed) { record(packed); },
                                          [this](std::string_view topic, std::string_view packed) {
                                            if (topic == topic_) renderer_.live(packed);
                                          },
                                          [this](bool gone) { end(gone); }}));
    return {};
  }

  int run() {
    for (;;) {
      const Duration replayed = replay_ && !over_ ? replay() : kIdle;
      if (renderer_.draws()) renderer_.hide(in_background());
      auto due = renderer_.poll();
      if (!due) return kOutputLost;
      if (renderer_.drained()) shown_ = std::max(next_, options_.from);
      if (renderer_.done() && finishing_) break;
      if (finishing_ && give_up_ && system_clock().monotonic() >= *give_up_) break;
      watch_output();
      subscribe();
      if (reader_ && !over_) {
        if (renderer_.full()) {
          reader_->pause();
        } else {
          reader_->resume();
        }
      }
      Duration wait = due->value_or(kIdle);
      wait = std::min(wait, replayed);
      if (give_up_)
        wait = std::min(wait, std::max(*give_up_ - system_clock().monotonic(), Duration::zero()));
      reactor_.run_once(wait);
    }
    if (options_.cursor_fd >= 0) {
      const std::string line =
          fmt::format("{}{}\n", shown_, whole_ && shown_ == next_ ? " end" : "");
      (void)write_all(options_.cursor_fd, line);
    }
    return status_;
  }

 private:
  // Nobody is asked for what has been: it is read from the log's file.
  Status open_replay() {
    log_.emplace(TRY(AppendLogReader::open(paths_.record_log())));
    for (next_ = 1; next_ < options_.from; ++next_) {
      const std::string_view packed = TRY(log_->next());
      if (packed.empty()) break;
      renderer_.recall(packed);
    }
    Replay::Settings settings = options_.replaying;
    settings.status = renderer_.draws();
    replay_.emplace(std::move(settings), system_clock(),
                    Replay::Callbacks{[this] { return log_->next(); },
                                      [this](std::string_view packed) { record(packed); },
                                      [this](std::string_view packed) { renderer_.live(packed); },
                                      [this] { return !over_ && !renderer_.full(); }});
    return {};
  }

  // Gives the time until something is to be shown.
  Duration replay() {
    auto due = replay_->advance();
    if (!due) say(due.error());
    if (due && *due) return over_ ? Duration::zero() : **due;
    if (!over_) finish(due ? kShown : kVanished);
    return Duration::zero();
  }

  void record(std::string_view packed) {
    if (over_) return;
    if (next_ < options_.from) {
      ++next_;
      return renderer_.recall(packed);
    }
    const Seen seen = renderer_.record(packed);
    ++next_;
    // The reader is paused here too, and not only between two turns of the loop: while the broker
    // answers faster than we draw, one turn reads all there is.
    if (reader_ && renderer_.full()) reader_->pause();
    if (seen.session_ended ||
        (options_.until_run != 0 && seen.run_finished == options_.until_run)) {
      whole_ = true;
      finish(kShown);
    } else if (seen.prompt && options_.until_prompt) {
      finish(kAtPrompt);
    }
  }

  void end(bool gone) {
    if (!over_) finish(gone ? kVanished : kShown);
  }

  void finish(int status) {
    over_ = true;
    finishing_ = true;
    status_ = status;
    renderer_.finish();
  }

  void terminate() {
    if (!finishing_) finish(kShown);
    give_up_ = system_clock().monotonic() + kTermGrace;
  }

  void read_hints() {
    char text[4096];
    const ssize_t n = ::read(options_.hint_fd, text, sizeof text);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) return reactor_.remove_fd(options_.hint_fd);
    hints_.append(text, static_cast<std::size_t>(n));
    const auto end = hints_.rfind('\n');
    if (end == std::string::npos) return;
    const auto before = end == 0 ? std::string::npos : hints_.rfind('\n', end - 1);
    const std::size_t first = before == std::string::npos ? 0 : before + 1;
    renderer_.hint(std::string_view(hints_).substr(first, end - first));
    hints_.erase(0, end + 1);
  }

  // A line that isn't understood, from whoever has started us, changes nothing.
  void read_steering() {
    char text[256];
    const ssize_t n = ::read(options_.steer_fd, text, sizeof text);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) return reactor_.remove_fd(options_.steer_fd);
    steering_.append(text, static_cast<std::size_t>(n));
    for (auto end = steering_.find('\n'); end != std::string::npos; end = steering_.find('\n')) {
      const std::string line = steering_.substr(0, end);
      steering_.erase(0, end + 1);
      if (line == "pause" || line == "resume") replay_->hold(line == "pause");
      if (double speed = 0; line.starts_with("speed ") && replay_speed(line.substr(6), speed))
        replay_->set_speed(speed);
    }
  }

  void stop() {
    renderer_.leave_screen();
    ::kill(::getpid(), SIGSTOP);
    renderer_.resize(size_of(sink_, options_));
    renderer_.enter_screen();
  }

  // Of a shell that shows its prompt.
  bool in_background() const {
    const pid_t in_front = ::tcgetpgrp(sink_.fd());
    return in_front > 0 && in_front != ::getpgrp();
  }

  // What is wanted of live events comes and goes. One that can't be subscribed to leaves what is
  // shown less complete, and nothing else.
  void subscribe() {
    if (!reader_) return;
    const std::string topic = over_ ? std::string() : renderer_.topic();
    if (topic == topic_) return;
    if (!topic_.empty()) (void)reader_->unsubscribe(topic_);
    if (!topic.empty()) (void)reader_->subscribe(topic);
    topic_ = topic;
  }

  void watch_output() {
    if (renderer_.blocked() == watching_) return;
    watching_ = !watching_;
    if (watching_) {
      reactor_.on_fd(sink_.fd(), POLLOUT, [](short) {});  // run() polls the renderer
    } else {
      reactor_.remove_fd(sink_.fd());
    }
  }

  const Options& options_;
  wire::SessionPaths paths_;
  FdSink& sink_;
  Renderer& renderer_;
  wire::Reactor reactor_;
  std::unique_ptr<wire::Context> context_;
  std::unique_ptr<wire::Follower> reader_;
  std::optional<AppendLogReader> log_;  // that is replayed
  std::optional<Replay> replay_;
  std::uint64_t next_;            // cursor of the next record to be handed over
  std::uint64_t shown_;           // all before it were written
  std::string hints_, steering_;  // that have no end yet
  std::string topic_;             // of the live events that are subscribed to; "": none
  bool watching_ = false;
  bool over_ = false;  // no record is taken any more
  bool finishing_ = false;
  bool whole_ = false;  // the last record that is to be shown was taken
  int status_ = kShown;
  std::optional<Duration> give_up_;
};

}  // namespace

int run(const Options& options) {
  auto paths = wire::SessionPaths::of(options.session);
  if (!paths) {
    say(paths.error());
    return kUsage;
  }
  auto sink = open_output(options);
  if (!sink) {
    say(sink.error());
    return kOutputLost;
  }
  auto renderer = make_renderer(options, *sink);
  if (!renderer) {
    say(renderer.error());
    return kUsage;
  }
  Service service(options, std::move(*paths), *sink, **renderer);
  if (auto opened = service.open(); !opened) {
    say(opened.error());
    return kVanished;
  }
  return service.run();
}

}  // namespace sluice::renderer
