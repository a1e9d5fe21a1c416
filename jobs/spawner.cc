#include "jobs/spawner.h"

#include <cerrno>
#include <csignal>
#include <utility>

#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/try.h"

namespace sluice::jobs {

namespace {

// Starts a program as base/process.h's spawn() does, but by vfork(): a fork of this process, with a
// pipe to tell of its exec, takes longer than the program does. The child shares the parent's
// memory, which waits, until it is another program: it makes system calls only.
Result<Process> spawn_true() {
  static char path[] = "/bin/true";
  static char* const argv[] = {path, nullptr};
  const pid_t parent = ::getpid();
  volatile int cause = 0;
  Process process;
  process.pid = ::vfork();
  if (process.pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    ::execve(path, argv, environ);
    cause = errno;
    ::_exit(127);
  }
  if (process.pid < 0) return fail_errno(errno, "vfork");
  if (cause == 0) {
    process.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (process.pidfd) return process;
    cause = errno;
  }
  wait_for(process);
  return fail_errno(cause, "cannot run /bin/true");
}

}  // namespace

Spawner::~Spawner() {
  signal_all(SIGKILL);
  for (auto& [id, process] : processes_) {
    reactor_.remove_fd(process.pidfd.get());
    (void)wait_for(process);
  }
}

Status Spawner::start(const wire::JobId& id) {
  auto process = TRY(spawn_true());
  const int fd = process.pidfd.get();
  processes_.emplace(id, std::move(process));
  reactor_.on_fd(fd, POLLIN, [this, id](short) { ended(id); });
  return {};
}

void Spawner::signal_all(int signal) {
  for (const auto& [id, process] : processes_) (void)send_signal(process, signal);
}

void Spawner::kill(const wire::JobId& id) {
  if (const auto found = processes_.find(id); found != processes_.end())
    (void)send_signal(found->second, SIGKILL);
}

void Spawner::ended(const wire::JobId& id) {
  auto node = processes_.extract(id);
  reactor_.remove_fd(node.mapped().pidfd.get());
  on_end_(id, wait_for(node.mapped()));
}

}  // namespace sluice::jobs
