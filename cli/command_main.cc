#include "cli/command_main.h"

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "loader/error_prefix.h"

namespace sluice::cli {

int failed(Invocation& invocation, const Error& error) {
  // Who reads has gone (`sluice show | head`): not worth a word.
  if (error.domain == "util" && error.reason == "epipe") return kFailure;
  invocation.report.error(error, loader::error_prefix(error));
  return kFailure;
}

int command_main(int argc, char** argv, int (*dispatch)(Invocation& invocation, const Command& command)) {
  // 0, 1 and 2 must exist, or some file that is opened later becomes one of them.
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR)) {
    if (fd > 2) {
      ::close(fd);
      break;
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  const CommandLine line = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.command) {
    (void)write_all(line.status == kSuccess ? 1 : 2, line.output);
    return line.status;
  }
  auto report = Report::create(line.verb, line.global.json_log);
  if (!report) {
    (void)write_all(2, "\n" + report.error().str() + "\n");
    return kFailure;
  }
  const bool terminal = ::isatty(1) == 1 && ::isatty(2) == 1;
  Invocation invocation{line.global, *report, argv, terminal && !line.global.no_interactive, line.global.colors.value_or(terminal)};
  report->started();
  const int status = dispatch(invocation, *line.command);
  if (status == kSuccess) report->succeeded();
  return status;
}

}  // namespace sluice::cli
