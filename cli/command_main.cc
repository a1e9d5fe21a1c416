#include "cli/command_main.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/credentials.h"
#include "base/fd.h"
#include "base/terminal.h"
#include "base/text.h"

namespace sluice::cli {

namespace {

// Whether a command can't go on when its current directory is gone.
bool needs_directory(const CommandLine& line) {
  if (const auto* init = std::get_if<InitCommand>(&*line.command))
    return !init->directory.starts_with('/');
  return !line.verb.starts_with("session ") && !line.global.directory.starts_with('/');
}

Status check_directory(const CommandLine& line) {
  char buffer[4096];
  if (!needs_directory(line) || ::getcwd(buffer, sizeof buffer) != nullptr) return {};
  const int cause = errno;
  return fail(
      "app", "no-directory",
      fmt::format("The current directory can't be found: {}", std::strerror(cause)), {},
      cause == ENOENT
          ? "It has been removed. Change to another one, or name the project by --directory."
          : "");
}

// Takes credentials out of the process' arguments, which everybody on the machine sees, and which
// may have a remote with its password among them. Returns what they were.
std::vector<std::string> hide_credentials(int argc, char** argv) {
  std::vector<std::string> given(argv, argv + argc);
  for (int i = 0; i < argc; ++i) {
    const std::string& one = given[static_cast<std::size_t>(i)];
    const std::string hidden = without_credentials(one);
    if (hidden == one) continue;
    std::memset(argv[i], 0, one.size());
    std::memcpy(argv[i], hidden.data(), std::min(hidden.size(), one.size()));
  }
  return given;
}

// 0, 1 and 2 must exist, or some file that is opened later becomes one of them. What is written to
// a standard output that isn't there is an error all the same, and not lost in silence.
void take_standard_descriptors() {
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR)) {
    if (fd == STDOUT_FILENO) {
      ::close(fd);
      fd = ::open("/dev/null", O_RDONLY);
    }
    if (fd > 2) {
      ::close(fd);
      break;
    }
  }
}

}  // namespace

int failed(Invocation& invocation, const Error& error) {
  // The reader has gone (`sluice show | head`), which isn't worth a word.
  if (error.domain == "util" && error.reason == "epipe") return kFailure;
  invocation.report.error(error);
  return kFailure;
}

int command_main(int argc, char** argv,
                 int (*dispatch)(Invocation& invocation, const Command& command)) {
  take_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> given = hide_credentials(argc, argv);
  std::vector<char*> arguments;
  for (std::string& one : given) arguments.push_back(one.data());
  arguments.push_back(nullptr);
  const CommandLine line =
      parse_command_line(std::vector<std::string>(given.begin() + 1, given.end()));
  if (!line.command) {
    const int to = line.status == kSuccess ? 1 : 2;
    const std::string text = without_credentials(line.output);
    const auto written = write_all(to, ::isatty(to) == 1 ? clean(text) : text);
    if (to == 1 && !written && written.error().reason != "epipe") {
      (void)write_all(2, "\n" + written.error().str() + "\n");
      return kFailure;
    }
    return line.status;
  }
  auto report = Report::create(line.verb, line.global.json_log);
  if (!report) {
    (void)write_all(2, "\n" + report.error().str() + "\n");
    return kFailure;
  }
  const bool terminal = ::isatty(1) == 1 && ::isatty(2) == 1;
  Invocation invocation{line.global,
                        *report,
                        arguments.data(),
                        terminal && !line.global.no_interactive,
                        line.global.colors.value_or(colors_by_environment(terminal)),
                        {}};
  auto style = chosen_style(line.global, invocation.interactive, invocation.colors);
  if (!style) {
    (void)write_all(2, fmt::format("Error: {}\n", style.error().message));
    return kUsage;
  }
  invocation.style = std::move(*style);
  if (invocation.style.name == "github") {
    const char* workspace = std::getenv("GITHUB_WORKSPACE");
    report->annotate(workspace == nullptr ? "" : workspace);
  }
  report->work_in(load_arguments(line.global).what.directory);
  report->started();
  // The log is made first: a user who wants one is to have no session that began before anybody
  // knew that it can't be written.
  if (const std::string& file = line.global.log_file; !file.empty()) {
    if (!UniqueFd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666))) {
      return failed(invocation,
                    {"app",
                     "log-file",
                     fmt::format("Could not open file '{}': {}", file, std::strerror(errno)),
                     {},
                     {}});
    }
  }
  if (auto there = check_directory(line); !there) return failed(invocation, there.error());
  // No code of ours lets one through that it expects; what is left, like memory that isn't had, is
  // told as all else.
  try {
    const int status = dispatch(invocation, *line.command);
    if (status == kSuccess) report->succeeded();
    return status;
  } catch (const std::bad_alloc&) {
    return failed(invocation, {"app", "no-memory", "Out of memory", {}, {}});
  } catch (const std::exception& error) {
    return failed(invocation,
                  {"app", "unexpected", fmt::format("Unexpected error: {}", error.what()), {}, {}});
  }
}

}  // namespace sluice::cli
