#include "cli/command_main.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"
#include "loader/error_prefix.h"

namespace sluice::cli {

namespace {

// The convention of no-color.org.
bool colors_unwanted() {
  const char* value = std::getenv("NO_COLOR");
  return value != nullptr && *value != '\0';
}

// Whether a command can't go on when its current directory is gone.
bool needs_directory(const CommandLine& line) {
  if (const auto* init = std::get_if<InitCommand>(&*line.command)) return !init->directory.starts_with('/');
  return !line.verb.starts_with("session ") && !line.global.directory.starts_with('/');
}

Status check_directory(const CommandLine& line) {
  char buffer[4096];
  if (!needs_directory(line) || ::getcwd(buffer, sizeof buffer) != nullptr) return {};
  const int cause = errno;
  return fail("app", "no-directory", fmt::format("The current directory can't be found: {}", std::strerror(cause)), {},
              cause == ENOENT ? "It has been removed. Change to another one, or name the project by --directory." : "");
}

}  // namespace

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
  Invocation invocation{line.global, *report, argv, terminal && !line.global.no_interactive, 
                        line.global.colors.value_or(terminal && !colors_unwanted())};
  report->started();
  if (auto there = check_directory(line); !there) return failed(invocation, there.error());
  // No code of ours lets one through that it expects; what is left, like memory that isn't had, is told as all else.
  try {
    const int status = dispatch(invocation, *line.command);
    if (status == kSuccess) report->succeeded();
    return status;
  } catch (const std::bad_alloc&) {
    return failed(invocation, {"app", "no-memory", "Out of memory", {}, {}});
  } catch (const std::exception& error) {
    return failed(invocation, {"app", "unexpected", fmt::format("Unexpected error: {}", error.what()), {}, {}});
  }
}

}  // namespace sluice::cli
