#include "cli/supervisor.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/try.h"
#include "cli/death.h"
#include "cli/disk_room.h"
#include "cli/session_prune.h"
#include "history/outline.h"
#include "store/sync.h"
#include "wire/joined.h"
#include "wire/session.h"

namespace sluice::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLivedLongEnough = seconds(10);
// How long a process may say that it can't do what it must (its disk is full) before the session is
// given up. A trouble that isn't said again for as long is over.
constexpr Duration kTroubleFor = seconds(5);
// How long, and how often (ms), a lock that another holds is asked for.
constexpr Duration kLockFor = seconds(2);
constexpr int kLockAgain = 5;
// Connections of a storm of runners that wait to be accepted.
constexpr int kBacklog = 4096;

struct Child {
  std::string name;                  // "broker"; its program is "sluice-broker"
  std::vector<std::string> listens;  // endpoints whose sockets it takes over, on TCP too
  Duration end_deadline;             // from "end" until it is killed
  bool wanted = false;               // starts again when it dies
  // Of a program that is none of the session's own kind: its whole command line. It has no line to
  // the supervisor, and ends by SIGTERM.
  std::vector<std::string> command;
  std::uint64_t epoch = 0;
  unsigned deaths = 0;
  Duration started{};
  std::optional<Duration> start_at;
  std::optional<Process> process;
  std::optional<wire::SupervisorLine> line;
  bool end_sent = false;
  Duration kill_at{};
};

Result<UniqueFd> listen_at(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail("app", "path-too-long", path + ": too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0) return fail_errno(errno, "bind " + path);
  if (::listen(fd.get(), kBacklog) != 0) return fail_errno(errno, "listen " + path);
  return fd;
}

// A socket bound to a TCP address, that listens unless it only `holds` the port for somebody else
// who will.
Result<UniqueFd> listen_on_tcp(const std::string& host, std::uint32_t port, bool holds) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.empty() || host == "*" ? nullptr : host.c_str(),
                                  std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fail("session", "no-address",
                fmt::format("Can't listen at {}: {}", host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno(errno, "socket");
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, holds ? SO_REUSEPORT : SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      (!holds && ::listen(fd.get(), kBacklog) != 0)) {
    return fail("session", "no-address",
                fmt::format("Can't listen at {}, port {}: {}", host, port, std::strerror(errno)));
  }
  return fd;
}

Result<std::uint32_t> port_of(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return fail_errno(errno, "getsockname");
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// The directory of a session whose supervisor was killed: nobody holds its lock. The lock is held
// while removing, so that no session of that id starts meanwhile.
void remove_stale_runtime(const wire::SessionPaths& paths) {
  if (!path_exists(paths.runtime)) return;
  UniqueFd lock(::open((paths.state + "/lock").c_str(), O_RDWR | O_CLOEXEC));
  // A session without a lock is one that begins.
  if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return;
  (void)remove_tree(paths.runtime);
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options) : options_(options) {}

  Status start();
  int run();
  // Leaves nothing of a start that failed.
  void abandon() {
    if (!locked_) return;
    kill_descendants();
    (void)remove_tree(paths_.runtime);
    (void)write_description("stopped");
  }
  // Whether the command is gone is for the line's end to say: what isn't read any more is no loss.
  void tell(std::string_view line) {
    if (attached_) (void)attached_->send(line);
  }

 private:
  Child& child(std::string_view name) {
    return *std::find_if(children_.begin(), children_.end(),
                         [&](const Child& c) { return c.name == name; });
  }
  Status take_lock();
  Status write_description(std::string_view state);
  Status listen_for_others();
  Status spawn_child(Child& child);
  void child_died(Child& child);
  void child_says(Child& child);
  void trouble(const Child& child, std::string_view text);
  void begin_end(int code, std::string_view why);
  void advance_end();
  void send_end(Child& child);
  void reap_orphans();
  void kill_descendants();
  void sync(const std::string& store);
  void handle_signal();
  void handle_attached();
  void detach();
  int poll_timeout() const;
  Duration now() const { return system_clock().monotonic(); }

  SupervisorOptions options_;
  wire::SessionPaths paths_;
  UniqueFd lock_;            // its content is epoch_
  bool locked_ = false;      // the session is ours
  std::uint64_t epoch_ = 0;  // the largest that a child of this session was given
  UniqueFd signals_;
  UniqueFd null_;
  std::optional<wire::SupervisorLine> attached_;
  std::map<std::string, UniqueFd> listening_;
  std::vector<std::string> cas_;  // the command line of sluice-cas, of a session that others join
  std::vector<Child> children_;
  std::vector<pid_t> syncing_;  // see sync()
  std::int64_t started_ns_ = system_clock().wall_ns();
  bool detached_ = false;
  bool ending_ = false;
  bool signalled_ = false;
  bool killed_ = false;
  int code_ = 0;
  struct Trouble {
    std::string text;
    Duration since{}, last{};
  };
  std::optional<Trouble> trouble_;
  // by the kernel, on this machine, when the session began
  std::optional<std::uint64_t> killed_for_memory_;
};

Status Supervisor::start() {
  if (options_.attached_fd >= 0) attached_.emplace(options_.attached_fd);
  paths_ = TRY(wire::SessionPaths::of(options_.session));
  CHECK(take_lock());
  char kept[32] = "";
  if (::pread(lock_.get(), kept, sizeof kept - 1, 0) > 0) epoch_ = std::strtoull(kept, nullptr, 10);
  for (const auto& id : wire::list_session_ids()) {
    if (id == paths_.id) continue;
    if (auto other = wire::SessionPaths::of(id)) remove_stale_runtime(*other);
  }
  CHECK(write_description("active"));

  null_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // The broker holds a descriptor for each attached peer; libzmq's ipc listener aborts when there
  // is none left.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65536);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (const char* name : wire::kEndpoints) {
    auto fd = TRY(listen_at(paths_.socket_path(name)));
    listening_.emplace(name, std::move(fd));
  }
  if (wire::listens_on_tcp(paths_.state)) CHECK(listen_for_others());
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_errno(errno, "signalfd");

  children_.push_back({.name = "broker",
                       .listens = {"records", "live-in", "live-out", "control"},
                       .end_deadline = seconds(4),
                       .wanted = true});
  children_.push_back(
      {.name = "loader", .listens = {}, .end_deadline = seconds(2), .wanted = true});
  children_.push_back(
      {.name = "scheduler", .listens = {"jobs"}, .end_deadline = seconds(15), .wanted = true});
  children_.push_back(
      {.name = "runner", .listens = {}, .end_deadline = seconds(10), .wanted = false});
  if (!cas_.empty()) {
    children_.push_back({.name = "cas",
                         .listens = {},
                         .end_deadline = seconds(5),
                         .wanted = true,
                         .command = cas_});
  }
  for (Child& child : children_) {
    if (!child.wanted) continue;
    CHECK(spawn_child(child));
  }
  killed_for_memory_ = memory_kills();
  tell("ready");
  return {};
}

// Listens on TCP as the session's plan says, on the same ports as before when the session is
// resumed. sluice-cas listens by itself, at a port that is held for it as long as the session
// lives.
Status Supervisor::listen_for_others() {
  wire::ListenPlan plan = TRY(wire::read_listen_plan(paths_.state));
  const auto before = std::exchange(plan.ports, {});
  std::uint32_t next = plan.port;
  for (const std::string_view name : wire::kRemoteEndpoints) {
    std::uint32_t port = plan.port == 0 ? 0 : next++;
    for (const auto& [endpoint, used] : before) {
      if (endpoint == name) port = used;
    }
    const bool is_cas = name == wire::kCasEndpoint;
    UniqueFd fd = TRY(listen_on_tcp(plan.host, port, is_cas));
    port = TRY(port_of(fd));
    plan.ports.emplace_back(name, port);
    if (is_cas) {
      const bool v6 = plan.host.find(':') != std::string::npos;
      cas_ = {find_program("sluice-cas"),
              plan.cachedir,
              "--bind",
              fmt::format("{}{}{}:{}", v6 ? "[" : "", plan.host == "*" ? "0.0.0.0" : plan.host,
                          v6 ? "]" : "", port),
              "--session-access",
              paths_.state,
              "--server-key",
              paths_.state + "/access/cas.key",
              "--server-cert",
              paths_.state + "/access/cas.crt"};
    }
    listening_.emplace(fmt::format("tcp/{}", name), std::move(fd));
  }
  return wire::write_listen_plan(paths_.state, plan);
}

// Takes the session's lock. Whoever looks for sessions that are over holds the lock of each for a
// moment, also of one that begins or is resumed, and may remove its directories. So a lock that is
// held is waited for, for a while, and what is gone is made again.
Status Supervisor::take_lock() {
  const std::string path = paths_.state + "/lock";
  const Duration until = now() + kLockFor;
  for (;;) {
    CHECK(paths_.make());
    lock_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock_ && (errno != ENOENT || now() >= until)) return fail_errno(errno, path);
    if (lock_ && ::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) {
      struct stat ours {
      }, there{};
      const bool same = ::fstat(lock_.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
                        ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
      if (same) {
        locked_ = true;
        return paths_.make();
      }
    } else if (lock_ && errno != EWOULDBLOCK && errno != EINTR) {
      return fail_errno(errno, path);
    }
    if (now() >= until)
      return fail("app", "session-active", fmt::format("session {} is active already", paths_.id));
    ::poll(nullptr, 0, kLockAgain);
  }
}

Status Supervisor::write_description(std::string_view state) {
  nlohmann::json description{{"id", paths_.id},        {"project", options_.project},
                             {"verb", options_.verb},  {"pid", ::getpid()},
                             {"started", started_ns_}, {"state", state}};
  // How it went, for lists of sessions: there nobody is to read the records of each.
  if (state != "active") {
    if (const auto course = history::outline(paths_, true)) {
      description["course"] = {{"outcome", course->outcome},
                               {"targets", course->targets},
                               {"ended", course->ended},
                               {"duration", course->duration}};
    }
  }
  return write_file_atomic(
      paths_.state + "/session.json",
      description.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", 0600);
}

Status Supervisor::spawn_child(Child& child) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail_errno(errno, "socketpair");
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  UniqueFd log(::open(paths_.process_log("sluice-" + child.name).c_str(),
                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  // Epochs only have to grow, over resumed sessions and a clock that was set back too.
  epoch_ = std::max(epoch_ + 1, static_cast<std::uint64_t>(system_clock().wall_ns()));
  child.epoch = epoch_;
  const std::string kept = fmt::format("{}\n", epoch_);
  if (::pwrite(lock_.get(), kept.data(), kept.size(), 0) != static_cast<ssize_t>(kept.size())) {
    log::warn("{}/lock: the epoch can't be kept: {}", paths_.state, std::strerror(errno));
  }
  SpawnOptions options;
  options.argv = child.command;
  if (options.argv.empty())
    options.argv = {find_program("sluice-" + child.name),
                    "--session",
                    paths_.id,
                    "--instance",
                    child.name,
                    "--epoch",
                    std::to_string(child.epoch),
                    "--supervisor",
                    "3"};
  if (child.command.empty()) options.keep_fds.emplace_back(theirs.get(), 3);
  int number = 4;
  for (const auto& endpoint : child.listens) {
    for (const std::string& name : {endpoint, fmt::format("tcp/{}", endpoint)}) {
      const auto fd = listening_.find(name);
      if (fd == listening_.end()) continue;
      options.argv.insert(options.argv.end(), {"--listen", fmt::format("{}={}", name, number)});
      options.keep_fds.emplace_back(fd->second.get(), number++);
    }
  }
  options.standard_input = null_.get();
  options.standard_output = log ? log.get() : null_.get();
  options.standard_error = options.standard_output;
  options.new_process_group = true;
  options.die_with_parent = true;
  auto process = TRY(spawn(options));
  child.process = std::move(process);
  if (child.command.empty()) child.line.emplace(ours.release());
  child.started = now();
  child.start_at.reset();
  child.end_sent = false;
  log::info("started {} as process {}", child.name, child.process->pid);
  if (detached_ && child.name == "scheduler") (void)child.line->send("detached");
  return {};
}

void Supervisor::child_died(Child& child) {
  const auto death = reap(*child.process);
  if (!death) return;
  const pid_t pid = child.process->pid;
  child.process.reset();
  child.line.reset();
  const std::string how = death->how();
  if (ending_ && death->signal == 0) {
    log::info("{} {}", child.name, how);
    return;
  }
  log::warn("{}, process {}, {}: {}", child.name, pid, how, death->details(killed_for_memory_));
  if (ending_) return;
  child.deaths = now() - child.started >= kLivedLongEnough ? 1 : child.deaths + 1;
  if (child.deaths > 1) log::warn("this is death {} of {} in a row", child.deaths, child.name);
  if (child.deaths > kMaxDeaths) {
    tell(fmt::format("failed sluice-{} {} {} times in a row; see {}{}{}", child.name, how,
                     child.deaths, paths_.process_log("sluice-" + child.name),
                     trouble_ ? ". " + trouble_->text : "", no_room_hint(paths_.state)));
    begin_end(1, "a process can't be kept running");
    return;
  }
  child.start_at = now() + restart_delay(child.deaths);
  tell(fmt::format("restarted {} {}", child.name, how));
  // The scheduler gives a runner that is known to be dead no more jobs. It is told which of the
  // runner's processes died, since the next one may be heard first.
  if (Child& scheduler = this->child("scheduler"); child.name != "scheduler" && scheduler.line) {
    (void)scheduler.line->send(fmt::format("died {} {}", child.name, child.epoch));
  }
}

void Supervisor::child_says(Child& child) {
  bool closed = false;
  for (const auto& line : child.line->receive(closed)) {
    if (line == "start runner" && child.name == "scheduler") {
      Child& runner = this->child("runner");
      if (ending_ || runner.wanted) continue;
      runner.wanted = true;
      if (auto spawned = spawn_child(runner); !spawned) {
        tell("failed " + spawned.error().str());
        begin_end(1, "the runner can't be started");
      }
    } else if (line == "ending" && child.name == "scheduler") {
      begin_end(0, "asked for by control");
    } else if (line.starts_with("trouble ")) {
      trouble(child, std::string_view(line).substr(8));
    } else if (line == "detach" && child.name == "scheduler") {
      detach();
    } else if (line.starts_with("sync ") && child.name == "scheduler") {
      sync(line.substr(5));
    } else if (line != "ready" && line != "ended") {
      log::warn("{} sent '{}', which means nothing here", child.name, line);
    }
  }
  if (closed) child.line.reset();
}

void Supervisor::trouble(const Child& child, std::string_view text) {
  if (ending_) return;
  if (!trouble_ || now() - trouble_->last > kTroubleFor) trouble_.emplace().since = now();
  trouble_->text = text;
  trouble_->last = now();
  if (now() - trouble_->since < kTroubleFor) {
    log::warn("{}: {}", child.name, text);
    return;
  }
  tell(fmt::format("failed {}", text));
  begin_end(1, fmt::format("{}: {}", child.name, text));
}

void Supervisor::send_end(Child& child) {
  if (child.end_sent || !child.process) return;
  child.end_sent = true;
  child.kill_at = now() + child.end_deadline;
  if (child.line) {
    (void)child.line->send("end");
  } else if (!child.command.empty()) {
    (void)send_signal(*child.process, SIGTERM);
  }
}

void Supervisor::begin_end(int code, std::string_view why) {
  if (ending_) return;
  ending_ = true;
  code_ = code;
  log::info("ending: {}", why);
  for (Child& child : children_) child.start_at.reset();
  advance_end();
}

void Supervisor::advance_end() {
  if (!ending_) return;
  for (Child& child : children_) {
    if (!child.process || !child.end_sent || now() < child.kill_at) continue;
    log::warn("{} did not end within its deadline and is killed", child.name);
    (void)send_signal(*child.process, SIGKILL);
    child.kill_at = now() + seconds(1);
  }
  send_end(child("loader"));
  send_end(child("scheduler"));
  if (child("scheduler").process) return;
  send_end(child("runner"));
  if (child("runner").process || child("loader").process) return;
  if (!cas_.empty()) send_end(child("cas"));
  send_end(child("broker"));
}

void Supervisor::handle_signal() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    log::info("{}", describe_signal(info));
    if (std::exchange(signalled_, true)) {
      // A second one: now, and at once. (One while the session ends for another reason is answered
      // by that end, which has its deadlines: whoever is killed leaves his scratch to the next
      // session.)
      if (std::exchange(killed_, true)) continue;
      if (!ending_) begin_end(1, fmt::format("signal {}", info.ssi_signo));
      code_ = 1;
      for (Child& child : children_) {
        if (child.process) (void)send_signal(*child.process, SIGKILL);
      }
    } else {
      begin_end(1, fmt::format("signal {}", info.ssi_signo));
    }
  }
  reap_orphans();
}

// From now on the command's end isn't the session's.
void Supervisor::detach() {
  if (!attached_ || ending_) return;
  log::info("the command is no longer waited for");
  tell("detached");
  attached_.reset();
  detached_ = true;
  if (Child& scheduler = child("scheduler"); scheduler.line) (void)scheduler.line->send("detached");
}

void Supervisor::handle_attached() {
  bool closed = false;
  for (const auto& line : attached_->receive(closed)) {
    if (line == "end") {
      begin_end(0, "asked for by the command");
    } else if (line == "detach") {
      return detach();
    } else {
      log::warn("the command sent '{}', which means nothing here", line);
    }
  }
  if (closed) {
    attached_.reset();
    begin_end(1, "the command is gone");
  }
}

// As the subreaper we inherit what a killed runner leaves.
void Supervisor::reap_orphans() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    for (const Child& child : children_) {
      if (child.process && child.process->pid == info.si_pid) return;  // its pidfd tells the loop
    }
    ::waitpid(info.si_pid, nullptr, WNOHANG);
    std::erase(syncing_, info.si_pid);
  }
}

// The process that waits for the disk outlives the session: nobody else has to wait, and it can't
// be killed before it is done.
void Supervisor::sync(const std::string& store) {
  const pid_t pid = ::fork();
  if (pid > 0) syncing_.push_back(pid);
  if (pid != 0) return;
  // The session's lock and its pipes are not to be held meanwhile, nor a directory in use but the
  // store's.
  for (const int fd : {0, 1, 2}) ::dup2(null_.get(), fd);
  ::close_range(3, ~0U, 0);
  [[maybe_unused]] const int moved = ::chdir("/");
  ::prctl(PR_SET_NAME, "sluice-sync");
  ::_exit(store::sync(store) ? 0 : 1);
}

void Supervisor::kill_descendants() {
  // Each round kills the children we have; theirs become ours when they die.
  const Duration deadline = now() + seconds(5);
  while (now() < deadline) {
    const std::string path = fmt::format("/proc/self/task/{}/children", ::getpid());
    const auto text = read_file(path);
    if (!text) return;
    bool killed = false;
    for (const char* at = text->c_str(); *at != '\0';) {
      char* end = nullptr;
      const long pid = std::strtol(at, &end, 10);
      if (end == at) break;
      at = end;
      while (*at == ' ') ++at;
      if (std::find(syncing_.begin(), syncing_.end(), pid) != syncing_.end()) continue;
      ::kill(static_cast<pid_t>(pid), SIGKILL);
      killed = true;
    }
    if (!killed) return;
    // Blocks until one of them is gone, so this loop doesn't spin.
    const pid_t gone = ::waitpid(-1, nullptr, 0);
    if (gone < 0 && errno == ECHILD) return;
    std::erase(syncing_, gone);
  }
}

int Supervisor::poll_timeout() const {
  std::optional<Duration> next;
  const auto consider = [&](Duration at) { next = next ? std::min(*next, at) : at; };
  for (const Child& child : children_) {
    if (child.start_at) consider(*child.start_at);
    if (child.process && child.end_sent) consider(child.kill_at);
  }
  if (!next) return -1;
  const auto wait = std::chrono::duration_cast<milliseconds>(*next - now()).count() + 1;
  return static_cast<int>(std::clamp<long>(wait, 0, 60000));
}

int Supervisor::run() {
  for (;;) {
    advance_end();
    if (ending_ && std::none_of(children_.begin(), children_.end(),
                                [](const Child& c) { return c.process.has_value(); }))
      break;
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}};
    if (attached_) polled.push_back({attached_->fd(), POLLIN, 0});
    for (const Child& child : children_) {
      if (child.process) polled.push_back({child.process->pidfd.get(), POLLIN, 0});
      if (child.line) polled.push_back({child.line->fd(), POLLIN, 0});
    }
    if (::poll(polled.data(), polled.size(), poll_timeout()) < 0 && errno != EINTR) {
      log::critical("poll: {}", std::strerror(errno));
      break;
    }
    const auto ready = [&](int fd) {
      return std::any_of(polled.begin(), polled.end(),
                         [&](const pollfd& p) { return p.fd == fd && p.revents != 0; });
    };
    for (Child& child : children_) {
      if (child.line && ready(child.line->fd())) child_says(child);
      if (child.process && ready(child.process->pidfd.get())) child_died(child);
    }
    for (Child& child : children_) {
      if (!ending_ && child.start_at && *child.start_at <= now()) {
        if (auto spawned = spawn_child(child); !spawned) {
          tell("failed " + spawned.error().str());
          begin_end(1, "a process can't be started again");
        }
      }
    }
    if (ready(signals_.get())) handle_signal();
    if (attached_ && ready(attached_->fd())) handle_attached();
  }
  kill_descendants();
  (void)remove_tree(paths_.runtime);
  (void)write_description(code_ == 0 ? "ended" : "stopped");
  tell(fmt::format("ended {}", code_));
  if (const std::size_t pruned = prune_sessions(paths_.id); pruned > 0)
    log::info("removed the state of {} old sessions", pruned);
  return code_;
}

}  // namespace

Duration restart_delay(unsigned deaths) {
  if (deaths <= 1) return Duration::zero();
  return std::min<Duration>(milliseconds(100) * (1u << std::min(deaths - 2, 10u)), seconds(5));
}

int supervise(const SupervisorOptions& options) {
  ::setsid();
  Supervisor supervisor(options);
  if (auto started = supervisor.start(); !started) {
    log::error("{}", started.error().str());
    supervisor.tell("failed " + started.error().message);
    supervisor.abandon();
    return 1;
  }
  return supervisor.run();
}

}  // namespace sluice::cli
