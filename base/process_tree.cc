#include "base/process_tree.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace sluice {

namespace {

constexpr const char* kOomScoreAdj = "/proc/self/oom_score_adj";

// Contents of a small file of /proc; "" when it is gone.
std::string read_proc(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  auto text = read_all(fd.get(), 1u << 20);
  return text ? std::move(*text) : std::string();
}

// Children of every thread: a thread's children are its own in this list.
void children_of(pid_t pid, std::vector<Descendant>& out) {
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  DIR* directory = ::opendir(tasks.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const std::string text = read_proc(fmt::format("{}/{}/children", tasks, entry->d_name));
    const char* at = text.c_str();
    for (;;) {
      char* end = nullptr;
      const long child = std::strtol(at, &end, 10);
      if (end == at) break;
      out.push_back({static_cast<pid_t>(child), pid});
      at = end;
    }
  }
  ::closedir(directory);
}

// The part of /proc/PID/stat after the name, which may hold anything, parentheses too.
std::string stat_after_name(pid_t pid) {
  const std::string text = read_proc(fmt::format("/proc/{}/stat", pid));
  const auto close = text.rfind(')');
  return close == std::string::npos || close + 2 >= text.size() ? std::string()
                                                                : text.substr(close + 2);
}

// A descriptor for `process` if it still has the parent it was found under.
UniqueFd hold(const Descendant& process) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd) return fd;
  const std::string stat = stat_after_name(process.pid);
  if (process.parent >= 0 && (stat.size() < 3 || std::atol(stat.c_str() + 2) != process.parent))
    return UniqueFd();
  return fd;
}

bool send(const UniqueFd& pidfd, int signal) {
  return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

bool ended_or_stopped(char state) {
  return state == 'T' || state == 't' || state == '\0' || state == 'Z' || state == 'X';
}

}  // namespace

std::vector<Descendant> descendants(pid_t pid) {
  std::vector<Descendant> all;
  children_of(pid, all);
  for (std::size_t i = 0; i < all.size(); ++i) children_of(all[i].pid, all);
  return all;
}

char process_state(pid_t pid) {
  const std::string stat = stat_after_name(pid);
  return stat.empty() ? '\0' : stat[0];
}

Status Freezer::freeze(Duration limit) {
  if (frozen_) return {};
  const Duration end = system_clock().monotonic() + limit;
  std::set<pid_t> signalled;
  for (;;) {
    std::vector<Descendant> all = descendants(root_);
    all.insert(all.begin(), Descendant{root_, -1});
    bool found = false, stopped = true;
    for (const Descendant& process : all) {
      // Stopped before us by somebody else: it stays so afterwards, too.
      if (ended_or_stopped(process_state(process.pid))) continue;
      stopped = false;
      if (signalled.count(process.pid) != 0) continue;
      UniqueFd held = hold(process);
      if (!held || !send(held, SIGSTOP)) continue;
      found = true;
      signalled.insert(process.pid);
      stopped_.push_back(std::move(held));
    }
    const bool late = system_clock().monotonic() > end;
    // Whoever has the signal pending runs no instruction of its own any more, and
    // fork() fails for it, so a pass that finds nobody new has found all. That they are
    // seen to be stopped takes until each is scheduled, which a busy machine may delay.
    if (!found && (stopped || late)) {
      frozen_ = true;
      return {};
    }
    if (late) {
      frozen_ = true;
      return fail("job", "not-frozen",
                  fmt::format("new processes appear below {} faster than they are stopped", root_));
    }
    ::poll(nullptr, 0, 1);
  }
}

void Freezer::thaw() {
  if (!frozen_) return;
  for (auto pidfd = stopped_.rbegin(); pidfd != stopped_.rend(); ++pidfd) send(*pidfd, SIGCONT);
  stopped_.clear();
  frozen_ = false;
}

int oom_score_adj() { return std::atoi(read_proc(kOomScoreAdj).c_str()); }

void raise_oom_score_adj(int by) {
  const std::string text = std::to_string(std::min(oom_score_adj() + by, kMostOomScoreAdj));
  const UniqueFd fd(::open(kOomScoreAdj, O_WRONLY | O_CLOEXEC));
  if (fd) (void)write_all(fd.get(), text);
}

unsigned signal_descendants(pid_t root, int signal) {
  unsigned reached = 0;
  for (const Descendant& process : descendants(root)) {
    const UniqueFd held = hold(process);
    if (held && send(held, signal)) ++reached;
  }
  return reached;
}

}  // namespace sluice
