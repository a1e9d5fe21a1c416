#include "cli/terminal_keys.h"

#include <cerrno>
#include <poll.h>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/file.h"

namespace sluice::cli {

namespace {

constexpr int kTerminal = 0;

bool in_foreground() { return ::tcgetpgrp(kTerminal) == ::getpgrp(); }

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
  if (guard_) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  UniqueFd theirs(ends[0]), ours(ends[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-terminal")};
  options.standard_input = theirs.get();
  options.keep_fds = {{kTerminal, 3}};
  options.new_process_group = true;
  auto guard = spawn(options);
  if (!guard) return;
  (void)write_all(ours.get(), {reinterpret_cast<const char*>(&before_), sizeof before_});
  guard_ = std::move(*guard);
  guard_line_ = std::move(ours);
}

void TerminalKeys::end_guard() {
  if (!guard_) return;
  // A word before the end: the modes are restored, or none of ours.
  (void)write_all(guard_line_.get(), "x");
  guard_line_.reset();
  (void)wait_for(*guard_);
  guard_.reset();
}

}  // namespace sluice::cli
