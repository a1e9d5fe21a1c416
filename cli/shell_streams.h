// The standard streams of a sandbox that a person works in. No program there gets a descriptor of
// the user's terminal, or of a file: a terminal is one of the sandbox's own, whose other side is
// relayed here; files go through pipes. Pipes, sockets and /dev/null, of which no more can be made
// than they are, are given as they are.
#pragma once

#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include <termios.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "cli/terminal_guard.h"
#include "sandbox/sandbox.h"

namespace sluice::cli {

// The streams of one sandbox. There is one object at a time, in one thread: signals and the
// terminal's modes are taken over until it goes.
class ShellStreams {
 public:
  // Looks at descriptors 0, 1 and 2. Errors: "app"/"bad-input" for a directory.
  static Result<std::unique_ptr<ShellStreams>> open();
  // Puts signals and modes back as they were.
  ~ShellStreams();
  ShellStreams(const ShellStreams&) = delete;
  ShellStreams& operator=(const ShellStreams&) = delete;

  // Adds the streams to what the sandbox is started with, which then refers to this.
  void give(sandbox::SandboxRun& run) const;
  // Serves until the sandbox has ended, and returns its exit status. SIGINT, SIGQUIT, SIGTERM and
  // SIGHUP are passed on, and after the last two of them it is killed when it takes too long.
  Result<int> serve(sandbox::Sandbox& sandbox);

 private:
  // A file behind a pipe.
  struct Relay {
    UniqueFd here, there;  // the pipe's ends: ours, the sandbox's
    int file = -1;
    std::string waiting;  // read from the file, not yet written
    bool over = false;
  };
  ShellStreams() = default;
  Status look(int stream);
  void take_keys();
  void give_keys_back();
  void on_signals(sandbox::Sandbox& sandbox);
  bool keys_are_ours() const;
  void read_keys();
  void read_input();
  bool read_output(Relay& relay);
  bool read_terminal();
  void write_screen();
  void return_unread();

  sandbox::SandboxTerminal terminal_;
  bool has_terminal_ = false;
  int screen_ = -1;    // where the terminal's output goes
  bool keys_ = false;  // standard input is a terminal
  bool raw_ = false;   // its keys go to the sandbox one by one
  bool keys_over_ = false;
  bool taken_ = false;  // they are read: the terminal is ours
  termios before_{};
  UniqueFd master_;
  std::string to_terminal_, to_screen_;
  int direct_[3] = {-1, -1, -1};
  Relay relays_[3];
  bool one_file_ = false;  // output and errors go to the same
  UniqueFd signals_;
  sigset_t mask_before_{};
  std::optional<Duration> kill_at_;
  int ended_by_ = 0;  // the signal after which it was killed
  TerminalGuard guard_;
};

}  // namespace sluice::cli
