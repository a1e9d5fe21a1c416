#include "sandbox/sandbox.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/process_tree.h"
#include "base/try.h"
#include "sandbox/call_filter.h"
#include "sandbox/platform.h"
#include "sandbox/sandbox_mounts.h"

namespace sluice::sandbox {

namespace {

// The bytes of a tmpfs for each of its files: a file takes memory, too, about a quarter as much as
// for data then.
constexpr std::uint64_t kBytesForFile = 4096;
constexpr std::uint64_t kLeastFiles = 64;  // /dev has some files itself
constexpr std::uint64_t kLeastTemporary = std::uint64_t{64} << 20;
// By how much sooner the kernel is to kill what runs in a sandbox than its job, when memory runs
// out.
constexpr int kKilledFirst = 300;
constexpr std::size_t kShownTail = 4096;

// The child's end until bubblewrap runs. Everything that allocates was done before
// the fork. Reports the failing call by errno and a number over `report`.
enum class Step : int {
  kNone,
  kKeyring,
  kMap,
  kPropagation,
  kRoot,
  kMount,
  kDevices,
  kProcesses,
  kTemporary,
  kHost,
  kTerminal,
  kExec
};

struct Failure {
  Step step = Step::kNone;
  int cause = 0;
};

const char* describe(Step step) {
  switch (step) {
    case Step::kNone: break;
    case Step::kKeyring: return "cannot leave the session keyring";
    case Step::kMap: return "cannot map the user into its namespace";
    case Step::kPropagation: return "cannot make the mounts private";
    case Step::kRoot: return "cannot mount the root";
    case Step::kMount: return "cannot mount a directory in the root";
    case Step::kDevices: return "cannot make /dev";
    case Step::kProcesses: return "cannot mount /proc";
    case Step::kTemporary: return "cannot mount /tmp";
    case Step::kHost: return "cannot mount a file of the host";
    case Step::kTerminal: return "cannot make a terminal";
    case Step::kExec: return "cannot execute bubblewrap";
  }
  return "";
}

bool write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return good;
}

// A path with the separators in an overlay's options escaped.
std::string escape_overlay(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '\\' || c == ':' || c == ',') out += '\\';
    out += c;
  }
  return out;
}

// Moves a descriptor away from 0, 1 and 2, which the child replaces, and from those of the tokens.
Result<UniqueFd> above_standard(UniqueFd fd) {
  if (fd.get() > 2 && fd.get() != kTokensInside.read && fd.get() != kTokensInside.write) return fd;
  UniqueFd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kTokensInside.write + 1));
  if (!high) return fail_errno(errno, "fcntl");
  return high;
}

bool send_fd(int socket, int fd) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

UniqueFd receive_fd(int socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  int fd = -1;
  if (::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == 1) {
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
  }
  return UniqueFd(fd);
}

struct Plan {
  std::vector<std::string> arguments;
  std::vector<char*> argv;
  bool overlay = false;
  bool root_read_only = true;
  bool own_temporary = false;
  std::string root;     // the only layer; "" when there are more
  std::string options;  // an overlay's, when there are more layers
  std::string merged;
  std::vector<SandboxRun::Mount> mounts;
  const std::vector<std::string>* covered = nullptr;  // covered_proc()
  std::string uid_map, gid_map;
  std::string size, inodes;  // what /tmp may hold, and /dev
  std::string killed_first;  // the text for oom_score_adj
  bool narrow = false;
  int streams[3] = {-1, -1, -1};
  const SandboxTerminal* terminal = nullptr;
  TokenEnds tokens;
  int status_fd = -1;
  int filter_fd = -1;
  int terminal_fd = -1;  // a socket, on which the terminal's other side goes out
  int arguments_fd = -1;
  int report = -1;
  int alive_read = -1, alive_write = -1;
};

bool mount_of_host(int root, const SandboxRun::Mount& entry) {
  const int source = clone_mount(AT_FDCWD, entry.source.c_str(), kPlainMount, true);
  struct stat info {};
  if (source < 0 || ::fstat(source, &info) != 0) return false;
  // Places are made in the filesystems of ours that hide the root's own directories.
  for (const char* ours : {"/dev/", "/tmp/"}) {
    if (entry.target.starts_with(ours) &&
        !make_place_below(root, entry.target.c_str(), S_ISDIR(info.st_mode)))
      return false;
  }
  const int target = open_in_root(root, entry.target.c_str());
  return target >= 0 && attach(source, target);
}

// Makes a terminal of the sandbox's own, which becomes its session's; its other side goes to our
// parent.
bool give_terminal(int root, const Plan& plan, int& slave) {
  const int master = open_terminal(root, slave);
  if (master < 0 || ::ioctl(slave, TIOCSCTTY, 0) != 0) return false;
  if (::tcsetattr(slave, TCSANOW, &plan.terminal->modes) != 0 ||
      ::ioctl(slave, TIOCSWINSZ, &plan.terminal->size) != 0)
    return false;
  return send_fd(plan.terminal_fd, master);
}

// Runs as the first process of the sandbox's process id namespace, and so does bubblewrap, which it
// becomes and which reaps what is orphaned there: when it dies, for whatever reason, the kernel
// kills all that came of it. Without that, the death of bubblewrap between its clone() and its
// child's request to die with it would leave that child, waiting for ever (seen).
//
// It shares the memory of the job, which waits, until then; so it has a stack of its own and
// changes nothing.
int child(void* argument) {
  const Plan& plan = *static_cast<const Plan*>(argument);
  const auto give_up = [&](Step step) {
    const Failure failure{step, errno};
    [[maybe_unused]] const ssize_t n = ::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
  };
  ::setsid();
  ::close(plan.alive_write);
  // Our parent may have died before we asked to die with it. It alone can have the other end open,
  // and its number says nothing here.
  const auto die_with_parent = [&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte;
    if (::read(plan.alive_read, &byte, 1) == 0) ::_exit(127);
  };
  die_with_parent();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < 32; ++signal) ::signal(signal, SIG_DFL);
  ::umask(022);

  // An error is ignored: whoever may not change the score does without.
  (void)write_file("/proc/self/oom_score_adj", plan.killed_first);
  // The session's keyring is left, since keys of the user are none of a build's business. A kernel
  // without keys has none to leave.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS)
    give_up(Step::kKeyring);
  if (!write_file("/proc/self/setgroups", "deny") ||
      !write_file("/proc/self/uid_map", plan.uid_map) ||
      !write_file("/proc/self/gid_map", plan.gid_map)) {
    give_up(Step::kMap);
  }
  die_with_parent();
  // The root with all that is mounted in it is put together here, so that bubblewrap has one
  // thing to bind: it reads the whole table of mounts for each, and sets flags one by one.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up(Step::kPropagation);
  if (plan.overlay) {
    const unsigned long flags = MS_NOSUID | MS_NODEV | (plan.root_read_only ? MS_RDONLY : 0);
    if (::mount("overlay", plan.merged.c_str(), "overlay", flags, plan.options.c_str()) != 0)
      give_up(Step::kRoot);
  } else {
    const int mount = clone_mount(AT_FDCWD, plan.root.c_str(),
                                  kPlainMount | (plan.root_read_only ? MOUNT_ATTR_RDONLY : 0));
    const int target = ::open(plan.merged.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (mount < 0 || target < 0 || !attach(mount, target)) give_up(Step::kRoot);
  }
  const int root = ::open(plan.merged.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root < 0) give_up(Step::kRoot);
  for (const SandboxRun::Mount& entry : plan.mounts) {
    if (entry.host) continue;
    const int target = open_below(root, entry.target.c_str() + 1);
    const int mount = target < 0
                          ? -1
                          : clone_mount(AT_FDCWD, entry.source.c_str(),
                                        kPlainMount | (entry.writable ? 0 : MOUNT_ATTR_RDONLY));
    if (mount < 0 || !attach(mount, target)) give_up(Step::kMount);
  }
  if (!mount_devices(root, plan.size.c_str(), plan.inodes.c_str())) give_up(Step::kDevices);
  if (!mount_processes(root, *plan.covered)) give_up(Step::kProcesses);
  if (!plan.own_temporary && !mount_temporary(root, plan.size.c_str(), plan.inodes.c_str()))
    give_up(Step::kTemporary);
  for (const SandboxRun::Mount& entry : plan.mounts) {
    if (entry.host && !mount_of_host(root, entry)) give_up(Step::kHost);
  }

  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  int slave = -1;
  if (plan.terminal != nullptr && !give_terminal(root, plan, slave)) give_up(Step::kTerminal);
  for (int stream = 0; stream < 3; ++stream) {
    const int of_terminal = plan.terminal != nullptr && plan.terminal->streams[stream] ? slave : -1;
    const int given = of_terminal >= 0            ? of_terminal
                      : plan.streams[stream] >= 0 ? plan.streams[stream]
                                                  : nothing;
    if (given < 0 || ::dup2(given, stream) < 0) give_up(Step::kExec);
  }
  const bool tokens = plan.tokens.read >= 0;
  if (tokens && (::dup2(plan.tokens.read, kTokensInside.read) < 0 ||
                 ::dup2(plan.tokens.write, kTokensInside.write) < 0)) {
    give_up(Step::kExec);
  }
  ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  ::fcntl(plan.status_fd, F_SETFD, 0);
  ::fcntl(plan.filter_fd, F_SETFD, 0);
  ::fcntl(plan.arguments_fd, F_SETFD, 0);
  if (tokens) {
    ::fcntl(kTokensInside.read, F_SETFD, 0);
    ::fcntl(kTokensInside.write, F_SETFD, 0);
  }
  if (plan.narrow && ::personality(PER_LINUX32) < 0) give_up(Step::kExec);
  char* environment[] = {nullptr};
  ::execve(plan.argv[0], plan.argv.data(), environment);
  give_up(Step::kExec);
  ::_exit(127);
}

tl::unexpected<Error> unavailable(std::string message, std::string detail = {}) {
  return fail("sandbox", "unavailable-local-sandbox", std::move(message), {}, std::move(detail));
}

// The arguments that bubblewrap reads from a descriptor (--args FD) so that the command gets this
// environment: everybody on the machine sees the argument list of a process, and environments have
// secrets in them.
std::string environment_arguments(const model::StringMap& environment) {
  std::string text;
  for (const auto& [name, value] : environment) {
    for (const std::string_view word :
         {std::string_view("--setenv"), std::string_view(name), std::string_view(value)})
      (text += word) += '\0';
  }
  return text;
}

// A descriptor with bytes for bubblewrap to read once.
Result<UniqueFd> file_to_read(const std::string& bytes) {
  UniqueFd file(::memfd_create("bwrap", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  CHECK(write_all(file.get(), bytes));
  ::lseek(file.get(), 0, SEEK_SET);
  return above_standard(std::move(file));
}

}  // namespace

Result<bool> narrow_platform(const model::Sandbox& sandbox) {
  const std::string& here = host_platform();
  const std::string narrow = narrow_platform_of(here);
  const auto architecture = [](std::string_view platform) {
    return platform.substr(platform.find('/') + 1);
  };
  const std::string_view os = std::string_view(here).substr(0, here.find('/'));
  // An artifact that doesn't say its architecture was built here.
  if (!sandbox.build_os.empty() && sandbox.build_os != os) {
    return unavailable(fmt::format(
        "This platform does not support local builds: OS '{}' is not supported, only '{}'",
        sandbox.build_os, os));
  }
  if (sandbox.build_arch.empty() || sandbox.build_arch == architecture(here)) return false;
  if (!narrow.empty() && sandbox.build_arch == architecture(narrow)) return true;
  // The kernel hands its programs to an emulator, which tells them what they expect of uname.
  const auto emulated = emulated_platforms();
  if (std::find(emulated.begin(), emulated.end(), platform_text(os, sandbox.build_arch)) !=
      emulated.end())
    return false;
  return unavailable(fmt::format(
      "This platform does not support local builds: ISA '{}' is not supported, only '{}'{}",
      sandbox.build_arch, architecture(here),
      narrow.empty() ? "" : fmt::format(" and '{}'", architecture(narrow))));
}

std::string find_bubblewrap() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string candidate = std::string(rest.substr(0, colon)) + "/bwrap";
    if (candidate.front() == '/' && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return {};
}

std::uint64_t temporary_size(const model::Settings& settings) {
  if (settings.tmp_size > 0) return settings.tmp_size;
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return kLeastTemporary;
  // /tmp and /dev of all builds together may fill half of the memory.
  const std::uint64_t memory = std::uint64_t{info.totalram} * info.mem_unit;
  return std::max(kLeastTemporary,
                  memory / 4 / std::max(settings.builders, 1u) / kBytesForFile * kBytesForFile);
}

Result<std::unique_ptr<Sandbox>> Sandbox::start(const SandboxRun& run) {
  const std::string bubblewrap = find_bubblewrap();
  if (bubblewrap.empty()) return unavailable("bubblewrap (bwrap) is not in PATH; builds need it");

  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd status_read(pipes[0]), status_write(pipes[1]);
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd report_read(pipes[0]), report_write(pipes[1]);
  if (::pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  UniqueFd alive_read(pipes[0]), alive_write(pipes[1]);
  UniqueFd terminal_here, terminal_there;
  if (run.terminal != nullptr) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes) != 0)
      return fail_errno(errno, "socketpair");
    terminal_here.reset(pipes[0]);
    terminal_there.reset(pipes[1]);
  }

  Plan plan;
  plan.overlay = !run.root_read_only || run.layers.size() > 1;
  plan.root_read_only = run.root_read_only;
  plan.own_temporary = run.own_temporary;
  plan.root = run.layers.front();
  plan.merged = run.merged;
  plan.mounts = run.mounts;
  plan.covered = &covered_proc();
  plan.narrow = run.narrow;
  plan.streams[0] = run.input;
  plan.streams[1] = run.output;
  plan.streams[2] = run.error >= 0 ? run.error : run.output;
  plan.terminal = run.terminal;
  plan.terminal_fd = terminal_there.get();
  plan.tokens = run.tokens;
  plan.size = std::to_string(run.temporary);
  plan.inodes = std::to_string(std::max<std::uint64_t>(run.temporary / kBytesForFile, kLeastFiles));
  plan.killed_first = std::to_string(std::min(oom_score_adj() + kKilledFirst, kMostOomScoreAdj));
  auto status_there = TRY(above_standard(std::move(status_write)));
  plan.status_fd = status_there.get();
  const Result<std::string>& calls = call_filter(run.narrow);
  if (!calls) return tl::unexpected(calls.error());
  auto filter = TRY(file_to_read(*calls));
  plan.filter_fd = filter.get();
  auto environment = TRY(file_to_read(environment_arguments(run.environment)));
  plan.arguments_fd = environment.get();
  plan.report = report_write.get();
  plan.alive_read = alive_read.get();
  plan.alive_write = alive_write.get();
  if (plan.overlay) {
    plan.options = "userxattr,lowerdir=";
    for (auto layer = run.layers.rbegin(); layer != run.layers.rend(); ++layer) {
      if (layer != run.layers.rbegin()) plan.options += ':';
      plan.options += escape_overlay(*layer);
    }
    if (!run.root_read_only) {
      plan.options +=
          ",upperdir=" + escape_overlay(run.upper) + ",workdir=" + escape_overlay(run.work);
    }
  }
  plan.uid_map = fmt::format("0 {} 1\n", ::geteuid());
  plan.gid_map = fmt::format("0 {} 1\n", ::getegid());

  auto& a = plan.arguments;
  a = {bubblewrap,
       "--unshare-user",
       "--unshare-ipc",
       "--unshare-uts",
       "--hostname",
       "buildbox",
       "--die-with-parent",
       "--cap-drop",
       "ALL",
       "--uid",
       std::to_string(run.uid),
       "--gid",
       std::to_string(run.gid),
       "--dev-bind",
       run.merged,
       "/",
       "--chdir",
       run.directory};
  if (!run.network) a.emplace_back("--unshare-net");
  a.insert(a.end(), {"--args", std::to_string(plan.arguments_fd), "--seccomp",
                     std::to_string(plan.filter_fd), "--json-status-fd",
                     std::to_string(plan.status_fd), "--"});
  a.insert(a.end(), run.argv.begin(), run.argv.end());
  for (auto& argument : a) plan.argv.push_back(argument.data());
  plan.argv.push_back(nullptr);

  // This clone is a vfork() with namespaces.
  constexpr std::size_t kStack = 64 << 10;
  const auto stack = std::make_unique<std::byte[]>(kStack);
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
                    CLONE_NEWCGROUP | SIGCHLD;
  const pid_t pid = ::clone(child, stack.get() + kStack, flags, &plan);
  if (pid < 0)
    return unavailable(fmt::format("cannot make a user namespace: {}", std::strerror(errno)));
  report_write.reset();
  status_there.reset();

  Failure failure;
  if (::read(report_read.get(), &failure, sizeof failure) == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    return unavailable(fmt::format("{}: {}", describe(failure.step), std::strerror(failure.cause)));
  }
  std::unique_ptr<Sandbox> sandbox(new Sandbox);
  sandbox->pid_ = pid;
  sandbox->pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  sandbox->status_ = std::move(status_read);
  sandbox->alive_ = std::move(alive_write);
  if (terminal_here) sandbox->terminal_ = receive_fd(terminal_here.get());
  return sandbox;
}

Sandbox::~Sandbox() {
  if (ended_) return;
  kill();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Sandbox::kill() { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

Result<int> Sandbox::end(const std::function<std::string()>& told) {
  int wait_status = 0;
  while (::waitpid(pid_, &wait_status, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  auto status_text = read_all(status_.get(), 1u << 16);
  // bubblewrap says "exit-code" only when the command was started.
  if (!status_text || status_text->find("\"exit-code\"") == std::string::npos) {
    if (WIFSIGNALED(wait_status)) {
      return fail("sandbox", "sandbox-killed",
                  fmt::format("bubblewrap was killed by signal {}", WTERMSIG(wait_status)));
    }
    std::string text = told();
    // A shell that can't be executed is the fault of what was staged, not of the machine: the
    // command has failed.
    if (text.find("bwrap: execvp ") != std::string::npos) return WEXITSTATUS(wait_status);
    return unavailable("bubblewrap could not set up the sandbox", std::move(text));
  }
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

Result<int> run_sandbox(const SandboxRun& given, const SandboxLimits& limits, Cancel& cancel) {
  CHECK(cancel.check());
  auto output = TRY(OutputRelay::make(given.output, limits));
  SandboxRun run = given;
  run.output = output.entry();
  auto started = TRY(Sandbox::start(run));
  output.close_entry();
  Sandbox& sandbox = *started;

  // The loop ends when bubblewrap has ended, with which all of its processes are gone.
  bool cancelled = false;
  Status exceeded;
  for (;;) {
    pollfd fds[3] = {{sandbox.pidfd(), POLLIN, 0},
                     {cancelled ? -1 : cancel.fd(), POLLIN, 0},
                     {output.exit(), POLLIN, 0}};
    if (::poll(fds, 3, exceeded ? output.patience() : -1) < 0 && errno != EINTR) break;
    if (fds[2].revents != 0) output.move();
    if (fds[0].revents != 0) break;
    if (!cancelled && cancel.requested()) {
      cancelled = true;
      // The runner sends SIGKILL to all of us when its patience ends.
      signal_descendants(::getpid(), SIGTERM);
    }
    if (exceeded && !(exceeded = output.check())) sandbox.kill();
  }
  output.drain();
  auto code = sandbox.end([&] { return output.tail(kShownTail); });
  if (cancelled) return fail("job", "killed", "The job was killed");
  if (!exceeded) return forward(exceeded);
  return code;
}

Cancel::Cancel() {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, nullptr);
  fd_ = ::signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

Cancel::~Cancel() {
  if (fd_ >= 0) ::close(fd_);
}

bool Cancel::requested() {
  signalfd_siginfo info;
  while (fd_ >= 0 && ::read(fd_, &info, sizeof info) == sizeof info) requested_ = true;
  return requested_;
}

Status Cancel::check() {
  if (requested()) return fail("job", "killed", "The job was killed");
  return {};
}

}  // namespace sluice::sandbox
