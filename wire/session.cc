#include "wire/session.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"

namespace sluice::wire {

namespace {

constexpr std::size_t kMaxSocketPath = 107;

std::string runtime_home() {
  const char* value = std::getenv("XDG_RUNTIME_DIR");
  if (value != nullptr && value[0] == '/') return std::string(value) + "/sluice";
  return fmt::format("/tmp/sluice-{}", ::getuid());
}

bool good_id(std::string_view id) {
  return !id.empty() && id.size() <= 40 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// Anybody may have made a directory of this name in /tmp before us.
Status verify_private(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, path);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno(errno, path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::getuid() || (info.st_mode & 0077) != 0) {
    return fail("app", "insecure-directory",
                path + ": is not a directory of this user's with mode 0700; Sluice puts no sockets there");
  }
  return {};
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<SessionPaths> SessionPaths::of(std::string_view id) {
  if (!good_id(id)) return fail("app", "invalid-session", fmt::format("'{}' is not the id of a session", id));
  SessionPaths paths;
  paths.id = id;
  paths.state = state_home() + "/sessions/" + paths.id;
  paths.runtime = runtime_home() + "/" + paths.id;
  if (paths.socket_path("live-out").size() > kMaxSocketPath) {
    return fail("app", "path-too-long",
                paths.runtime + ": socket paths below it are longer than 107 bytes; set XDG_RUNTIME_DIR to a shorter one");
  }
  return paths;
}

Status SessionPaths::make() const {
  for (const char* part : {"", "/snapshots", "/logs"}) {
    if (auto made = make_directories(state + part, 0700); !made) return made;
  }
  const std::string home = runtime.substr(0, runtime.rfind('/'));
  if (auto parent = make_directories(home.substr(0, home.rfind('/'))); !parent) return parent;
  if (auto verified = verify_private(home); !verified) return verified;
  return verify_private(runtime);
}

std::string new_session_id() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = static_cast<std::uint32_t>(::getpid());
  return fmt::format("{}-{:03}-{:04x}", stamp, now.tv_nsec / 1'000'000, random & 0xffff);
}

std::vector<std::string> list_session_ids() {
  std::vector<std::string> ids;
  DIR* stream = ::opendir((state_home() + "/sessions").c_str());
  if (stream == nullptr) return ids;
  while (const dirent* entry = ::readdir(stream)) {
    if (good_id(entry->d_name)) ids.emplace_back(entry->d_name);
  }
  ::closedir(stream);
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<ServiceOptions> parse_service_options(int argc, char** argv) {
  ServiceOptions options;
  const auto usage = [&](std::string_view why) {
    return fail("app", "usage",
                fmt::format("{}\nusage: {} --session ID --instance NAME --epoch N --supervisor FD [--listen NAME=FD ...]\n"
                            "This program is started by sluice-session.", why, argc > 0 ? argv[0] : "?"));
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
      if (!parse_number(value, options.supervisor_fd)) return usage("--supervisor needs a descriptor");
    } else if (name == "--listen") {
      const auto equals = value.find('=');
      int fd = -1;
      if (equals == std::string_view::npos || !parse_number(value.substr(equals + 1), fd)) return usage("--listen needs NAME=FD");
      options.listening[std::string(value.substr(0, equals))] = fd;
    } else {
      return usage(fmt::format("unknown option {}", name));
    }
  }
  if (session.empty() || options.instance.empty()) return usage("--session and --instance are needed");
  auto paths = SessionPaths::of(session);
  if (!paths) return forward(paths);
  options.paths = std::move(*paths);
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
