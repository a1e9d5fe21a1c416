#include "cli/ssh_runners.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"
#include "base/try.h"
#include "engine_scripts.h"

namespace sluice::cli {

namespace {

using std::chrono::seconds;

constexpr Duration kFirstDelay = seconds(1);
constexpr Duration kLongestDelay = seconds(60);
// A runner that lived so long was no failed start.
constexpr Duration kLived = seconds(60);
constexpr unsigned kMostFailures = 3;
constexpr std::size_t kLongestLine = 4096;
// The script's word that it runs (compose/ssh/join.sh).
constexpr std::string_view kConnected = "connected";
constexpr int kSshFailed = 255;
constexpr int kNoProgram = 127;

}  // namespace

Restarts::Next Restarts::ended(int status, bool connected, Duration lived) {
  if (status == 0) return {Next::What::kOver, {}, "its runner has left"};
  if (status == kNoProgram && connected == false && lived < kLived)
    return {Next::What::kGivenUp, {}, "given up: the program can't be run there"};
  if (connected) reached_ = true;
  // A connection that was lost says nothing of what was connected to.
  if (connected && (status == kSshFailed || lived >= kLived)) failures_ = 0;
  ++failures_;
  const std::string how =
      status == kSshFailed
          ? connected ? std::string("the connection was lost") : std::string("ssh can't connect")
      : status > 128 ? fmt::format("its runner was killed by signal {}", status - 128)
                     : fmt::format("its runner ended with status {}", status);
  // A host that was reached once may be rebooting.
  if (failures_ >= kMostFailures && !(status == kSshFailed && reached_))
    return {
        Next::What::kGivenUp, {}, fmt::format("{}, {} times in a row; given up", how, failures_)};
  const Duration delay = std::min(kLongestDelay, kFirstDelay * (1 << std::min(failures_ - 1, 10u)));
  return {Next::What::kAgain, delay,
          fmt::format("{}; tried again in {} s", how,
                      std::chrono::duration_cast<seconds>(delay).count())};
}

std::vector<std::string> ssh_command(const std::vector<std::string>& options,
                                     const std::string& host, const RunnerOrder& order) {
  std::vector<std::string> argv{"ssh", "-T"};
  argv.insert(argv.end(), options.begin(), options.end());
  for (const char* ours :
       {"BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3"}) {
    argv.insert(argv.end(), {"-o", ours});
  }
  argv.insert(argv.end(), {"--", host});
  // One line without anything that some login shell reads in another way: the script comes over
  // standard input, of which `head -c` takes no byte more than it is told.
  std::string command =
      fmt::format("exec sh -c 'eval \"$(head -c {})\"' sluice {} {}", kSshScript.size(),
                  shell_word(order.program), shell_word(order.session));
  for (const std::string& option : order.options) command += " " + shell_word(option);
  argv.push_back(std::move(command));
  return argv;
}

std::string ssh_input(const RunnerOrder& order) {
  return std::string(kSshScript) + order.join + "\n";
}

struct SshRunners::Host {
  std::string name;
  Process process;
  bool runs = false;
  bool over = false;
  bool connected = false;  // this time
  UniqueFd input, output;
  std::string partial;  // of a line
  Duration since = Duration::zero();
  Restarts restarts;
  wire::Reactor::TimerId timer = 0;
};

SshRunners::SshRunners(wire::Reactor& reactor, RunnerOrder order, std::vector<std::string> options,
                       Callbacks callbacks)
    : reactor_(reactor), order_(std::move(order)), options_(std::move(options)),
      callbacks_(std::move(callbacks)) {}

SshRunners::~SshRunners() {
  for (const auto& host : hosts_) {
    if (host->timer != 0) reactor_.cancel(host->timer);
    if (!host->runs) continue;
    reactor_.remove_fd(host->output.get());
    reactor_.remove_fd(host->process.pidfd.get());
    if (send_signal(host->process, SIGKILL)) wait_for(host->process);
  }
}

void SshRunners::start(const std::vector<std::string>& hosts) {
  for (const std::string& name : hosts) {
    hosts_.push_back(std::make_unique<Host>());
    hosts_.back()->name = name;
  }
  for (const auto& host : hosts_) connect(*host);
}

void SshRunners::connect(Host& host) {
  host.timer = 0;
  host.connected = false;
  host.partial.clear();
  host.since = system_clock().monotonic();
  int input[2], output[2];
  if (::pipe2(input, O_CLOEXEC) != 0)
    return after(host, {Restarts::Next::What::kGivenUp, {}, "no pipe"});
  UniqueFd read_end(input[0]);
  host.input.reset(input[1]);
  if (::pipe2(output, O_CLOEXEC) != 0)
    return after(host, {Restarts::Next::What::kGivenUp, {}, "no pipe"});
  host.output.reset(output[0]);
  UniqueFd write_end(output[1]);
  ::fcntl(host.output.get(), F_SETFL, O_NONBLOCK);
  // A session of its own: Ctrl-C is for this command, which then ends ssh by its input.
  auto process = spawn({.argv = ssh_command(options_, host.name, order_),
                        .standard_input = read_end.get(),
                        .standard_output = write_end.get(),
                        .standard_error = write_end.get(),
                        .new_session = true,
                        .die_with_parent = true});
  if (!process) return after(host, {Restarts::Next::What::kGivenUp, {}, process.error().message});
  host.process = std::move(*process);
  host.runs = true;
  // A pipe holds 64 KiB, far more than this; ssh may not read it before it is connected.
  read_end.reset();
  static_cast<void>(write_all(host.input.get(), ssh_input(order_)));
  reactor_.on_fd(host.output.get(), POLLIN, [this, &host](short) { heard(host); });
  reactor_.on_fd(host.process.pidfd.get(), POLLIN, [this, &host](short) { ended(host); });
  if (ending_) host.input.reset();
}

void SshRunners::heard(Host& host) {
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(host.output.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    // At its end it would be readable for ever; the process' own end follows.
    if (n == 0) reactor_.remove_fd(host.output.get());
    if (n <= 0) return;
    host.partial.append(buffer, static_cast<std::size_t>(n));
    std::size_t from = 0;
    for (auto end = host.partial.find('\n'); end != std::string::npos;
         end = host.partial.find('\n', from)) {
      line(host, std::string_view(host.partial).substr(from, end - from));
      from = end + 1;
    }
    host.partial.erase(0, from);
    if (host.partial.size() > kLongestLine) {
      line(host, host.partial);
      host.partial.clear();
    }
  }
}

void SshRunners::line(Host& host, std::string_view text) {
  while (text.ends_with('\r')) text.remove_suffix(1);
  if (!host.connected && text == kConnected) {
    host.connected = true;
    return callbacks_.say(host.name, "connected");
  }
  if (!text.empty()) callbacks_.say(host.name, text);
}

void SshRunners::ended(Host& host) {
  reactor_.remove_fd(host.process.pidfd.get());
  const ExitStatus status = wait_for(host.process);
  host.runs = false;
  // What is in the pipe, not its end: a connection that ssh shares with others may hold it open.
  heard(host);
  if (!host.partial.empty()) line(host, host.partial);
  reactor_.remove_fd(host.output.get());
  host.output.reset();
  host.input.reset();
  host.process = {};
  const Duration lived = system_clock().monotonic() - host.since;
  after(host, host.restarts.ended(status.code, host.connected, lived));
}

void SshRunners::after(Host& host, Restarts::Next next) {
  using What = Restarts::Next::What;
  if (next.what == What::kAgain && !ending_) {
    callbacks_.warn(host.name, next.why);
    host.timer = reactor_.after(next.delay, [this, &host] { connect(host); });
    return;
  }
  host.over = true;
  if (next.what == What::kGivenUp) {
    ++given_up_;
    callbacks_.warn(host.name, next.why);
  } else if (next.what == What::kOver) {
    callbacks_.say(host.name, next.why);
  }
  // The callers may be among what the end of all takes away.
  reactor_.after(Duration::zero(), [this] { look_for_end(); });
}

void SshRunners::look_for_end() {
  const bool all =
      std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) { return host->over; });
  if (all) callbacks_.on_over();
}

void SshRunners::end() {
  ending_ = true;
  for (const auto& host : hosts_) {
    if (host->timer != 0) {
      reactor_.cancel(host->timer);
      host->timer = 0;
      host->over = true;
    }
    // The script there takes the end of its input for the word to leave.
    host->input.reset();
  }
  look_for_end();
}

void SshRunners::end_at_once() {
  end();
  for (const auto& host : hosts_) {
    if (host->runs) static_cast<void>(send_signal(host->process, SIGTERM));
  }
}

}  // namespace sluice::cli
