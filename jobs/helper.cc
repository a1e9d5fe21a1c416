#include "jobs/helper.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/process.h"
#include "wire/messages.h"

namespace sluice::jobs {

namespace {

// Of what is read at once: nobody need go on writing while the program runs.
Result<UniqueFd> input_of(std::string_view text) {
  if (text.empty()) return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) return fail_errno(errno, "memfd_create");
  if (auto written = write_all(file.get(), text); !written) return forward(written);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "lseek");
  return file;
}

Result<ToolRun> run(SpawnOptions options, bool with_errors, Cancel& cancel, std::string_view input = {}) {
  int pipes[2];
  if (::pipe2(pipes, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd read_end(pipes[0]), write_end(pipes[1]);
  auto given = input_of(input);
  if (!given) return forward(given);
  options.standard_input = given->get();
  options.standard_output = write_end.get();
  if (with_errors) options.standard_error = write_end.get();
  options.die_with_parent = true;
  auto process = spawn(options);
  if (!process) return forward(process);
  write_end.reset();
  std::string output;
  bool cancelled = false;
  for (;;) {
    pollfd fds[2] = {{read_end.get(), POLLIN, 0}, {cancelled ? -1 : cancel.fd(), POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (!cancelled && fds[1].revents != 0 && cancel.requested()) {
      cancelled = true;
      [[maybe_unused]] auto sent = send_signal(*process, SIGKILL);
    }
    if (fds[0].revents == 0) continue;
    char buffer[4096];
    const ssize_t n = ::read(read_end.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (output.size() < (1u << 20)) output.append(buffer, static_cast<std::size_t>(n));
  }
  const ExitStatus status = wait_for(*process);
  if (cancelled) return fail("job", "killed", "The job was killed");
  return ToolRun{status.code, std::move(output)};
}

}  // namespace

Result<std::string> run_helper(const std::vector<std::string>& argv, Cancel& cancel, std::string_view input) {
  SpawnOptions options;
  options.argv = argv;
  auto ended = run(std::move(options), false, cancel, input);
  if (!ended) return forward(ended);
  if (ended->status == 0) return std::move(ended->output);
  auto error = wire::decode<wire::ErrorBody>(ended->output);
  if (error) return tl::unexpected<Error>(error->to_error());
  return fail("job", "helper-died", fmt::format("{} ended with status {}", argv.front(), ended->status));
}

Result<ToolRun> run_tool(const std::vector<std::string>& argv, Cancel& cancel) {
  SpawnOptions options;
  options.argv = argv;
  options.new_session = true;
  auto ended = run(std::move(options), true, cancel);
  if (!ended && ended.error().reason == "enoent") {
    return fail("prog-not-found", "", fmt::format("Did not find '{}' in PATH", argv.front()));
  }
  return ended;
}

}  // namespace sluice::jobs
