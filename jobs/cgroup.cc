#include "jobs/cgroup.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/try.h"

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

// Calls a function for each line of a file; nothing when it can't be read.
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

bool holds_word(std::string_view list, std::string_view word, char between) {
  while (!list.empty()) {
    const std::size_t end = list.find(between);
    if (list.substr(0, end) == word) return true;
    list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  }
  return false;
}

// The directory of the group that this process is in, in the hierarchy of version 2, or that of
// version 1 which has `controller`; "": there is none to be seen.
std::string own_group(std::string_view controller = {}) {
  std::string group;
  // A line is "number:controllers:path".
  for_lines("/proc/self/cgroup", [&](std::string_view line) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) return;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : holds_word(controllers, controller, ','))
      group = line.substr(second + 1);
  });
  std::string found;
  // A line is "36 35 98:0 /root /mount/point options [optional ...] - type source options"
  // (proc(5)).
  for_lines("/proc/self/mountinfo", [&](std::string_view line) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return;
    std::string_view filesystem = line.substr(dash + 3);
    if (next_word(filesystem) != (controller.empty() ? "cgroup2" : "cgroup")) return;
    next_word(filesystem);
    if (!controller.empty() && !holds_word(filesystem, controller, ',')) return;
    for (int skipped = 0; skipped < 3; ++skipped) next_word(line);
    std::string_view root = next_word(line);
    const std::string_view mount = next_word(line);
    if (root == "/") root = "";
    // A part of the hierarchy is mounted in which we are not, or we are in another one.
    if (group.empty() || group.starts_with("/..") || !group.starts_with(root)) return;
    const std::string_view rest = std::string_view(group).substr(root.size());
    if (!rest.empty() && rest.front() != '/') return;
    found = std::string(mount) + (rest == "/" ? "" : std::string(rest));
  });
  return found;
}

// Removes a group with those below it; false when one of them isn't empty.
bool remove_group(const std::string& path) {
  if (::rmdir(path.c_str()) == 0) return true;
  DIR* stream = ::opendir(path.c_str());
  if (stream == nullptr) return errno == ENOENT;
  std::vector<std::string> below;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") below.emplace_back(name);
  }
  ::closedir(stream);
  for (const std::string& name : below) remove_group(path + "/" + name);
  return ::rmdir(path.c_str()) == 0;
}

Status write_group_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno(errno, path);
  return {};
}

void sweep(const std::string& group) {
  DIR* stream = group.empty() ? nullptr : ::opendir(group.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    pid_t pid = 0;
    const auto read = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
    if (read.ec != std::errc() || pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
    remove_group(group + "/" + entry->d_name);  // a group that has processes stays
  }
  ::closedir(stream);
}

}  // namespace

std::unique_ptr<Cgroup> Cgroup::make(bool memory) {
  const std::string group = own_group();
  if (group.empty()) return nullptr;
  sweep(group);
  auto made = make_in(group, memory);
  if (!memory || (made && made->limits_memory_)) return made;
  // Controllers can be had in a group without processes alone, or at the top: where a login gave us
  // the group above ours, too, ...
  const std::string above = group.substr(0, group.rfind('/'));
  const bool ours_above = path_exists(above + "/cgroup.procs");
  if (ours_above) sweep(above);
  if (auto beside = ours_above ? make_in(above, memory) : nullptr; beside && beside->limits_memory_)
    return beside;
  // ... or where version 1 has memory.
  const std::string first = own_group("memory");
  if (!made || first.empty()) return made;
  sweep(first);
  const std::string path = fmt::format("{}/{}{}", first, kPrefix, ::getpid());
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) made->memory_ = path;
  return made;
}

std::unique_ptr<Cgroup> Cgroup::make_in(const std::string& group, bool memory) {
  const std::string path = fmt::format("{}/{}{}", group, kPrefix, ::getpid());
  if (::mkdir(path.c_str(), 0755) != 0) return nullptr;
  std::unique_ptr<Cgroup> made(new Cgroup(path));
  if (!path_exists(path + "/cgroup.freeze")) return nullptr;  // before Linux 5.2
  if (!memory) return made;
  if (!path_exists(path + "/memory.max"))
    (void)write_group_file(group + "/cgroup.subtree_control", "+memory");
  made->limits_memory_ = path_exists(path + "/memory.max") &&
                         made->write("cgroup.subtree_control", "+memory").has_value();
  return made;
}

Cgroup::~Cgroup() {
  groups_.clear();
  if (!remove_group(path_)) {
    (void)write("cgroup.kill", "1");
    (void)thaw();
    (void)wait_for_event("populated 0", kEndLimit);
    remove_group(path_);
  }
  if (!memory_.empty()) remove_group(memory_);
}

Status Cgroup::write(const std::string& file, std::string_view text) const {
  return write_group_file(path_ + "/" + file, text);
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
    if (n > 0 &&
        std::string_view(text, static_cast<std::size_t>(n)).find(line) != std::string_view::npos)
      return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - system_clock().monotonic());
    if (left.count() <= 0) return false;
    pollfd change{fd.get(), POLLPRI, 0};
    ::poll(&change, 1, static_cast<int>(left.count()));
  }
}

// Puts the process into a leaf of its own: where memory is limited, processes are in leaves alone.
Status Cgroup::add(pid_t pid) {
  const std::string path = path_ + "/server";
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, path);
  return write("server/cgroup.procs", std::to_string(pid));
}

Result<JobGroup*> Cgroup::take() {
  if (!free_.empty()) {
    JobGroup* group = free_.back();
    free_.pop_back();
    return group;
  }
  auto made = std::make_unique<JobGroup>();
  made->path = fmt::format("{}/job-{}", path_, groups_.size());
  const auto open = [](const std::string& path, UniqueFd& fd) -> Status {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, path);
    fd.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno(errno, path);
    return {};
  };
  CHECK(open(made->path, made->group));
  if (limits_memory_) {
    made->memory_path = made->path;
  } else if (!memory_.empty()) {
    made->memory_path = fmt::format("{}/job-{}", memory_, groups_.size());
  }
  if (!made->memory_path.empty()) {
    CHECK(open(made->memory_path, made->memory));
  }
  groups_.push_back(std::move(made));
  return groups_.back().get();
}

void Cgroup::give_back(JobGroup* group) {
  const auto events = read_file(group->path + "/cgroup.events");
  if (events && events->find("populated 0") != std::string::npos) return free_.push_back(group);
  // The group isn't used again: Linux kills whoever is forked into a group that was ever killed
  // (seen with 6.18).
  (void)write_group_file(group->path + "/cgroup.kill", "1");
}

Status Cgroup::freeze(Duration limit) {
  CHECK(write("cgroup.freeze", "1"));
  if (wait_for_event("frozen 1", limit)) return {};
  return fail("job", "freeze", "The control group of the jobs is not frozen in time");
}

Status Cgroup::thaw() { return write("cgroup.freeze", "0"); }

}  // namespace sluice::jobs
