#include "cli/shell_streams.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/process_tree.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr std::size_t kAtOnce = 16 << 10;
constexpr std::size_t kMostWaiting = 64 << 10;
// A terminal that says it can be written to has room for about that much.
constexpr std::size_t kScreenAtOnce = 512;
constexpr Duration kGrace = std::chrono::seconds(2);
constexpr int kLookAgain = 100;  // ms

constexpr int kSignals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT};

bool is_file(int fd, struct stat& info) {
  return ::fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
}

bool in_foreground() { return ::tcgetpgrp(0) == ::getpgrp(); }

}  // namespace

Result<std::unique_ptr<ShellStreams>> ShellStreams::open() {
  std::unique_ptr<ShellStreams> streams(new ShellStreams);
  for (int stream = 0; stream < 3; ++stream) {
    CHECK(streams->look(stream));
  }
  ShellStreams& s = *streams;
  struct stat out {
  }, errors{};
  s.one_file_ = is_file(1, out) && is_file(2, errors) && out.st_dev == errors.st_dev &&
                out.st_ino == errors.st_ino;
  if (s.has_terminal_) {
    s.keys_ = s.terminal_.streams[0];
    // Keys go one by one when the whole screen is the sandbox's. Else another program of our
    // pipeline may read them as well, a pager: lines are read then, as the terminal has them, while
    // nobody else wants it otherwise.
    s.raw_ = s.keys_ && s.terminal_.streams[1];
    s.screen_ = s.terminal_.streams[1] ? 1 : s.terminal_.streams[2] ? 2 : 0;
    const int model = s.keys_ ? 0 : s.screen_;
    ::tcgetattr(model, &s.before_);
    s.terminal_.modes = s.before_;
    if (s.keys_ && !s.raw_) s.terminal_.modes.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::ioctl(s.screen_, TIOCGWINSZ, &s.terminal_.size);
  }
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : kSignals) sigaddset(&mask, signal);
  ::sigprocmask(SIG_BLOCK, &mask, &s.mask_before_);
  s.signals_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!s.signals_) return fail_errno(errno, "signalfd");
  return streams;
}

Status ShellStreams::look(int stream) {
  struct stat info {};
  if (::fstat(stream, &info) != 0) return {};  // closed
  if (::isatty(stream) != 0) {
    terminal_.streams[stream] = has_terminal_ = true;
    return {};
  }
  if (S_ISDIR(info.st_mode))
    return fail("app", "bad-input",
                fmt::format("Standard stream {} is a directory: a shell isn't given it", stream));
  if (!is_file(stream, info)) {
    direct_[stream] = stream;
    return {};
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Relay& relay = relays_[stream];
  relay.file = stream;
  relay.here.reset(ends[stream == 0 ? 1 : 0]);
  relay.there.reset(ends[stream == 0 ? 0 : 1]);
  ::fcntl(relay.here.get(), F_SETFL, O_NONBLOCK);
  return {};
}

void ShellStreams::give(sandbox::SandboxRun& run) const {
  int* const streams[] = {&run.input, &run.output, &run.error};
  for (int stream = 0; stream < 3; ++stream)
    *streams[stream] = relays_[stream].there ? relays_[stream].there.get() : direct_[stream];
  if (one_file_) run.error = run.output;
  if (has_terminal_) run.terminal = &terminal_;
}

// Takes keys from the terminal, but not in the background: then it is somebody else's, and we hear
// when it is ours again (SIGCONT).
void ShellStreams::take_keys() {
  taken_ = keys_ && in_foreground();
  if (!taken_ || !raw_) return;
  termios modes = before_;
  ::cfmakeraw(&modes);
  ::tcsetattr(0, TCSADRAIN, &modes);
}

void ShellStreams::give_keys_back() {
  // In the background the terminal has the modes of whoever is in front.
  if (std::exchange(taken_, false) && raw_ && in_foreground()) ::tcsetattr(0, TCSADRAIN, &before_);
}

ShellStreams::~ShellStreams() {
  give_keys_back();
  guard_.end();
  // Told but not read: who sends it now means us as we are again.
  signals_.reset();
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

void ShellStreams::on_signals(sandbox::Sandbox& sandbox) {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    switch (signal) {
      case SIGTSTP:
        give_keys_back();
        ::kill(::getpid(), SIGSTOP);
        [[fallthrough]];
      case SIGCONT:
        // Whoever stopped us may have changed the modes.
        take_keys();
        [[fallthrough]];
      case SIGWINCH:
        if (master_ && ::ioctl(screen_, TIOCGWINSZ, &terminal_.size) == 0)
          ::ioctl(master_.get(), TIOCSWINSZ, &terminal_.size);
        break;
      default:
        // The signal goes to those that the terminal would send it to, or else to all.
        if (!master_ || (signal != SIGINT && signal != SIGQUIT) ||
            ::ioctl(master_.get(), TIOCSIG, signal) != 0) {
          signal_descendants(sandbox.pid(), signal);
        }
        if ((signal == SIGTERM || signal == SIGHUP) && !kill_at_) {
          ended_by_ = signal;
          kill_at_ = system_clock().monotonic() + kGrace;
        }
    }
  }
}

// Whether keys may be read: not while another program of our pipeline has the terminal in modes of
// its own.
bool ShellStreams::keys_are_ours() const {
  if (!taken_ || keys_over_ || to_terminal_.size() >= kMostWaiting) return false;
  if (raw_) return true;
  termios modes{};
  return ::tcgetattr(0, &modes) == 0 && (modes.c_lflag & ICANON) != 0;
}

void ShellStreams::read_keys() {
  char buffer[kAtOnce];
  const ssize_t n = ::read(0, buffer, sizeof buffer);
  if (n > 0) {
    to_terminal_.append(buffer, static_cast<std::size_t>(n));
  } else if (n == 0 && !raw_) {
    to_terminal_ += static_cast<char>(terminal_.modes.c_cc[VEOF]);
  } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
    keys_over_ = true;
  }
}

void ShellStreams::read_input() {
  Relay& input = relays_[0];
  if (input.waiting.empty()) {
    char buffer[kAtOnce];
    const ssize_t n = ::read(input.file, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
      input.over = true;
      input.here.reset();
      return;
    }
    input.waiting.assign(buffer, static_cast<std::size_t>(n));
  }
  const ssize_t n = ::write(input.here.get(), input.waiting.data(), input.waiting.size());
  if (n > 0) input.waiting.erase(0, static_cast<std::size_t>(n));
}

// What nobody has read stays for the next one who reads our input, as if we had not looked at it.
void ShellStreams::return_unread() {
  Relay& input = relays_[0];
  if (!input.there) return;
  int left = 0;
  ::ioctl(input.there.get(), FIONREAD, &left);
  const off_t unread = left + static_cast<off_t>(input.waiting.size());
  if (unread > 0) ::lseek(input.file, -unread, SEEK_CUR);
}

// Reads and passes on. False when there is nothing, now or any more.
bool ShellStreams::read_output(Relay& relay) {
  char buffer[kAtOnce];
  const ssize_t n = ::read(relay.here.get(), buffer, sizeof buffer);
  if (n > 0 && write_all(relay.file, {buffer, static_cast<std::size_t>(n)})) return true;
  // A program that writes what can't be kept is told as with a pipe that nobody reads.
  if (n >= 0 || (errno != EAGAIN && errno != EINTR)) relay.here.reset();
  return false;
}

bool ShellStreams::read_terminal() {
  char buffer[kAtOnce];
  const ssize_t n = ::read(master_.get(), buffer, sizeof buffer);
  if (n > 0) to_screen_.append(buffer, static_cast<std::size_t>(n));
  return n > 0;
}

void ShellStreams::write_screen() {
  const ssize_t n = ::write(screen_, to_screen_.data(), std::min(to_screen_.size(), kScreenAtOnce));
  if (n > 0) {
    to_screen_.erase(0, static_cast<std::size_t>(n));
  } else if (errno != EINTR && errno != EAGAIN) {
    to_screen_.clear();  // it is gone
  }
}

Result<int> ShellStreams::serve(sandbox::Sandbox& sandbox) {
  if (has_terminal_) {
    master_.reset(::fcntl(sandbox.terminal(), F_DUPFD_CLOEXEC, 3));
    ::fcntl(master_.get(), F_SETFL, O_NONBLOCK);
  }
  for (int stream : {1, 2}) relays_[stream].there.reset();
  if (one_file_) relays_[2].here.reset();
  if (raw_) guard_.start(0, before_);
  take_keys();

  for (bool ended = false; !ended;) {
    const bool keys = keys_are_ours();
    const bool screen = !to_screen_.empty();
    pollfd fds[] = {{sandbox.pidfd(), POLLIN, 0},
                    {signals_.get(), POLLIN, 0},
                    {keys ? 0 : -1, POLLIN, 0},
                    {master_.get(),
                     static_cast<short>((to_screen_.size() < kMostWaiting ? POLLIN : 0) |
                                        (to_terminal_.empty() ? 0 : POLLOUT)),
                     0},
                    {screen ? screen_ : -1, POLLOUT, 0},
                    {relays_[0].here.get(), POLLOUT, 0},
                    {relays_[1].here.get(), POLLIN, 0},
                    {relays_[2].here.get(), POLLIN, 0}};
    int patience = taken_ && !raw_ && !keys && !keys_over_ ? kLookAgain : -1;
    if (kill_at_) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*kill_at_ - system_clock().monotonic())
              .count();
      if (left <= 0) sandbox.kill();
      patience = static_cast<int>(std::max<long long>(left, kLookAgain));
    }
    if (::poll(fds, std::size(fds), patience) < 0 && errno != EINTR)
      return fail_errno(errno, "poll");
    if (fds[1].revents != 0) on_signals(sandbox);
    if (fds[2].revents != 0) read_keys();
    if ((fds[3].revents & POLLOUT) != 0) {
      const ssize_t n = ::write(master_.get(), to_terminal_.data(), to_terminal_.size());
      if (n > 0) to_terminal_.erase(0, static_cast<std::size_t>(n));
    }
    // Nobody has the terminal open: so far, or for good, which the sandbox's end will say.
    if ((fds[3].revents & (POLLIN | POLLHUP)) != 0 && !read_terminal() &&
        (fds[3].revents & POLLHUP) != 0)
      master_.reset();
    if (fds[4].revents != 0) write_screen();
    if (fds[5].revents != 0) read_input();
    if (fds[6].revents != 0) read_output(relays_[1]);
    if (fds[7].revents != 0) read_output(relays_[2]);
    ended = fds[0].revents != 0;
  }
  while (master_ && read_terminal()) {
  }
  for (int stream : {1, 2}) {
    while (relays_[stream].here && read_output(relays_[stream])) {
    }
  }
  (void)write_all(screen_, to_screen_);
  return_unread();
  give_keys_back();
  auto code = sandbox.end([] { return std::string(); });
  if (!code && code.error().reason == "sandbox-killed" && ended_by_ != 0) return 128 + ended_by_;
  return code;
}

}  // namespace sluice::cli
