#include "jobs/sandbox.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <memory>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "jobs/call_filter.h"
#include "jobs/process_tree.h"

namespace sluice::jobs {

namespace {

// Whether there is a file that its owner may write and others may not.
bool holds_owners_file(const std::string& path, unsigned depth) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return false;
  if (S_ISREG(info.st_mode)) return (info.st_mode & S_IWUSR) != 0 && (info.st_mode & S_IWOTH) == 0;
  if (!S_ISDIR(info.st_mode) || depth == 0) return false;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return false;
  bool found = false;
  while (const dirent* entry = found ? nullptr : ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") found = holds_owners_file(path + "/" + entry->d_name, depth - 1);
  }
  ::closedir(directory);
  return found;
}

// The entries of /proc that are read-only in a sandbox: sys, and what root's processes
// may write without a capability.
std::vector<std::string> find_covered_proc() {
  std::vector<std::string> out{"sys"};
  if (::geteuid() != 0) return out;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return out;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9')) continue;
    // mtrr asks for CAP_SYS_ADMIN itself.
    if (name == "mtrr" || name == "sys" || name == "self" || name == "thread-self") continue;
    if (holds_owners_file("/proc/" + std::string(name), 4)) out.emplace_back(name);
  }
  ::closedir(directory);
  std::sort(out.begin(), out.end());
  return out;
}

// The child's end until bubblewrap runs. Everything that allocates was done before
// the fork. Reports the failing call by errno and a number over `report`.
enum class Step : int { kNone, kKeyring, kMap, kPropagation, kRoot, kMount, kDevices, kProcesses, kTemporary, kExec };

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

// Separators in the options of an overlay.
std::string escape_overlay(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '\\' || c == ':' || c == ',') out += '\\';
    out += c;
  }
  return out;
}

// A mount of `source` with these attributes, not yet anywhere. -1 and errno.
constexpr int kAboveOwn = 10;  // descriptors of the child: its own opens use those below
constexpr std::uint64_t kPlain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
int clone_mount(int directory, const char* source, std::uint64_t set) {
  const int fd = static_cast<int>(::syscall(SYS_open_tree, directory, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (fd < 0) return fd;
  mount_attr attributes{};
  attributes.attr_set = set;
  if (::syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) return -1;
  return fd;
}

bool attach(int mount, int target) {
  return ::syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

// A new filesystem, not yet anywhere. -1 and errno.
int new_mount(const char* type, std::initializer_list<std::pair<const char*, const char*>> options, unsigned attributes) {
  const int filesystem = static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
  if (filesystem < 0) return filesystem;
  for (const auto& [key, value] : options) {
    const bool good = value != nullptr ? ::syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_STRING, key, value, 0) == 0
                                       : ::syscall(SYS_fsconfig, filesystem, FSCONFIG_SET_FLAG, key, nullptr, 0) == 0;
    if (!good) return -1;
  }
  if (::syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return static_cast<int>(::syscall(SYS_fsmount, filesystem, FSMOUNT_CLOEXEC, attributes));
}

// A directory below `root` and through no link: what is in the root is somebody else's.
int open_below(int root, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

// What bubblewrap's --dev makes, without its reading of the table of mounts for each device.
bool mount_devices(int root) {
  struct Device {
    const char* name;
    const char* source;
  };
  static constexpr Device kDevices[] = {{"null", "/dev/null"},     {"zero", "/dev/zero"},       {"full", "/dev/full"},
                                        {"random", "/dev/random"}, {"urandom", "/dev/urandom"}, {"tty", "/dev/tty"}};
  struct Link {
    const char* name;
    const char* target;
  };
  static constexpr Link kLinks[] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
                                    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"}};
  const int target = open_below(root, "dev");
  const int devices = new_mount("tmpfs", {{"mode", "0755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (target < 0 || devices < 0 || !attach(devices, target)) return false;
  for (const auto& [name, source] : kDevices) {
    const int file = ::openat(devices, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    const int device = clone_mount(AT_FDCWD, source, MOUNT_ATTR_NOSUID);
    if (file < 0 || device < 0 || !attach(device, file)) return false;
  }
  for (const auto& [name, link] : kLinks) {
    if (::symlinkat(link, devices, name) != 0) return false;
  }
  if (::mkdirat(devices, "shm", 0755) != 0 || ::mkdirat(devices, "pts", 0755) != 0) return false;
  const int pts = ::openat(devices, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int terminals = new_mount("devpts", {{"newinstance", nullptr}, {"ptmxmode", "0666"}, {"mode", "0620"}},
                                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  return pts >= 0 && terminals >= 0 && attach(terminals, pts);
}

// The processes of the namespace that we are the first of. bubblewrap can't mount it: its user namespace is below
// the one that owns the process ids.
bool mount_processes(int root, const std::vector<std::string>& covered) {
  const int target = open_below(root, "proc");
  const int processes = new_mount("proc", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (target < 0 || processes < 0 || !attach(processes, target)) return false;
  // bubblewrap looks its child up there, by the number that it has in this namespace.
  const int ours = clone_mount(root, "proc", 0);
  const int place = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (ours < 0 || place < 0 || !attach(ours, place)) return false;
  for (const std::string& name : covered) {
    const int entry = ::openat(processes, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (entry < 0 && errno == ENOENT) continue;  // of a driver that went since we looked
    constexpr std::uint64_t kCovered = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    const int cover = clone_mount(processes, name.c_str(), kCovered);
    if (entry < 0 || cover < 0 || !attach(cover, entry)) return false;
  }
  // The names of the user's keys.
  const int keys = ::openat(processes, "keys", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (keys < 0) return errno == ENOENT;
  const int nothing = clone_mount(AT_FDCWD, "/dev/null", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
  return nothing >= 0 && attach(nothing, keys);
}

bool mount_temporary(int root) {
  const int target = open_below(root, "tmp");
  const int files = new_mount("tmpfs", {{"mode", "0755"}}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  return target >= 0 && files >= 0 && attach(files, target);
}

struct Plan {
  std::vector<std::string> arguments;
  std::vector<char*> argv;
  bool overlay = false;
  bool root_read_only = true;
  std::string root;     // of one layer
  std::string options;  // of an overlay
  std::string merged;
  std::vector<SandboxRun::Mount> mounts;
  const std::vector<std::string>* covered = nullptr;  // covered_proc()
  std::string uid_map, gid_map;
  bool narrow = false;
  int output = -1;
  TokenEnds tokens;
  int status_fd = -1;
  int filter_fd = -1;
  int report = -1;
  int alive_read = -1, alive_write = -1;
};

// Runs as the first process of the sandbox's process id namespace, and so does bubblewrap,
// which it becomes and which reaps what is orphaned there: when it dies, for whatever reason, the kernel kills all that came of
// it. Without that, the death of bubblewrap between its clone() and its child's request to die with
// it would leave that child, waiting for ever (seen).
//
// It shares the memory of the job, which waits, until then; so it has a stack of its own and changes nothing.
int child(void* argument) {
  const Plan& plan = *static_cast<const Plan*>(argument);
  const auto give_up = [&](Step step) {
    const Failure failure{step, errno};
    [[maybe_unused]] const ssize_t n = ::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
  };
  ::setsid();
  ::close(plan.alive_write);
  // Our parent may have died before we asked. It alone can have the other end open, and
  // its number says nothing here.
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

  // Keys that the user has in his session are none of a build's business. A kernel without keys has nothing to leave.
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS) give_up(Step::kKeyring);
  if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", plan.uid_map) ||
      !write_file("/proc/self/gid_map", plan.gid_map)) {
    give_up(Step::kMap);
  }
  die_with_parent();
  // The root with all that is mounted in it is put together here, so that bubblewrap has one
  // thing to bind: it reads the whole table of mounts for each, and sets flags one by one.
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up(Step::kPropagation);
  if (plan.overlay) {
    const unsigned long flags = MS_NOSUID | MS_NODEV | (plan.root_read_only ? MS_RDONLY : 0);
    if (::mount("overlay", plan.merged.c_str(), "overlay", flags, plan.options.c_str()) != 0) give_up(Step::kRoot);
  } else {
    const int mount = clone_mount(AT_FDCWD, plan.root.c_str(), kPlain | (plan.root_read_only ? MOUNT_ATTR_RDONLY : 0));
    const int target = ::open(plan.merged.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (mount < 0 || target < 0 || !attach(mount, target)) give_up(Step::kRoot);
  }
  const int root = ::open(plan.merged.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root < 0) give_up(Step::kRoot);
  for (const SandboxRun::Mount& entry : plan.mounts) {
    const int target = open_below(root, entry.target.c_str() + 1);
    const int mount = target < 0 ? -1 : clone_mount(AT_FDCWD, entry.source.c_str(), kPlain | (entry.writable ? 0 : MOUNT_ATTR_RDONLY));
    if (mount < 0 || !attach(mount, target)) give_up(Step::kMount);
  }
  if (!mount_devices(root)) give_up(Step::kDevices);
  if (!mount_processes(root, *plan.covered)) give_up(Step::kProcesses);
  if (!mount_temporary(root)) give_up(Step::kTemporary);

  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing < 0 || ::dup2(nothing, 0) < 0 || ::dup2(plan.output, 1) < 0 || ::dup2(plan.output, 2) < 0) {
    give_up(Step::kExec);
  }
  const bool tokens = plan.tokens.read >= 0;
  if (tokens && (::dup2(plan.tokens.read, kTokensInside.read) < 0 || ::dup2(plan.tokens.write, kTokensInside.write) < 0)) {
    give_up(Step::kExec);
  }
  ::close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  ::fcntl(plan.status_fd, F_SETFD, 0);
  ::fcntl(plan.filter_fd, F_SETFD, 0);
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

// A file with the bytes, to be read once from its start, with a number above those that the child's own opens use.
Result<UniqueFd> file_to_read(const std::string& bytes) {
  const UniqueFd file(::memfd_create("bwrap", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  if (auto written = write_all(file.get(), bytes); !written) return forward(written);
  ::lseek(file.get(), 0, SEEK_SET);
  UniqueFd high(::fcntl(file.get(), F_DUPFD_CLOEXEC, kAboveOwn));
  if (!high) return fail_errno(errno, "fcntl");
  return high;
}

// The last lines that bubblewrap itself wrote.
std::string tail_of(int fd, off_t from) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size <= from) return {};
  std::string text(static_cast<std::size_t>(std::min<off_t>(info.st_size - from, 4096)), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), info.st_size - static_cast<off_t>(text.size()));
  text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return text;
}

}  // namespace

const std::vector<std::string>& covered_proc() {
  static const std::vector<std::string> found = find_covered_proc();
  return found;
}

Result<bool> narrow_platform(const model::Sandbox& sandbox) {
  struct Machine {
    std::string_view name;  // as uname has it
    std::string_view architecture, narrow;
  };
  static constexpr Machine kMachines[] = {
      {"x86_64", "x86-64", "x86-32"},    {"aarch64", "aarch64", "aarch32"},     {"armv8l", "aarch64", "aarch32"}, {"i686", "x86-32", ""},
      {"i586", "x86-32", ""},            {"ppc64le", "power-isa-le", ""},       {"ppc64", "power-isa-be", ""},    {"riscv64", "rv64g", ""},
      {"loongarch64", "la64v100", ""},   {"sparc64", "sparc-v9", ""},
  };
  utsname here{};
  ::uname(&here);
  std::string os = here.sysname;
  std::transform(os.begin(), os.end(), os.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  // "": of an artifact that doesn't say it, which was built here.
  if (!sandbox.build_os.empty() && sandbox.build_os != os) {
    return unavailable(fmt::format("This platform does not support local builds: OS '{}' is not supported, only '{}'", sandbox.build_os, os));
  }
  const std::string_view name = here.machine;
  const auto* machine = std::find_if(std::begin(kMachines), std::end(kMachines), [&](const Machine& one) { return one.name == name; });
  if (sandbox.build_arch.empty() || machine == std::end(kMachines) || sandbox.build_arch == machine->architecture) return false;
  if (sandbox.build_arch == machine->narrow) return true;
  return unavailable(fmt::format("This platform does not support local builds: ISA '{}' is not supported, only '{}'{}", sandbox.build_arch,
                                 machine->architecture, machine->narrow.empty() ? "" : fmt::format(" and '{}'", machine->narrow)));
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

Result<int> run_sandbox(const SandboxRun& run, Cancel& cancel) {
  const std::string bubblewrap = find_bubblewrap();
  if (bubblewrap.empty()) return unavailable("bubblewrap (bwrap) is not in PATH; builds need it");
  if (auto status = cancel.check(); !status) return forward(status);

  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd status_read(pipes[0]), status_write(pipes[1]);
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd report_read(pipes[0]), report_write(pipes[1]);
  if (::pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  UniqueFd alive_read(pipes[0]), alive_write(pipes[1]);

  Plan plan;
  plan.overlay = !run.root_read_only || run.layers.size() > 1;
  plan.root_read_only = run.root_read_only;
  plan.root = run.layers.front();
  plan.merged = run.merged;
  plan.mounts = run.mounts;
  plan.covered = &covered_proc();
  plan.narrow = run.narrow;
  plan.output = run.output;
  plan.tokens = run.tokens;
  UniqueFd status_high(::fcntl(status_write.get(), F_DUPFD_CLOEXEC, kAboveOwn));
  if (!status_high) return fail_errno(errno, "fcntl");
  plan.status_fd = status_high.get();
  const Result<std::string>& calls = call_filter(run.narrow);
  if (!calls) return tl::unexpected(calls.error());
  auto filter = file_to_read(*calls);
  if (!filter) return forward(filter);
  plan.filter_fd = filter->get();
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
      plan.options += ",upperdir=" + escape_overlay(run.upper) + ",workdir=" + escape_overlay(run.work);
    }
  }
  plan.uid_map = fmt::format("0 {} 1\n", ::geteuid());
  plan.gid_map = fmt::format("0 {} 1\n", ::getegid());

  auto& a = plan.arguments;
  a = {bubblewrap, "--unshare-user", "--unshare-net", "--unshare-ipc", "--unshare-uts",
       "--hostname", "buildbox", "--die-with-parent", "--cap-drop", "ALL",
       "--uid", std::to_string(run.uid), "--gid", std::to_string(run.gid),
       "--dev-bind", run.merged, "/", "--chdir", run.directory};
  for (const auto& [name, value] : run.environment) a.insert(a.end(), {"--setenv", name, value});
  a.insert(a.end(), {"--seccomp", std::to_string(plan.filter_fd), "--json-status-fd", std::to_string(plan.status_fd), "--"});
  a.insert(a.end(), run.argv.begin(), run.argv.end());
  for (auto& argument : a) plan.argv.push_back(argument.data());
  plan.argv.push_back(nullptr);

  struct stat before {};
  ::fstat(run.output, &before);
  // As vfork(), with namespaces.
  constexpr std::size_t kStack = 64 << 10;
  const auto stack = std::make_unique<std::byte[]>(kStack);
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP | SIGCHLD;
  const pid_t pid = ::clone(child, stack.get() + kStack, flags, &plan);
  if (pid < 0) return unavailable(fmt::format("cannot make a user namespace: {}", std::strerror(errno)));
  status_write.reset();
  status_high.reset();
  report_write.reset();

  Failure failure;
  if (::read(report_read.get(), &failure, sizeof failure) == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    return unavailable(fmt::format("{}: {}", describe(failure.step), std::strerror(failure.cause)));
  }

  // Until bubblewrap has ended; all of its processes are gone with it.
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool cancelled = false;
  for (;;) {
    pollfd fds[2] = {{pidfd.get(), POLLIN, 0}, {cancelled ? -1 : cancel.fd(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) break;
    if (fds[0].revents != 0) break;
    if (!cancelled && cancel.requested()) {
      cancelled = true;
      // The runner sends SIGKILL to all of us when its patience ends.
      signal_descendants(::getpid(), SIGTERM);
    }
  }
  int wait_status = 0;
  while (::waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (cancelled) return fail("job", "killed", "The job was killed");

  auto status_text = read_all(status_read.get(), 1u << 16);
  // bubblewrap says "exit-code" only when the command was started.
  if (!status_text || status_text->find("\"exit-code\"") == std::string::npos) {
    if (WIFSIGNALED(wait_status)) {
      return fail("sandbox", "sandbox-killed", fmt::format("bubblewrap was killed by signal {}", WTERMSIG(wait_status)));
    }
    std::string told = tail_of(run.output, before.st_size);
    // A shell that can't be executed is what was staged, not the machine: a failure of the command.
    if (told.find("bwrap: execvp ") != std::string::npos) return WEXITSTATUS(wait_status);
    return unavailable("bubblewrap could not set up the sandbox", std::move(told));
  }
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
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

}  // namespace sluice::jobs
