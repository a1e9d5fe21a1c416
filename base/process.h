// Starting processes and hearing of their end by pidfd: no SIGCHLD, no reused pid.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace sluice {

struct SpawnOptions {
  std::vector<std::string> argv;
  // Replaces the environment when set ("NAME=value").
  std::optional<std::vector<std::string>> environment;
  std::string directory;  // empty: inherited
  // {ours, number in the child}; all others are closed but 0, 1, 2
  std::vector<std::pair<int, int>> keep_fds;
  int standard_input = -1;  // -1: inherited
  int standard_output = -1;
  int standard_error = -1;
  bool new_process_group = false;
  bool new_session = false;
  // Killed when the thread that called spawn() dies (PR_SET_PDEATHSIG SIGKILL).
  bool die_with_parent = false;
};

struct Process {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable when it has ended
};

// An error when the program can't be executed (its errno comes from the child).
Result<Process> spawn(const SpawnOptions& options);

// How a process ended, in the shell's numbers: its status, or 128 + signal.
struct ExitStatus {
  int code = 0;
  int signal = 0;  // 0: it exited by itself
};

// Waits for its end; EINTR is handled.
ExitStatus wait_for(const Process& process);
// std::nullopt while it runs.
std::optional<ExitStatus> poll_exit(const Process& process);
// The signal goes by pidfd, so never to another process. A process that is gone already is no
// error.
Status send_signal(const Process& process, int signal);

}  // namespace sluice
