// Single keys from the terminal, while a renderer draws on it.
//
// The terminal gives keys as they are pressed and echoes none; Ctrl-C and Ctrl-Z go on being
// signals. Nothing is read, and no mode is changed, while this process isn't in the terminal's
// foreground: a build that was put into the background eats no input of the shell's. Modes are as
// they were after off(), at the object's end, and when this process is killed (terminal_guard.h).
//
// Lives in the reactor's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <termios.h>

#include "cli/terminal_guard.h"
#include "wire/reactor.h"

namespace sluice::cli {

// What was typed without arrows and function keys, which are several bytes.
std::string plain_keys(std::string_view typed);

class KeyInput {
 public:
  // Reads standard input. `on_keys` gets what was typed, a few bytes at most. `on_lost` is called
  // when the terminal has become somebody else's; is_on() is false then.
  KeyInput(wire::Reactor& reactor, std::function<void(std::string_view)> on_keys,
           std::function<void()> on_lost)
      : reactor_(reactor), on_keys_(std::move(on_keys)), on_lost_(std::move(on_lost)) {}
  ~KeyInput() { off(); }
  KeyInput(const KeyInput&) = delete;
  KeyInput& operator=(const KeyInput&) = delete;

  // False when there is no terminal, or it is somebody else's at present; on() may be tried again.
  bool on();
  void off();
  bool is_on() const { return on_; }

 private:
  void read_keys();
  void stop_listening();

  wire::Reactor& reactor_;
  std::function<void(std::string_view)> on_keys_;
  std::function<void()> on_lost_;
  termios before_{};
  bool saved_ = false, on_ = false;
  TerminalGuard guard_;
};

}  // namespace sluice::cli
