#include "renderer/collect/commands.h"

#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/try.h"

namespace sluice::collect {

namespace {

constexpr int kTryAgain = 75;

}  // namespace

Result<RunningCommand> RunningCommand::start(std::vector<std::string> argv,
                                             std::vector<std::string> environment,
                                             const std::string& input) {
  // A file, so that a command that reads slowly, or not at all, keeps nobody.
  const UniqueFd file(::memfd_create("sluice-record", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  CHECK(write_all(file.get(), input));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "memfd");
  SpawnOptions options;
  options.argv = std::move(argv);
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) all.emplace_back(*one);
  all.insert(all.end(), environment.begin(), environment.end());
  options.environment = std::move(all);
  options.standard_input = file.get();
  options.new_process_group = true;
  options.die_with_parent = true;
  return RunningCommand(TRY(spawn(options)));
}

std::string RunningCommand::wait(Duration deadline, Duration timeout, bool& again) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - system_clock().monotonic());
    pollfd ended{process_.pidfd.get(), POLLIN, 0};
    const int ready = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 1) break;
    ::kill(-process_.pid, SIGKILL);
    wait_for(process_);
    return fmt::format("was killed, since it took longer than {} s",
                       std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
  }
  const ExitStatus status = wait_for(process_);
  // What it has left behind goes on; who wants that has said so.
  if (status.signal != 0) return fmt::format("was killed by signal {}", status.signal);
  again = status.code == kTryAgain;
  return status.code == 0 ? "" : fmt::format("ended with status {}", status.code);
}

}  // namespace sluice::collect
