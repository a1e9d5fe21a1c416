#include "wire/session.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::wire {

namespace {

constexpr std::size_t kMaxSocketPath = 107;
constexpr std::size_t kLongestName = 8;  // of kEndpoints

std::string parent_of(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

// What is wrong with a directory; "" when nothing is. Anybody may have made one of this name in
// /tmp before us.
std::string not_private(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return path + ": " + std::strerror(errno);
  if (!S_ISDIR(info.st_mode)) return path + " is not a directory";
  if (info.st_uid != ::getuid()) return fmt::format("{} belongs to user {}", path, info.st_uid);
  if ((info.st_mode & 0077) != 0)
    return fmt::format("{} has mode {:04o}, not 0700", path, info.st_mode & 07777);
  return {};
}

Status make_private(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, path);
  if (const std::string wrong = not_private(path); !wrong.empty()) {
    return fail("app", "insecure-directory", wrong + "; Sluice puts no sockets there");
  }
  return {};
}

// Why sockets can't be put below `home`, which may not be there yet; "" when they can.
std::string unusable(const std::string& home, bool parent_is_ours) {
  struct stat info {};
  if (::lstat(home.c_str(), &info) == 0) return not_private(home);
  std::string parent = parent_of(home);
  while (parent != "/" && ::stat(parent.c_str(), &info) != 0 && errno == ENOENT)
    parent = parent_of(parent);
  if (::access(parent.c_str(), W_OK | X_OK) != 0) return parent + ": " + std::strerror(errno);
  if (parent_is_ours && parent == parent_of(home) && ::stat(parent.c_str(), &info) == 0 &&
      info.st_uid != ::getuid()) {
    return fmt::format("{} belongs to user {}", parent, info.st_uid);
  }
  return {};
}

struct RuntimeHome {
  std::string path;
  std::string note;  // why it isn't the first choice, for people
};

// The first of these that nobody else has a hand in, and that socket paths of this session fit
// below.
Result<RuntimeHome> choose_runtime_home(const std::string& id) {
  std::vector<std::pair<std::string, bool>> homes;  // and whether its parent must be the user's
  if (const char* value = std::getenv("XDG_RUNTIME_DIR"); value != nullptr && value[0] == '/') {
    homes.emplace_back(std::string(value) + "/sluice", true);
  }
  homes.emplace_back(fmt::format("/tmp/sluice-{}", ::getuid()), false);
  homes.emplace_back(state_home() + "/run", false);
  std::string wrong;
  for (const auto& [home, parent_is_ours] : homes) {
    std::string why = home.size() + 1 + id.size() + 1 + kLongestName > kMaxSocketPath
                          ? home + ": socket paths below it are longer than 107 bytes"
                          : unusable(home, parent_is_ours);
    if (why.empty()) {
      if (!wrong.empty()) wrong = fmt::format("{}: the session's sockets are in {}", wrong, home);
      return RuntimeHome{home, std::move(wrong)};
    }
    wrong += (wrong.empty() ? "" : "; ") + why;
  }
  return fail("app", "no-runtime-directory",
              "There is no place for the session's sockets. Set XDG_RUNTIME_DIR to a directory "
              "that is yours alone and has a short path",
              {}, wrong);
}

// Where the one who made the session has put its sockets; "" when that isn't written down.
std::string recorded_runtime(const SessionPaths& paths) {
  auto text = read_file(paths.runtime_file());
  if (!text || text->empty() || text->back() != '\n') return {};
  text->pop_back();
  const bool fine = text->starts_with('/') && text->ends_with("/" + paths.id) &&
                    text->size() + 1 + kLongestName <= kMaxSocketPath;
  return fine ? std::move(*text) : std::string();
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<SessionPaths> SessionPaths::of(std::string_view id) {
  if (id.starts_with('/')) {
    SessionPaths paths;
    paths.state = id;
    paths.joined = std::make_shared<const Joined>(TRY(read_joined(paths.state)));
    paths.id = paths.joined->ticket.session;
    if (!is_session_id(paths.id))
      return fail("app", "invalid-session", fmt::format("{}/joined names no session", paths.state));
    return paths;
  }
  if (!is_session_id(id))
    return fail("app", "invalid-session", fmt::format("'{}' is not the id of a session", id));
  SessionPaths paths;
  paths.id = id;
  paths.state = state_home() + "/sessions/" + paths.id;
  paths.runtime = recorded_runtime(paths);
  if (!paths.runtime.empty()) return paths;
  auto home = TRY(choose_runtime_home(paths.id));
  paths.runtime = home.path + "/" + paths.id;
  paths.note = std::move(home.note);
  return paths;
}

Status SessionPaths::make() const {
  for (const char* part : {"", "/snapshots", "/logs"}) {
    CHECK(make_directories(state + part, 0700));
  }
  const std::string home = parent_of(runtime);
  CHECK(make_directories(parent_of(home)));
  CHECK(make_private(home));
  CHECK(make_private(runtime));
  if (recorded_runtime(*this) == runtime) return {};
  return write_file_atomic(runtime_file(), runtime + "\n", 0600);
}

bool is_process_of_session(std::string_view instance) {
  return std::find(std::begin(kProcesses), std::end(kProcesses), instance) != std::end(kProcesses);
}

bool started_by_supervisor(pid_t process) {
  const pid_t supervisor = ::getppid();
  if (process <= 0) return false;
  if (process == supervisor) return true;
  // The file is "PID (NAME) STATE PARENT ...", where a name may hold anything.
  const auto text = read_file(fmt::format("/proc/{}/stat", process));
  const auto end = text ? text->rfind(") ") : std::string::npos;
  if (end == std::string::npos || text->size() < end + 5) return false;
  pid_t parent = 0;
  std::from_chars(text->data() + end + 4, text->data() + text->size(), parent);
  return parent == supervisor;
}

Address SessionPaths::address(std::string_view name) const {
  if (!joined) return endpoint(name);
  // An endpoint that the join file doesn't have is one that nobody answers at.
  auto address = address_of(joined->ticket, name, joined->keys);
  return address ? std::move(*address) : Address("tcp://127.0.0.1:9");
}

bool SessionPaths::lives() const {
  if (joined) return true;
  const UniqueFd lock(::open((state + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
  return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool SessionPaths::over() const {
  return !joined && !path_exists(socket_path("records")) && !lives();
}

bool is_session_id(std::string_view text) {
  return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string new_session_id() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    random = static_cast<std::uint32_t>(::getpid());
  return fmt::format("{}-{:03}-{:04x}", stamp, now.tv_nsec / 1'000'000, random & 0xffff);
}

std::vector<std::string> list_session_ids() {
  std::vector<std::string> ids;
  DIR* stream = ::opendir((state_home() + "/sessions").c_str());
  if (stream == nullptr) return ids;
  while (const dirent* entry = ::readdir(stream)) {
    if (is_session_id(entry->d_name)) ids.emplace_back(entry->d_name);
  }
  ::closedir(stream);
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<ServiceOptions> parse_service_options(int argc, char** argv) {
  ServiceOptions options;
  const auto usage = [&](std::string_view why) {
    return fail("app", "usage",
                fmt::format("{}\nusage: {} --session ID --instance NAME --epoch N --supervisor FD "
                            "[--listen NAME=FD ...]\n"
                            "This program is started by sluice-session.",
                            why, argc > 0 ? argv[0] : "?"));
  };
  std::string session;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) return usage(fmt::format("{} needs a value", name));
    const std::string_view value = argv[i + 1];
    if (name == "--session") {
      session = value;
    } else if (name == "--instance") {
      options.instance = value;
    } else if (name == "--epoch") {
      if (!parse_number(value, options.epoch)) return usage("--epoch needs a number");
    } else if (name == "--supervisor") {
      if (!parse_number(value, options.supervisor_fd))
        return usage("--supervisor needs a descriptor");
    } else if (name == "--listen") {
      const auto equals = value.find('=');
      int fd = -1;
      if (equals == std::string_view::npos || !parse_number(value.substr(equals + 1), fd))
        return usage("--listen needs NAME=FD");
      options.listening[std::string(value.substr(0, equals))] = fd;
    } else {
      return usage(fmt::format("unknown option {}", name));
    }
  }
  if (session.empty() || options.instance.empty())
    return usage("--session and --instance are needed");
  options.paths = TRY(SessionPaths::of(session));
  return options;
}

Status SupervisorLine::send(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "the line to the supervisor");
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status SupervisorLine::trouble(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return send("trouble " + text);
}

std::vector<std::string> SupervisorLine::receive(bool& closed) {
  closed = false;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) {
      closed = true;
      break;
    }
    partial_.append(buffer, static_cast<std::size_t>(n));
  }
  std::vector<std::string> lines;
  for (std::size_t end; (end = partial_.find('\n')) != std::string::npos;) {
    lines.push_back(partial_.substr(0, end));
    partial_.erase(0, end + 1);
  }
  return lines;
}

}  // namespace sluice::wire
