#include "cli/renderers.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr unsigned kRestarts = 3;
// The exit status at a prompt and the descriptors of sluice-renderer, as its --help says.
constexpr int kAtPrompt = 4;
constexpr int kPositionFd = 3;
constexpr int kHintFd = 4;
constexpr int kSteerFd = 5;
// A terminal that accepts nothing keeps it longer than it should.
constexpr Duration kPauseDeadline = std::chrono::seconds(2);
constexpr Duration kLookForStopped = std::chrono::seconds(2);
constexpr Duration kHaltDeadline = std::chrono::milliseconds(500);

}  // namespace

std::vector<std::string> renderer_arguments(const std::string& session, const RendererStyle& style,
                                            const GlobalOptions& global,
                                            const model::Settings* settings) {
  std::vector<std::string> out = {"--session", session, "--style", style.name,
                                  style.colors ? "--colors" : "--no-colors"};
  if (style.quiet) out.emplace_back("--quiet");
  if (style.heartbeat > 0) out.insert(out.end(), {"--heartbeat", std::to_string(style.heartbeat)});
  out.insert(out.end(), {"--directory", load_arguments(global).what.directory});
  const auto flag = [&](const char* name, std::optional<bool> value) {
    if (value) out.push_back(std::string(*value ? "--" : "--no-") + name);
  };
  const auto number = [&](const char* name, std::optional<std::uint32_t> value) {
    if (value) out.insert(out.end(), {name, std::to_string(*value)});
  };
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out.insert(out.end(), {name, value});
  };
  if (settings == nullptr) {
    flag("verbose", global.overrides.verbose);
    flag("debug", global.overrides.debug);
    number("--error-lines", global.overrides.error_lines);
    number("--message-lines", global.overrides.message_lines);
  } else {
    // The loader has laid the global options over the configuration.
    flag("verbose", settings->verbose);
    flag("debug", settings->debug);
    number("--error-lines", settings->error_lines);
    number("--message-lines", settings->message_lines);
    number("--key-length", settings->key_length);
    text("--message-format", settings->message_format);
    text("--element-format", settings->element_format);
  }
  return out;
}

Renderers::~Renderers() {
  for (auto& child : children_) {
    reactor_.remove_fd(child.process.pidfd.get());
    (void)send_signal(child.process, SIGTERM);
    (void)send_signal(child.process, SIGCONT);
  }
}

Status Renderers::start(std::vector<std::string> arguments, bool main,
                        std::function<std::uint64_t()> cursor) {
  expecting_end_ = false;
  Child child;
  child.arguments = std::move(arguments);
  child.main = main;
  child.cursor = std::move(cursor);
  return spawn_child(std::move(child));
}

Status Renderers::spawn_child(Child child) {
  SpawnOptions options;
  options.argv = {find_program("sluice-renderer")};
  options.argv.insert(options.argv.end(), child.arguments.begin(), child.arguments.end());
  if (child.from > 0)
    options.argv.insert(options.argv.end(), {"--from", std::to_string(child.from)});
  std::vector<UniqueFd> theirs;
  // An end of a pipe that it has as the descriptor `number`, told by an option of that name.
  const auto give = [&](const char* option, int number, UniqueFd& ours, bool reads) -> Status {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
    ours.reset(ends[reads ? 1 : 0]);
    theirs.emplace_back(ends[reads ? 0 : 1]);
    options.keep_fds.emplace_back(theirs.back().get(), number);
    options.argv.insert(options.argv.end(), {option, std::to_string(number)});
    return {};
  };
  if (child.main) {
    CHECK(give("--cursor-fd", kPositionFd, child.position, false));
    CHECK(give("--hint-fd", kHintFd, child.hints, true));
    if (std::find(child.arguments.begin(), child.arguments.end(), "--replay") !=
        child.arguments.end())
      CHECK(give("--steer-fd", kSteerFd, child.steering, true));
  }
  auto process = TRY(spawn(options));
  child.process = std::move(process);
  reactor_.on_fd(child.process.pidfd.get(), POLLIN,
                 [this, pid = child.process.pid](short) { ended(pid); });
  send_hint(child);
  children_.push_back(std::move(child));
  return {};
}

void Renderers::hint(std::string rows) {
  hint_ = std::move(rows);
  for (const auto& child : children_) send_hint(child);
}

void Renderers::send_hint(const Child& child) {
  if (!child.hints) return;
  const std::string line = hint_ + "\n";
  (void)!::write(child.hints.get(), line.data(), line.size());
}

void Renderers::steer(const std::string& line) {
  for (const auto& child : children_) {
    if (child.steering) (void)!::write(child.steering.get(), (line + "\n").data(), line.size() + 1);
  }
}

void Renderers::ended(pid_t pid) {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [&](const Child& c) { return c.process.pid == pid; });
  if (found == children_.end()) return;
  const auto status = poll_exit(found->process);
  if (!status) return;
  reactor_.remove_fd(found->process.pidfd.get());
  Child child = std::move(*found);
  children_.erase(found);
  const Position position = position_of(child);
  if (child.main) main_shown_ = status->code == 0 && child.restarts == 0;
  if (child.main && halted_ && status->signal != 0 && child.cursor) {
    child.from = child.cursor();
    paused_ = std::move(child);
    return;
  }
  if (status->signal != 0 && child.main && child.cursor && !expecting_end_ && !pausing_ &&
      child.restarts < kRestarts) {
    ++child.restarts;
    child.from = child.cursor();
    if (spawn_child(std::move(child))) return;
  }
  if (child.main && (status->code == kAtPrompt || pausing_)) {
    pausing_ = false;
    child.from = position.cursor;
    const bool back = std::exchange(again_, false) || expecting_end_;
    // What it shows from now on has been decided, and is whole.
    if (expecting_end_) child.arguments.emplace_back("--no-until-prompt");
    if (back && !position.end) {
      if (spawn_child(std::move(child))) return;
    } else if (!back && on_paused_) {
      if (!position.end) paused_ = std::move(child);
      on_paused_(status->code == kAtPrompt);
      return;
    }
  }
  if (children_.empty()) {
    if (deadline_) reactor_.cancel(*deadline_);
    deadline_.reset();
    on_all_gone_();
  }
}

// What it said at its end; when it was killed, as far as records were read here.
Renderers::Position Renderers::position_of(const Child& child) {
  char text[32];
  const ssize_t n = child.position ? ::read(child.position.get(), text, sizeof text - 1) : 0;
  if (n > 0) {
    text[n] = '\0';
    char* rest = nullptr;
    if (const std::uint64_t cursor = std::strtoull(text, &rest, 10); cursor > 0)
      return {cursor, std::string_view(rest).starts_with(" end")};
  }
  return {child.cursor ? child.cursor() : child.from, false};
}

void Renderers::pause_main() {
  if (paused_ || pausing_) return;
  for (const auto& child : children_) {
    if (!child.main) continue;
    pausing_ = true;
    (void)send_signal(child.process, SIGTERM);
    (void)send_signal(child.process, SIGCONT);
    reactor_.after(kPauseDeadline, [this, pid = child.process.pid] {
      for (const auto& late : children_) {
        if (late.process.pid == pid) (void)send_signal(late.process, SIGKILL);
      }
    });
  }
}

void Renderers::resume_main() {
  again_ = pausing_;
  if (!paused_) return;
  Child child = std::move(*paused_);
  paused_.reset();
  if (!spawn_child(std::move(child)) && children_.empty()) on_all_gone_();
}

void Renderers::halt_main() {
  halted_ = true;
  for (const auto& child : children_) {
    if (child.main) (void)send_signal(child.process, SIGTSTP);
  }
  wait_stopped(kHaltDeadline, true);
}

void Renderers::go_on_main() {
  if (!std::exchange(halted_, false)) return;
  if (paused_) return resume_main();
  for (const auto& child : children_) {
    if (child.main) (void)send_signal(child.process, SIGCONT);
  }
}

void Renderers::signal_all(int signal) {
  for (auto& child : children_) (void)send_signal(child.process, signal);
}

void Renderers::wait_stopped(Duration at_most, bool main) {
  const Duration deadline = system_clock().monotonic() + at_most;
  for (const auto& child : children_) {
    if (main && !child.main) continue;
    // There is no descriptor that tells of a stop, so the state is polled until the deadline.
    for (;;) {
      siginfo_t info{};
      if (::waitid(P_PID, static_cast<id_t>(child.process.pid), &info,
                   WSTOPPED | WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid != 0 || system_clock().monotonic() >= deadline) {
        break;
      }
      ::poll(nullptr, 0, 2);
    }
  }
}

void Renderers::expect_end(std::optional<Duration> within) {
  expecting_end_ = true;
  paused_.reset();
  if (children_.empty()) {
    on_all_gone_();
    return;
  }
  if (deadline_) return;
  deadline_ = reactor_.after(within.value_or(kLookForStopped), [this, within] {
    deadline_.reset();
    if (!within) return kill_stopped();
    // A renderer that is stopped takes a KILL too.
    signal_all(SIGKILL);
  });
}

void Renderers::kill_stopped() {
  for (const auto& child : children_) {
    siginfo_t info{};
    const bool stopped = ::waitid(P_PID, static_cast<id_t>(child.process.pid), &info,
                                  WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
                         info.si_pid != 0;
    if (stopped) (void)send_signal(child.process, SIGKILL);
  }
  expect_end({});
}

void Renderers::cut_short() {
  signal_all(SIGTERM);
  signal_all(SIGCONT);
}

}  // namespace sluice::cli
