// sluice: the command line. Parses, decides about terminal and colours, and hands over
// to one function for each verb.
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "cli/commands.h"

namespace sluice::cli {

int failed(Invocation& invocation, const Error& error) {
  invocation.report.error(error, load_error_prefix(error));
  return kFailure;
}

namespace {

struct Dispatch {
  Invocation& invocation;
  int operator()(const BuildCommand& c) { return run_build(invocation, c); }
  int operator()(const ShowCommand& c) { return run_show(invocation, c); }
  int operator()(const ShellCommand& c) { return run_shell(invocation, c); }
  int operator()(const CheckoutCommand& c) { return run_checkout(invocation, c); }
  int operator()(const ListContentsCommand& c) { return run_list_contents(invocation, c); }
  int operator()(const LogCommand& c) { return run_log(invocation, c); }
  int operator()(const ArtifactShowCommand& c) { return run_artifact_show(invocation, c); }
  int operator()(const SessionListCommand& c) { return run_session_list(invocation, c); }
  int operator()(const SessionAttachCommand& c) { return run_session_attach(invocation, c); }
  int operator()(const SessionControlCommand& c) { return run_session_control(invocation, c); }
};

int run(const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(arguments);
  if (!line.command) {
    (void)write_all(line.status == kSuccess ? 1 : 2, line.output);
    return line.status;
  }
  auto report = Report::create(line.verb, line.global.json_log);
  if (!report) {
    std::fprintf(stderr, "%s\n", report.error().str().c_str());
    return kFailure;
  }
  const bool terminal = ::isatty(1) == 1 && ::isatty(2) == 1;
  Invocation invocation{line.global, *report, terminal && !line.global.no_interactive, line.global.colors.value_or(terminal)};
  report->started();
  const int status = std::visit(Dispatch{invocation}, *line.command);
  if (status == kSuccess) report->succeeded();
  return status;
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  // 0, 1 and 2 must exist, or some file that is opened later becomes one of them.
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR)) {
    if (fd > 2) {
      ::close(fd);
      break;
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
  return sluice::cli::run(std::vector<std::string>(argv + 1, argv + argc));
}
