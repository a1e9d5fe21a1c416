// A process that may have few threads, for tests of what happens when the system refuses one.
#pragma once

#include <functional>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sluice::testing {

// Runs `work` in a process of its own that may have `limit` threads, and returns what it returned;
// 100: the limit can't be set, 200: the process ended by a signal.
//
// The limit is of all processes and threads of a user, and doesn't bind root: as root the process
// becomes a user whom nobody else is. As another user it has no thread but its first, whatever the
// limit, where there are other processes of that user.
inline int with_threads(rlim_t limit, const std::function<int()>& work) {
  constexpr uid_t kNobodyElse = 2'000'000'123;
  const pid_t child = ::fork();
  if (child == 0) {
    const struct rlimit few { limit, limit };
    if (::getuid() == 0 && ::setresuid(kNobodyElse, kNobodyElse, kNobodyElse) != 0) ::_exit(100);
    if (::setrlimit(RLIMIT_NPROC, &few) != 0) ::_exit(100);
    ::_exit(work());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

}  // namespace sluice::testing
