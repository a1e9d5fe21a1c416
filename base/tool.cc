#include "base/tool.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/try.h"

namespace sluice {

namespace {

// The text as a file that is whole before the program starts: nobody need write while it runs.
Result<UniqueFd> input_of(std::string_view text) {
  if (text.empty()) return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  CHECK(write_all(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "lseek");
  return file;
}

// The group's number can't be another's yet: its leader wasn't waited for.
void kill_all(const Process& process, bool group) {
  if (group) ::kill(-process.pid, SIGKILL);
  [[maybe_unused]] auto sent = send_signal(process, SIGKILL);
}

struct Pipe {
  UniqueFd read_end, write_end;

  static Result<Pipe> make() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
};

// Reads what there is from `fd`; false at its end.
bool take(int fd, std::string& into, ToolRun& run, std::size_t most) {
  char buffer[16384];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  const std::size_t kept = std::min(static_cast<std::size_t>(n), most - into.size());
  into.append(buffer, kept);
  run.cut = run.cut || kept < static_cast<std::size_t>(n);
  return true;
}

}  // namespace

Result<ToolRun> run_tool(const Tool& tool, const Stop& stop) {
  Pipe out = TRY(Pipe::make());
  Pipe errors;
  const UniqueFd given = TRY(input_of(tool.input));
  SpawnOptions options;
  options.argv = tool.argv;
  options.environment = tool.environment;
  options.directory = tool.directory;
  options.standard_input = given.get();
  options.standard_output = out.write_end.get();
  if (tool.errors == Tool::Errors::kWithOutput) options.standard_error = out.write_end.get();
  if (tool.errors == Tool::Errors::kApart) {
    errors = TRY(Pipe::make());
    options.standard_error = errors.write_end.get();
  }
  options.new_session = tool.own_session;
  options.die_with_parent = true;
  auto process = spawn(options);
  if (!process) {
    if (process.error().reason != "enoent") return forward(process);
    return fail("prog-not-found", "", fmt::format("Did not find '{}' in PATH", tool.argv.front()));
  }
  out.write_end.reset();
  errors.write_end.reset();
  ToolRun ended;
  bool stopped = false;
  Duration heard = system_clock().monotonic();
  while (out.read_end || errors.read_end) {
    int wait = -1;
    if (tool.silence > Duration::zero() && !stopped && !ended.silent) {
      const Duration left = tool.silence - (system_clock().monotonic() - heard);
      wait = static_cast<int>(
          std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    }
    pollfd fds[3] = {{out.read_end.get(), POLLIN, 0},
                     {errors.read_end.get(), POLLIN, 0},
                     {stopped ? -1 : stop.fd, POLLIN, 0}};
    const int ready = ::poll(fds, 3, wait);
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (ready < 0) continue;
    if (ready == 0) {
      ended.silent = true;
      kill_all(*process, tool.own_session);
      continue;
    }
    if (!stopped && fds[2].revents != 0 && stop.requested()) {
      stopped = true;
      kill_all(*process, tool.own_session);
    }
    if (fds[0].revents != 0 || fds[1].revents != 0) heard = system_clock().monotonic();
    if (fds[0].revents != 0 && !take(fds[0].fd, ended.output, ended, tool.max_output))
      out.read_end.reset();
    if (fds[1].revents != 0 && !take(fds[1].fd, ended.errors, ended, tool.max_output))
      errors.read_end.reset();
  }
  ended.status = wait_for(*process).code;
  if (stopped) return fail("job", "killed", "The job was killed");
  return ended;
}

}  // namespace sluice
