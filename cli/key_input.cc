#include "cli/key_input.h"

#include <cerrno>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace sluice::cli {

namespace {

constexpr int kTerminal = 0;
constexpr char kEscape = '\033';

bool in_foreground() { return ::tcgetpgrp(kTerminal) == ::getpgrp(); }

}  // namespace

// An arrow, a function key: ESC [ or ESC O, and all up to a letter or ~.
std::string plain_keys(std::string_view typed) {
  std::string out;
  for (std::size_t i = 0; i < typed.size(); ++i) {
    if (typed[i] != kEscape) {
      out += typed[i];
    } else if (++i < typed.size() && (typed[i] == '[' || typed[i] == 'O')) {
      while (++i < typed.size() && (typed[i] < '@' || typed[i] > '~')) {
      }
    }
  }
  return out;
}

bool KeyInput::on() {
  if (!in_foreground()) return false;
  termios now{};
  if (::tcgetattr(kTerminal, &now) != 0) return false;
  // The modes of the first time are kept: a shell may give a job back the ones that it stopped
  // with, which are ours.
  if (!std::exchange(saved_, true)) before_ = now;
  termios keys = now;
  keys.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  keys.c_cc[VMIN] = 1;
  keys.c_cc[VTIME] = 0;
  // The guard starts before the modes change, so that there is no instant without it.
  guard_.start(kTerminal, before_);
  if (::tcsetattr(kTerminal, TCSANOW, &keys) != 0) {
    guard_.end();
    return false;
  }
  if (!on_) reactor_.on_fd(kTerminal, POLLIN, [this](short) { read_keys(); });
  on_ = true;
  return true;
}

void KeyInput::off() {
  if (!on_) return;
  stop_listening();
  // In the background the terminal has the modes of whoever is in front.
  if (in_foreground()) ::tcsetattr(kTerminal, TCSANOW, &before_);
  guard_.end();
}

void KeyInput::stop_listening() {
  reactor_.remove_fd(kTerminal);
  on_ = false;
}

void KeyInput::read_keys() {
  if (!in_foreground()) {
    stop_listening();
    guard_.end();
    return on_lost_();
  }
  char text[64];
  const ssize_t n = ::read(kTerminal, text, sizeof text);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) return off();
  on_keys_({text, static_cast<std::size_t>(n)});
}

}  // namespace sluice::cli
