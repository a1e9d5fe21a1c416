#include "cli/terminal_keys.h"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace sluice::cli {

namespace {

constexpr int kTerminal = 0;

bool in_foreground() { return ::tcgetpgrp(kTerminal) == ::getpgrp(); }

// Until its line is closed without a word. Only calls that are safe after a fork of a process with threads.
[[noreturn]] void guard(int line, const termios& before) {
  ::setpgid(0, 0);  // a signal to the command's group is none of ours
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &stops, nullptr);
  // What else is inherited would keep the session's sockets open.
  if (line != 3) {
    if (::dup2(line, 3) < 0) ::_exit(1);
    line = 3;
  }
  ::syscall(SYS_close_range, 4u, ~0u, 0u);
  ::close(1);
  ::close(2);
  char word = 0;
  ssize_t n = 0;
  do {
    n = ::read(line, &word, 1);
  } while (n < 0 && errno == EINTR);
  if (n == 0) ::tcsetattr(kTerminal, TCSANOW, &before);
  ::_exit(0);
}

}  // namespace

bool TerminalKeys::on() {
  if (!in_foreground()) return false;
  termios now{};
  if (::tcgetattr(kTerminal, &now) != 0) return false;
  // Those of the first time: a shell may give a job back the ones that it stopped with, which are ours.
  if (!std::exchange(saved_, true)) before_ = now;
  termios keys = now;
  keys.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  keys.c_cc[VMIN] = 1;
  keys.c_cc[VTIME] = 0;
  // First, so that there is no instant without it.
  start_guard();
  if (::tcsetattr(kTerminal, TCSANOW, &keys) != 0) {
    end_guard();
    return false;
  }
  if (!on_) reactor_.on_fd(kTerminal, POLLIN, [this](short) { read_keys(); });
  on_ = true;
  return true;
}

void TerminalKeys::off() {
  if (!on_) return;
  stop_listening();
  // In the background the terminal has the modes of whoever is in front.
  if (in_foreground()) ::tcsetattr(kTerminal, TCSANOW, &before_);
  end_guard();
}

void TerminalKeys::stop_listening() {
  reactor_.remove_fd(kTerminal);
  on_ = false;
}

void TerminalKeys::read_keys() {
  if (!in_foreground()) {
    stop_listening();
    end_guard();
    return on_lost_();
  }
  char text[64];
  const ssize_t n = ::read(kTerminal, text, sizeof text);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) return off();
  on_keys_({text, static_cast<std::size_t>(n)});
}

void TerminalKeys::start_guard() {
  if (guard_ > 0) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  UniqueFd theirs(ends[0]);
  guard_line_.reset(ends[1]);
  guard_ = ::fork();
  if (guard_ == 0) guard(theirs.get(), before_);
  if (guard_ < 0) guard_line_.reset();
}

void TerminalKeys::end_guard() {
  if (guard_ < 0) return;
  // A word before the end: the modes are restored, or none of ours.
  (void)!::write(guard_line_.get(), "x", 1);
  guard_line_.reset();
  int status = 0;
  while (::waitpid(guard_, &status, 0) < 0 && errno == EINTR) {
  }
  guard_ = -1;
}

}  // namespace sluice::cli
