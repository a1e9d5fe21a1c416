#include "base/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace sluice {

namespace {

// Moves the descriptors to their numbers. All are first copied above every
// target, so that no target is overwritten before it was moved itself.
bool place_fds(const SpawnOptions& options, int report_fd, int& report_out) {
  int floor = 3;
  for (const auto& [ours, theirs] : options.keep_fds) floor = std::max(floor, theirs + 1);
  std::vector<std::pair<int, int>> moves;
  const int standard[3] = {options.standard_input, options.standard_output, options.standard_error};
  for (int i = 0; i < 3; ++i) {
    if (standard[i] >= 0) moves.emplace_back(standard[i], i);
  }
  moves.insert(moves.end(), options.keep_fds.begin(), options.keep_fds.end());
  for (auto& move : moves) {
    move.first = ::fcntl(move.first, F_DUPFD_CLOEXEC, floor);
    if (move.first < 0) return false;
  }
  report_out = ::fcntl(report_fd, F_DUPFD_CLOEXEC, floor);
  if (report_out < 0) return false;
  for (const auto& [from, to] : moves) {
    if (::dup2(from, to) < 0) return false;
  }
  std::vector<int> kept{0, 1, 2};
  for (const auto& [ours, theirs] : options.keep_fds) kept.push_back(theirs);
  std::sort(kept.begin(), kept.end());
  unsigned next = 0;
  for (const int fd : kept) {
    if (static_cast<unsigned>(fd) > next)
      ::close_range(next, static_cast<unsigned>(fd) - 1, CLOSE_RANGE_CLOEXEC);
    next = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(next, ~0u, CLOSE_RANGE_CLOEXEC);
  return true;
}

ExitStatus from_siginfo(const siginfo_t& info) {
  ExitStatus status;
  if (info.si_code == CLD_EXITED) {
    status.code = info.si_status;
  } else {
    status.signal = info.si_status;
    status.code = 128 + info.si_status;
  }
  return status;
}

}  // namespace

Result<Process> spawn(const SpawnOptions& options) {
  std::vector<char*> argv;
  for (const auto& argument : options.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment;
  if (options.environment) {
    for (const auto& entry : *options.environment)
      environment.push_back(const_cast<char*>(entry.c_str()));
    environment.push_back(nullptr);
  }
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd report_read(pipe_fds[0]);
  UniqueFd report_write(pipe_fds[1]);
  const pid_t parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) {
    int report = report_write.get();
    if (options.new_session) ::setsid();
    if (options.new_process_group) ::setpgid(0, 0);
    if (options.die_with_parent) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (const int ignored : {SIGPIPE, SIGINT, SIGTSTP, SIGTTOU, SIGTTIN})
      ::signal(ignored, SIG_DFL);
    if (place_fds(options, report_write.get(), report) &&
        (options.directory.empty() || ::chdir(options.directory.c_str()) == 0)) {
      if (options.environment) environ = environment.data();
      ::execvp(argv[0], argv.data());
    }
    const int cause = errno;
    [[maybe_unused]] const ssize_t n = ::write(report, &cause, sizeof cause);
    ::_exit(127);
  }
  report_write.reset();
  Process process;
  process.pid = pid;
  process.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int cause = 0;
  ssize_t n;
  do {
    n = ::read(report_read.get(), &cause, sizeof cause);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof cause) {
    int ignored = 0;
    ::waitpid(pid, &ignored, 0);
    return fail_errno(cause, "cannot run " + options.argv.front());
  }
  if (!process.pidfd) return fail_errno(errno, "pidfd_open");
  return process;
}

ExitStatus wait_for(const Process& process) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED) != 0 && errno == EINTR) {
  }
  return from_siginfo(info);
}

std::optional<ExitStatus> poll_exit(const Process& process) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(process.pid), &info, WEXITED | WNOHANG) != 0)
    return ExitStatus{255, 0};
  if (info.si_pid == 0) return std::nullopt;
  return from_siginfo(info);
}

Status send_signal(const Process& process, int signal) {
  if (::syscall(SYS_pidfd_send_signal, process.pidfd.get(), signal, nullptr, 0) != 0 &&
      errno != ESRCH) {
    return fail_errno(errno, "kill");
  }
  return {};
}

}  // namespace sluice
