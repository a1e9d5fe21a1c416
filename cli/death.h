// How a process of a session died, as far as the kernel tells: what its supervisor writes into its
// log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/signalfd.h>

#include "base/process.h"

namespace sluice::cli {

struct Death {
  int status = 0;     // when it exited by itself
  int signal = 0;     // that killed it; 0: none
  bool core = false;  // its memory was written to a file
  long most_kib = 0;  // of memory that it used at once

  // The end in words: "was killed by signal 9 (Killed)", "ended with status 1".
  std::string how() const;
  // What else is known: its memory, the machine's, whom the kernel has killed for lack of it since
  // `kills_before`.
  std::string details(std::optional<std::uint64_t> kills_before) const;
};

// How the process died, with what it has used; std::nullopt while it runs, as poll_exit() says it.
std::optional<Death> reap(const Process& process);

// How many processes of this machine the kernel has killed for lack of memory since it runs;
// std::nullopt where it doesn't tell.
std::optional<std::uint64_t> memory_kills();

// A signal in words: "signal 15 (Terminated) from process 123 (bash) of user 0". The kernel tells
// the sender to the receiver alone: of a child that died of a signal nobody can say it.
std::string describe_signal(const signalfd_siginfo& info);

}  // namespace sluice::cli
