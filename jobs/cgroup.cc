#include "jobs/cgroup.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"

namespace sluice::jobs {

namespace {

constexpr std::string_view kPrefix = "sluice-jobs-";
constexpr Duration kEndLimit = std::chrono::seconds(1);

std::string_view next_word(std::string_view& line) {
  const std::size_t end = line.find(' ');
  const std::string_view word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  return word;
}

// Calls for each line of a file; nothing when it can't be read.
template <typename F>
void for_lines(const std::string& file, const F& f) {
  const auto text = read_file(file);
  if (!text) return;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    f(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
}

// The directory of the group that this process is in; "": there is none to be seen.
std::string own_group() {
  std::string group;
  for_lines("/proc/self/cgroup", [&](std::string_view line) {
    if (line.starts_with("0::")) group = line.substr(3);
  });
  std::string found;
  // "36 35 98:0 /root /mount/point options [optional ...] - type source options" (proc(5))
  for_lines("/proc/self/mountinfo", [&](std::string_view line) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos || !line.substr(dash + 3).starts_with("cgroup2 ")) return;
    for (int skipped = 0; skipped < 3; ++skipped) next_word(line);
    std::string_view root = next_word(line);
    const std::string_view mount = next_word(line);
    if (root == "/") root = "";
    // What is mounted is a part of the hierarchy, or we are in another.
    if (group.empty() || group.starts_with("/..") || !group.starts_with(root)) return;
    const std::string_view rest = std::string_view(group).substr(root.size());
    if (!rest.empty() && rest.front() != '/') return;
    found = std::string(mount) + (rest == "/" ? "" : std::string(rest));
  });
  return found;
}

void sweep(const std::string& group) {
  DIR* stream = ::opendir(group.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    pid_t pid = 0;
    const auto read = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
    if (read.ec != std::errc() || pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
    ::unlinkat(::dirfd(stream), entry->d_name, AT_REMOVEDIR);  // one that has processes stays
  }
  ::closedir(stream);
}

}  // namespace

std::unique_ptr<Cgroup> Cgroup::make() {
  const std::string group = own_group();
  if (group.empty()) return nullptr;
  sweep(group);
  const std::string path = fmt::format("{}/{}{}", group, kPrefix, ::getpid());
  if (::mkdir(path.c_str(), 0755) != 0) return nullptr;
  std::unique_ptr<Cgroup> made(new Cgroup(path));
  if (!path_exists(path + "/cgroup.freeze")) return nullptr;  // before Linux 5.2
  return made;
}

Cgroup::~Cgroup() {
  if (::rmdir(path_.c_str()) == 0) return;
  (void)write("cgroup.kill", "1");
  (void)thaw();
  (void)wait_for_event("populated 0", kEndLimit);
  ::rmdir(path_.c_str());
}

Status Cgroup::write(const char* file, std::string_view text) const {
  const std::string path = path_ + "/" + file;
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return fail_errno(errno, path);
  return {};
}

bool Cgroup::wait_for_event(std::string_view line, Duration limit) const {
  const Duration deadline = system_clock().monotonic() + limit;
  const std::string path = path_ + "/cgroup.events";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  for (;;) {
    char text[256];
    const ssize_t n = ::pread(fd.get(), text, sizeof text, 0);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0 && std::string_view(text, static_cast<std::size_t>(n)).find(line) != std::string_view::npos) return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - system_clock().monotonic());
    if (left.count() <= 0) return false;
    pollfd change{fd.get(), POLLPRI, 0};
    ::poll(&change, 1, static_cast<int>(left.count()));
  }
}

Status Cgroup::add(pid_t pid) { return write("cgroup.procs", std::to_string(pid)); }

Status Cgroup::freeze(Duration limit) {
  if (auto written = write("cgroup.freeze", "1"); !written) return written;
  if (wait_for_event("frozen 1", limit)) return {};
  return fail("job", "freeze", "The control group of the jobs is not frozen in time");
}

Status Cgroup::thaw() { return write("cgroup.freeze", "0"); }

}  // namespace sluice::jobs
