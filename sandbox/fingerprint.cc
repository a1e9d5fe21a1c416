#include "sandbox/fingerprint.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/tool.h"

namespace sluice::sandbox {

namespace {

std::string bubblewrap_version() {
  const auto run = run_tool(
      {.argv = {"bwrap", "--version"}, .own_session = true, .silence = std::chrono::seconds(10)},
      {});
  if (!run || run->status != 0) return "no bubblewrap";
  std::string text = run->output;  // "bubblewrap 0.8.0"
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

bool write_whole(const char* path, const char* text, std::size_t size) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written = file >= 0 && ::write(file, text, size) == static_cast<ssize_t>(size);
  if (file >= 0) ::close(file);
  return written;
}

// Whether an overlay can be mounted in a user namespace of ours. A child tries, in namespaces that
// end with it; it has the memory of a process with threads, so that it does nothing but system
// calls. Directories in a tmpfs can be made only by a user whom the namespace knows; /proc is what
// is there on every machine to mount upon.
bool mounts_overlays() {
  const std::string user = fmt::format("0 {} 1\n", ::geteuid());
  const std::string group = fmt::format("0 {} 1\n", ::getegid());
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    const bool mounted = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
                         write_whole("/proc/self/setgroups", "deny", 4) &&
                         write_whole("/proc/self/uid_map", user.data(), user.size()) &&
                         write_whole("/proc/self/gid_map", group.data(), group.size()) &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", "/proc", "tmpfs", 0, "mode=0755") == 0 &&
                         ::mkdir("/proc/a", 0755) == 0 && ::mkdir("/proc/b", 0755) == 0 &&
                         ::mount("overlay", "/proc/a", "overlay", MS_RDONLY,
                                 "userxattr,lowerdir=/proc/a:/proc/b") == 0;
    ::_exit(mounted ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool filters_calls() {
  const unsigned action = SECCOMP_RET_ERRNO;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}  // namespace

const std::string& build_fingerprint() {
  static const std::string fingerprint =
      fmt::format("rules {}, {}, {}overlayfs, {}seccomp", kBuildRules, bubblewrap_version(),
                  mounts_overlays() ? "" : "no ", filters_calls() ? "" : "no ");
  return fingerprint;
}

std::string machine_id() {
  if (auto text = read_file("/proc/sys/kernel/random/boot_id")) {
    while (!text->empty() && text->back() == '\n') text->pop_back();
    if (!text->empty()) return *text;
  }
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace sluice::sandbox
