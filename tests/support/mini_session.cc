#include "tests/support/mini_session.h"

#include <csignal>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "base/file.h"

namespace sluice::testing {

namespace {

UniqueFd listen_at(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd.get(), 128) == 0);
  return fd;
}

// Whether `fd` becomes readable in time.
bool readable(int fd, Duration limit) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1,
                static_cast<int>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(limit).count())) == 1;
}

}  // namespace

MiniSession::MiniSession() {
  ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
  ::setenv("XDG_STATE_HOME", (directory_ + "/state").c_str(), 1);
  auto paths = wire::SessionPaths::of(wire::new_session_id());
  REQUIRE(paths.has_value());
  paths_ = *paths;
  REQUIRE(paths_.make().has_value());
  for (const char* endpoint : {"records", "live-in", "live-out", "control"}) {
    listening_[endpoint] = listen_at(paths_.socket_path(endpoint));
  }
}

MiniSession::~MiniSession() {
  if (broker_.pid > 0) {
    (void)send_signal(broker_, SIGCONT);
    (void)send_signal(broker_, SIGKILL);
    (void)wait_for(broker_);
  }
}

void MiniSession::start_broker() {
  REQUIRE(broker_.pid <= 0);
  int line[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) == 0);
  line_ = std::make_unique<wire::SupervisorLine>(line[0]);
  UniqueFd theirs(line[1]);
  SpawnOptions options;
  options.argv = {
      find_program("sluice-broker"), "--session",    paths_.id, "--instance", "broker", "--epoch",
      std::to_string(++epoch_),      "--supervisor", "3"};
  options.keep_fds = {{theirs.get(), 3}};
  int number = 4;
  for (const auto& [name, fd] : listening_) {
    options.argv.push_back("--listen");
    options.argv.push_back(name + "=" + std::to_string(number));
    options.keep_fds.emplace_back(fd.get(), number++);
  }
  options.die_with_parent = true;
  auto process = spawn(options);
  REQUIRE(process.has_value());
  broker_ = std::move(*process);
  theirs.reset();
  bool closed = false;
  std::vector<std::string> lines;
  while (lines.empty() && !closed && readable(line_->fd(), std::chrono::seconds(10)))
    lines = line_->receive(closed);
  INFO(read_file(paths_.process_log("sluice-broker")).value_or(""));
  REQUIRE(lines == std::vector<std::string>{"ready"});
}

void MiniSession::kill_broker() {
  REQUIRE(broker_.pid > 0);
  REQUIRE(send_signal(broker_, SIGKILL).has_value());
  (void)wait_for(broker_);
  broker_ = {};
}

void MiniSession::say_end() { REQUIRE(line_->send("end").has_value()); }

int MiniSession::wait_exit(Duration limit) {
  if (!readable(broker_.pidfd.get(), limit)) return 255;
  const int code = wait_for(broker_).code;
  broker_ = {};
  return code;
}

int MiniSession::end_broker(Duration limit) {
  bool closed = false;
  std::vector<std::string> lines;
  while (lines.empty() && !closed && readable(line_->fd(), limit)) lines = line_->receive(closed);
  CHECK(lines == std::vector<std::string>{"ended"});
  return wait_exit(limit);
}

int MiniSession::leave_broker() {
  line_.reset();
  return wait_exit(std::chrono::seconds(5));
}

bool MiniSession::broker_runs() const {
  return broker_.pid > 0 && !readable(broker_.pidfd.get(), Duration::zero());
}

wire::Hello MiniSession::hello(std::string protocol, std::string role, std::string instance,
                               std::uint64_t epoch) const {
  wire::Hello hello;
  hello.protocol = std::move(protocol);
  hello.role = std::move(role);
  hello.instance = std::move(instance);
  hello.epoch = epoch;
  return hello;
}

bool run_until(wire::Reactor& reactor, const std::function<bool()>& done, Duration limit) {
  const Duration deadline = system_clock().monotonic() + limit;
  while (!done()) {
    if (system_clock().monotonic() >= deadline) return false;
    reactor.run_once(std::chrono::milliseconds(20));
  }
  return true;
}

RawPeer::RawPeer(wire::Context& context, const std::string& endpoint)
    : socket_(wire::Socket::create(context, wire::SocketKind::kDealer, {}).value()) {
  REQUIRE(socket_.connect(endpoint).has_value());
}

void RawPeer::send(wire::Frames frames) { REQUIRE(socket_.send(frames)); }

wire::Frames RawPeer::receive(Duration limit) {
  wire::Reactor reactor;
  wire::Frames got;
  reactor.on_socket(socket_, [&] {
    while (got.empty()) {
      auto frames = socket_.receive();
      if (!frames) return;
      if (frames->size() == 1 || (*frames)[0] == wire::Heartbeat::kName) continue;
      got = std::move(*frames);
    }
  });
  run_until(
      reactor, [&] { return !got.empty(); }, limit);
  return got;
}

void RawPeer::check_name(const wire::Frames& frames, std::string_view name) {
  REQUIRE(frames.size() == 2);
  REQUIRE(frames[0] == name);
}

void RawPeer::check_decoded(bool decoded) { REQUIRE(decoded); }

}  // namespace sluice::testing
