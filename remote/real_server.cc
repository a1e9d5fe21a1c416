#include "remote/real_server.h"

#include <algorithm>
#include <chrono>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/file.h"
#include "store/test_store.h"

namespace sluice::remote::test {

using std::chrono::steady_clock;
using store::test::must;

namespace {

constexpr auto kDeadline = std::chrono::seconds(60);

}  // namespace

Piped start(std::vector<std::string> argv, bool quiet) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  argv.front() = find_program(argv.front());
  SpawnOptions options;
  options.argv = std::move(argv);
  options.standard_input = null.get();
  options.standard_output = write_end.get();
  if (quiet) options.standard_error = null.get();
  options.die_with_parent = true;
  Process process = must(spawn(options));
  return {std::move(process), std::move(read_end)};
}

RealServer::RealServer(const std::string& directory, std::vector<std::string> more,
                       std::size_t endpoints, const std::string& bind) {
  std::vector<std::string> argv{"sluice-cas", directory, "--bind", bind};
  argv.insert(argv.end(), more.begin(), more.end());
  running_ = start(std::move(argv));
  std::string text;
  const auto until = steady_clock::now() + kDeadline;
  while (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) < endpoints) {
    pollfd fd{running_.out.get(), POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_clock::now()).count();
    REQUIRE(left > 0);
    REQUIRE(::poll(&fd, 1, static_cast<int>(left)) == 1);
    char buffer[512];
    const ssize_t n = ::read(running_.out.get(), buffer, sizeof buffer);
    REQUIRE(n > 0);
    text.append(buffer, static_cast<std::size_t>(n));
  }
  // "pull URL" or "push URL".
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    urls_.push_back(text.substr(at + 5, text.find('\n', at) - at - 5));
  }
}

RealServer::~RealServer() {
  if (ended_) return;
  static_cast<void>(send_signal(running_.process, SIGKILL));
  wait_for(running_.process);
}

void RealServer::kill() {
  must(send_signal(running_.process, SIGKILL));
  wait_for(running_.process);
  ended_ = true;
}

int RealServer::stop() {
  must(send_signal(running_.process, SIGTERM));
  ended_ = true;
  return wait_for(running_.process).code;
}

int RealServer::port() const { return std::stoi(url().substr(url().rfind(':') + 1)); }
pid_t RealServer::pid() const { return running_.process.pid; }

}  // namespace sluice::remote::test
