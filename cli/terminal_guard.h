// A terminal's modes come back although the command that changes them is killed: a small program,
// sluice-terminal, waits for that and nothing else.
#pragma once

#include <optional>

#include <termios.h>

#include "base/fd.h"
#include "base/process.h"

namespace sluice::cli {

class TerminalGuard {
 public:
  TerminalGuard() = default;
  ~TerminalGuard() { end(); }
  TerminalGuard(const TerminalGuard&) = delete;
  TerminalGuard& operator=(const TerminalGuard&) = delete;

  // Called before the modes are changed: the descriptor `terminal` is to get `before` back.
  void start(int terminal, const termios& before);
  // Called when the modes are back, or are none of ours any more.
  void end();

 private:
  std::optional<Process> process_;
  UniqueFd line_;
};

}  // namespace sluice::cli
