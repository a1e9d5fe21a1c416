#include "plugins/host.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "base/try.h"

namespace sluice::plugins {

namespace {

constexpr int kHostSocket = 3;
constexpr std::uint32_t kStartSeconds = 60;
constexpr const char* kPython = "/usr/bin/python3";
// Where bubblewrap says what process the sandbox begins with; it closes it.
constexpr int kInfo = 4;
constexpr std::size_t kMostBytes = 64u << 20;
constexpr std::size_t kLogTail = 4096;
// Variables of the user that say how a network is reached, and whom to believe there.
constexpr const char* kProxies[] = {"http_proxy", "https_proxy", "all_proxy", "no_proxy",
                                    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"};
constexpr const char* kCertificates[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
                                         "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"};

std::string program_in_path(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

bool is_below(std::string_view path, std::string_view directory) {
  return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

// Whether one of the directories has `path` in it.
bool is_seen(const std::vector<std::string>& directories, std::string_view path) {
  return std::any_of(directories.begin(), directories.end(),
                     [&](const std::string& directory) { return is_below(path, directory); });
}

// Whether a directory's name still leads to it.
bool is_still(const std::string& path, const UniqueFd& held) {
  struct stat named {};
  struct stat bound {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(held.get(), &bound) == 0 &&
         named.st_ino == bound.st_ino && named.st_dev == bound.st_dev;
}

// The parent of a process; -1 when there is none.
pid_t parent_of(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t name = text ? text->rfind(')') : std::string::npos;
  if (name == std::string::npos || name + 4 >= text->size()) return -1;
  return static_cast<pid_t>(std::strtol(text->c_str() + name + 4, nullptr, 10));
}

}  // namespace

Host::~Host() { end(); }

void Host::see(std::span<const std::string> readable, std::span<const std::string> writable) {
  bool more = std::any_of(bound_.begin(), bound_.end(), [&](const auto& bound) {
    const auto named = [&](std::span<const std::string> directories) {
      return std::find(directories.begin(), directories.end(), bound.first) != directories.end();
    };
    return (named(readable) || named(writable)) && !is_still(bound.first, bound.second);
  });
  for (const std::string& directory : readable) {
    if (directory.empty() || is_seen(view_.readable, directory)) continue;
    view_.readable.push_back(directory);
    more = true;
  }
  for (const std::string& directory : writable) {
    if (directory.empty() || is_seen(view_.writable, directory)) continue;
    view_.writable.push_back(directory);
    more = true;
  }
  if (more) end();
}

Result<std::vector<std::string>> Host::command() const {
  std::string python = settings_.python;
  // The system's is preferred to one of PATH, which may be a script that looks for another.
  if (python.empty()) python = path_exists(kPython) ? kPython : program_in_path("python3");
  if (python.empty())
    return fail("plugin", "no-python", "python3 is not in PATH; plugins in Python need it");
  const std::string host = find_program("plugins/host.py");
  // No module is looked for beside the host or in the user's site, but where PYTHONPATH says.
  const std::vector<std::string> run = {python, "-s", "-B", host};
  if (!settings_.sandbox) return run;
  const std::string bubblewrap = program_in_path("bwrap");
  if (bubblewrap.empty())
    return fail("plugin", "no-host",
                "bubblewrap (bwrap) is not in PATH; plugins in Python need it");
  std::vector<std::string> argv = {
      bubblewrap, "--unshare-all", "--die-with-parent", "--cap-drop",
      "ALL",      "--new-session", "--info-fd",         std::to_string(kInfo)};
  const auto add = [&](std::initializer_list<std::string> words) {
    argv.insert(argv.end(), words);
  };
  if (view_.network) add({"--share-net"});
  for (const char* directory : {"/usr", "/etc", "/opt"})
    add({"--ro-bind-try", directory, directory});
  for (const char* directory : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"})
    add({"--ro-bind-try", directory, directory});
  if (view_.network) {
    // Name servers that /etc leads to.
    add({"--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"});
  }
  add({"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"});
  const std::string home = host.substr(0, host.rfind('/'));
  if (view_.credentials) {
    if (const char* directory = std::getenv("HOME")) add({"--ro-bind-try", directory, directory});
    if (const char* agent = std::getenv("SSH_AUTH_SOCK")) add({"--bind-try", agent, agent});
    for (const char* name : kCertificates) {
      const char* path = std::getenv(name);
      if (path != nullptr && path[0] == '/') add({"--ro-bind-try", path, path});
    }
  }
  add({"--ro-bind", home, home});
  // An interpreter of another place is seen with what belongs to it, as of a virtual environment.
  char* real = ::realpath(python.c_str(), nullptr);
  for (const std::string& program : {python, std::string(real != nullptr ? real : "")}) {
    const std::string prefix = program.substr(0, program.rfind("/bin/"));
    if (!program.starts_with("/usr/") && prefix.size() < program.size() && !prefix.empty())
      add({"--ro-bind-try", prefix, prefix});
  }
  std::free(real);
  // The user's own places of modules that plugins import; "/" would show all.
  if (const char* path = std::getenv("PYTHONPATH")) {
    std::string_view rest = path;
    while (!rest.empty()) {
      const std::string directory(rest.substr(0, rest.find(':')));
      rest.remove_prefix(std::min(rest.size(), directory.size() + 1));
      if (directory.starts_with('/') && directory.find_first_not_of('/') != std::string::npos)
        add({"--ro-bind-try", directory, directory});
    }
  }
  std::vector<std::string> readable = view_.readable;
  std::sort(readable.begin(), readable.end());
  for (const std::string& directory : readable) add({"--ro-bind-try", directory, directory});
  for (const std::string& directory : view_.writable) add({"--bind", directory, directory});
  add({"--chdir", "/", "--"});
  argv.insert(argv.end(), run.begin(), run.end());
  return argv;
}

std::vector<std::string> Host::environment() const {
  std::vector<std::string> kept;
  const auto keep = [&](std::string_view name) {
    if (const char* value = std::getenv(std::string(name).c_str()))
      kept.push_back(fmt::format("{}={}", name, value));
  };
  for (const char* name : {"PATH", "PYTHONPATH", "LANG", "TZ"}) keep(name);
  for (char** at = environ; *at != nullptr; ++at) {
    if (std::strncmp(*at, "LC_", 3) == 0) kept.emplace_back(*at);
  }
  if (view_.credentials) {
    for (const char* name : {"HOME", "USER", "SSH_AUTH_SOCK"}) keep(name);
    for (const char* name : kProxies) keep(name);
    for (const char* name : kCertificates) keep(name);
  } else {
    kept.emplace_back("HOME=/");
  }
  return kept;
}

Status Host::start(const Stop& stop) {
  if (process_) return {};
  for (const std::string& directory : view_.writable) CHECK(make_directories(directory));
  bound_.clear();
  for (const auto* directories : {&view_.readable, &view_.writable}) {
    for (const std::string& directory : *directories) {
      UniqueFd held(::open(directory.c_str(), O_PATH | O_CLOEXEC));
      if (held) bound_.emplace_back(directory, std::move(held));
    }
  }
  SpawnOptions options;
  options.argv = TRY(command());
  options.environment = environment();
  options.directory = "/";
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return fail_errno(errno, "socketpair");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return fail_errno(errno, "/dev/null");
  int log[2];
  if (::pipe2(log, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd log_ours(log[0]);
  UniqueFd log_theirs(log[1]);
  if (::fcntl(log_ours.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  int info[2];
  if (::pipe2(info, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd info_ours(info[0]);
  UniqueFd info_theirs(info[1]);
  options.keep_fds = {{theirs.get(), kHostSocket}};
  if (settings_.sandbox) options.keep_fds.emplace_back(info_theirs.get(), kInfo);
  options.standard_input = null.get();
  options.standard_output = log_theirs.get();
  options.standard_error = log_theirs.get();
  options.new_session = true;
  options.die_with_parent = true;
  auto process = spawn(options);
  if (!process)
    return fail("plugin", "no-host",
                fmt::format("The host of plugins can't be started: {}", process.error().message));
  // The host's end is its own alone, so that its death is heard.
  theirs.reset();
  info_theirs.reset();
  log_theirs.reset();
  process_ = std::move(*process);
  socket_ = std::move(ours);
  log_ = std::move(log_ours);
  told_.clear();
  info_ = std::move(info_ours);
  received_.clear();
  greeted_ = false;

  std::string hello;
  wire::Writer writer(hello);
  writer.map(4);
  for (const auto& [key, value] : {std::pair<std::string_view, std::string_view>{"do", "hello"},
                                   {"protocol", kProtocol},
                                   {"version", kBuildStream}}) {
    writer.string(key);
    writer.string(value);
  }
  writer.string("memory");
  writer.unsigned_integer(settings_.memory);
  return ready_for_use(send(hello, stop));
}

// A host that can't be greeted is none.
Status Host::ready_for_use(Status said) {
  if (!said && said.error().domain == "plugin") said.error().reason = "no-host";
  return said;
}

Status Host::welcome(const Stop& stop) {
  if (greeted_) return {};
  const auto answer = receive(stop);
  if (!answer) return ready_for_use(tl::unexpected<Error>(answer.error()));
  const auto document = wire::Document::parse(*answer);
  if (!document || text_of(document->root(), "is") != "welcome" ||
      text_of(document->root(), "protocol") != kProtocol)
    return failed("no-host", fmt::format("The host of plugins doesn't speak {}", kProtocol));
  greeted_ = true;
  return {};
}

void Host::end() {
  bound_.clear();
  socket_.reset();
  if (!process_) return;
  // The host has a session of its own, whose processes die with it; in bubblewrap with its
  // namespace.
  const UniqueFd first = first_of_sandbox();
  ::kill(-process_->pid, SIGKILL);
  static_cast<void>(send_signal(*process_, SIGKILL));
  if (first) {
    ::syscall(SYS_pidfd_send_signal, first.get(), SIGKILL, nullptr, 0);
    // Its end is told when all other processes of its namespace have ended.
    pollfd ended{first.get(), POLLIN, 0};
    while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
  }
  wait_for(*process_);
  process_.reset();
  info_.reset();
}

UniqueFd Host::first_of_sandbox() const {
  if (!settings_.sandbox || !info_) return {};
  // bubblewrap closes its end when all is said, or dies.
  std::string text;
  char buffer[1024];
  for (;;) {
    const ssize_t got = ::read(info_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  constexpr std::string_view kKey = "\"child-pid\":";
  const std::size_t at = text.find(kKey);
  if (at == std::string::npos) return {};
  const pid_t pid = static_cast<pid_t>(std::strtol(text.c_str() + at + kKey.size(), nullptr, 10));
  UniqueFd first(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
  // A process of that number which isn't bubblewrap's child is another.
  if (parent_of(pid) != process_->pid) first.reset();
  return first;
}

tl::unexpected<Error> Host::failed(std::string reason, std::string message) {
  end();
  hear_log();
  std::string told = valid_utf8(told_.substr(told_.size() - std::min(told_.size(), kLogTail)));
  while (!told.empty() && told.back() == '\n') told.pop_back();
  return fail("plugin", std::move(reason), std::move(message), {}, std::move(told));
}

void Host::hear_log() {
  char buffer[1 << 14];
  // Who writes without end isn't listened to without end.
  for (int reads = 0; log_ && reads < 64; ++reads) {
    const ssize_t got = ::read(log_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) log_.reset();
    if (got <= 0) return;
    told_.append(buffer, static_cast<std::size_t>(got));
    if (told_.size() > 4 * kLogTail) told_.erase(0, told_.size() - kLogTail);
  }
}

Status Host::wait(short events, const Stop& stop) {
  // Silence is counted in slices: a session that is suspended stops host and asker alike, and is
  // one slice at most.
  constexpr int kSlice = 500;  // ms
  // A start takes no longer than the machine does, whatever plugins may take.
  const std::uint64_t seconds = settings_.timeout == 0 || greeted_
                                    ? settings_.timeout
                                    : std::max(settings_.timeout, kStartSeconds);
  const auto silence = seconds * 1000;
  auto left = silence;
  for (;;) {
    // poll() passes over descriptors that are -1.
    std::array<pollfd, 3> polled{
        {{socket_.get(), events, 0}, {stop.fd, POLLIN, 0}, {log_.get(), POLLIN, 0}}};
    int timeout = -1;
    if (seconds > 0) {
      if (left == 0)
        return failed("host-timeout",
                      fmt::format("The plugin said nothing for {} s (plugins.timeout)", seconds));
      timeout = static_cast<int>(std::min<std::uint64_t>(left, kSlice));
    }
    const int ready = ::poll(polled.data(), polled.size(), timeout);
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (stop.requested && stop.requested()) {
      end();
      return fail("job", "killed", "The plugin was stopped");
    }
    if (ready > 0 && polled[2].revents != 0) {
      hear_log();
      left = silence;
    }
    if (ready > 0 && polled[0].revents != 0) return {};
    if (ready == 0) left -= static_cast<std::uint64_t>(timeout);
  }
}

Status Host::send(std::string_view body, const Stop& stop) {
  std::string frame;
  const auto size = static_cast<std::uint32_t>(body.size());
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xff);
  frame += body;
  for (std::string_view rest = frame; !rest.empty();) {
    CHECK(wait(POLLOUT, stop));
    const ssize_t sent =
        ::send(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return failed("host-died", "The process that runs the plugin has ended");
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> Host::receive(const Stop& stop) {
  for (;;) {
    if (received_.size() >= 4) {
      std::size_t size = 0;
      for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(received_[i]);
      if (size > kMostBytes)
        return failed("host-protocol", "The plugin's process sent what is no message");
      if (received_.size() >= 4 + size) {
        std::string body = received_.substr(4, size);
        received_.erase(0, 4 + size);
        return body;
      }
    }
    CHECK(wait(POLLIN, stop));
    char buffer[1 << 16];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return failed("host-died", "The process that runs the plugin has ended");
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

Status Host::begin(std::string_view request, const Stop& stop) {
  if (request.size() > kMostBytes)
    return fail("plugin", "host-protocol", "There is too much to be said to a plugin");
  CHECK(start(stop));
  // It has the request when it is ready, which is heard before its answers.
  return send(request, stop);
}

Status Host::finish(const Take& take, const Stop& stop) {
  CHECK(welcome(stop));
  for (;;) {
    const std::string answer = TRY(receive(stop));
    const auto document = wire::Document::parse(answer);
    if (!document || !document->root().is_map())
      return failed("host-protocol", "The plugin's process sent what is no message");
    auto last = take(document->root());
    if (!last) {
      // Answers that nobody waits for any more would be taken for those of the next request.
      end();
      return forward(last);
    }
    if (*last) return {};
  }
}

Status Host::reply(std::string_view answer, const Stop& stop) {
  if (answer.size() > kMostBytes)
    return failed("host-protocol", "There is too much to be said to a plugin");
  return send(answer, stop);
}

std::string text_of(wire::Value map, std::string_view key) {
  std::string_view text;
  const wire::Value value = map.find(key);
  return value.valid() && value.get_string(text) ? std::string(text) : std::string();
}

bool flag_of(wire::Value map, std::string_view key) {
  bool flag = false;
  const wire::Value value = map.find(key);
  return value.valid() && value.get(flag) && flag;
}

Result<model::Node> tree_of(wire::Value value) {
  if (!value.valid() || value.is_nil()) return model::Node();
  std::string_view text;
  if (value.get_string(text)) return model::Node::make_scalar(std::string(text));
  if (value.is_array()) {
    model::NodeList items;
    for (const wire::Value item : value.items()) items.push_back(TRY(tree_of(item)));
    return model::Node::make_list(std::move(items));
  }
  if (value.is_map()) {
    model::NodeMap entries;
    for (const auto [key, item] : value.entries()) {
      if (!key.get_string(text)) break;
      entries.emplace_back(text, TRY(tree_of(item)));
    }
    if (entries.size() == value.size()) return model::Node::make_map(std::move(entries));
  }
  return fail("plugin", "host-protocol", "The plugin's process said what is no tree of texts");
}

Result<model::Node> node_of(wire::Value value) {
  if (!value.valid() || value.is_nil()) return model::Node();
  const auto refused = [] {
    return fail("plugin", "host-protocol",
                "The plugin's process said what is no node of UTF-8 texts");
  };
  if (!value.is_array() || value.size() != 4) return refused();
  wire::Value inner;
  for (const wire::Value part : value.items()) inner = part;
  std::string_view text;
  if (inner.get_string(text)) {
    if (text != valid_utf8(text)) return refused();
    return model::Node::make_scalar(std::string(text));
  }
  if (inner.is_array()) {
    model::NodeList items;
    for (const wire::Value item : inner.items()) items.push_back(TRY(node_of(item)));
    return model::Node::make_list(std::move(items));
  }
  if (!inner.is_map()) return refused();
  model::NodeMap entries;
  for (const auto [key, item] : inner.entries()) {
    if (!key.get_string(text) || text != valid_utf8(text)) return refused();
    entries.emplace_back(text, TRY(node_of(item)));
  }
  return model::Node::make_map(std::move(entries));
}

void write_entry(wire::Writer& writer, std::string_view key, std::string_view value) {
  writer.string(key);
  writer.string(value);
}

void write_entry(wire::Writer& writer, std::string_view key, const model::StringMap& values) {
  writer.string(key);
  writer.map(values.size());
  for (const auto& [name, value] : values) write_entry(writer, name, value);
}

namespace {

// Writes a tree, each of its values behind what `before` writes.
void write_tree(wire::Writer& writer, const model::Node& node,
                const std::function<void()>& before) {
  if (before) before();
  switch (node.kind) {
    case model::Node::Kind::kNull:
    case model::Node::Kind::kScalar: writer.string(node.scalar); break;
    case model::Node::Kind::kList:
      writer.array(node.list.size());
      for (const model::Node& item : node.list) write_tree(writer, item, before);
      break;
    case model::Node::Kind::kMap:
      writer.map(node.map.size());
      for (const auto& [key, item] : node.map) {
        writer.string(key);
        write_tree(writer, item, before);
      }
      break;
  }
}

}  // namespace

void write_tree(wire::Writer& writer, const model::Node& node) {
  if (node.kind == model::Node::Kind::kNull) {
    writer.nil();
  } else {
    write_tree(writer, node, {});
  }
}

void write_node(wire::Writer& writer, const model::Node& node) {
  write_tree(writer, node, [&] {
    writer.array(4);
    writer.integer(-1);
    writer.unsigned_integer(0);
    writer.unsigned_integer(0);
  });
}

Error error_of(wire::Value map) {
  Error error{text_of(map, "domain"),
              text_of(map, "reason"),
              text_of(map, "message"),
              text_of(map, "detail"),
              {}};
  if (error.domain.empty()) error.domain = "plugin";
  const wire::Value place = map.find("place");
  if (place.valid() && place.is_array() && place.size() == 3) {
    std::string_view file;
    std::uint64_t numbers[2] = {};
    int at = 0;
    for (const wire::Value part : place.items()) {
      if (at == 0) {
        part.get_string(file);
      } else {
        part.get(numbers[at - 1]);
      }
      ++at;
    }
    error.provenance.file = file;
    error.provenance.line = static_cast<std::uint32_t>(numbers[0]);
    error.provenance.column = static_cast<std::uint32_t>(numbers[1]);
    // BuildStream's own messages begin with the place, which is said apart here.
    // "PLACE: ", "odd source at PLACE: ".
    const std::string said = error.provenance.str() + ": ";
    const std::size_t found = error.message.find(said);
    if (found == 0 ||
        (found != std::string::npos && error.message.substr(0, found).ends_with(" at ") &&
         error.message.find(':') >= found))
      error.message.erase(0, found + said.size());
  }
  return error;
}

}  // namespace sluice::plugins
