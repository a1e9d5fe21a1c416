// `trace`, `metrics`, `collect`: this process becomes the program that does it.
#include <cerrno>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/sessions.h"

namespace sluice::cli {

int run_observer(Invocation& invocation, const ObserverCommand& command) {
  std::vector<std::string> arguments = {find_program(command.program)};
  const bool newest = command.id.empty() && command.newest;
  if (newest || !command.id.empty()) {
    const auto session = newest ? newest_session(load_arguments(invocation.global).what.directory)
                                : find_session(command.id);
    if (!session) return failed(invocation, session.error());
    arguments.insert(arguments.end(), {"--session", session->paths.id});
  }
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  const tl::unexpected<Error> error =
      fail_errno(errno, fmt::format("cannot run {}", command.program));
  return failed(invocation, error.value());
}

}  // namespace sluice::cli
