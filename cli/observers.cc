// `trace`, `metrics`, `collect`: this process becomes the program that does it. It keeps what was
// joined of a session on another machine, since that lives as long as the lock on it.
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/listening.h"
#include "cli/past.h"

namespace sluice::cli {

int run_observer(Invocation& invocation, const ObserverCommand& command) {
  std::vector<std::string> arguments = {find_program(command.program)};
  SessionInfo session;
  if (command.newest || !command.id.empty()) {
    auto found = past_session(invocation, command.id);
    if (!found) return failed(invocation, found.error());
    session = std::move(*found);
    arguments.insert(arguments.end(), {"--session", session.paths.handle()});
    if (session.place) (void)::fcntl(session.place->lock.get(), F_SETFD, 0);
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
