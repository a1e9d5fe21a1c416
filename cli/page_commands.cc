// `report` and `web`: sessions as pages, which programs of their own make.
#include <cerrno>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/process.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/past.h"

namespace sluice::cli {

namespace {

// The session of this machine that `id` is of, living or not; "": as past_session() has it.
Result<SessionInfo> session_here(const Invocation& invocation, const std::string& id) {
  if (id.ends_with(".json")) {
    return fail(
        "session", "elsewhere",
        fmt::format("{}: only sessions of this machine have pages; `session attach`, `trace` "
                    "and `collect` show what another machine has",
                    id));
  }
  return past_session(invocation, id);
}

Result<int> make_report(const Invocation& invocation, const ReportCommand& command) {
  const SessionInfo session = TRY(session_here(invocation, command.id));
  const std::string output = command.output.empty()
                                 ? fmt::format("sluice-report-{}.html", session.paths.id)
                                 : command.output;
  SpawnOptions options;
  options.argv = {find_program("sluice-report"), "--session", session.paths.id, "--output", output};
  if (!command.compare.empty()) {
    const SessionInfo earlier = TRY(session_here(invocation, command.compare));
    options.argv.insert(options.argv.end(), {"--compare", earlier.paths.id});
  }
  const Process process = TRY(spawn(options));
  const ExitStatus status = wait_for(process);
  if (status.code == 0 && output != "-") CHECK(print(output + "\n"));
  return status.code;
}

}  // namespace

int run_report(Invocation& invocation, const ReportCommand& command) {
  const auto status = make_report(invocation, command);
  return status ? *status : failed(invocation, status.error());
}

// Becomes sluice-web: Ctrl-C is that one's.
int run_web(Invocation& invocation, const WebCommand& command) {
  std::vector<std::string> words = {find_program("sluice-web"), "--port",
                                    std::to_string(command.port)};
  if (!command.id.empty()) {
    const auto session = session_here(invocation, command.id);
    if (!session) return failed(invocation, session.error());
    words.insert(words.end(), {"--session", session->paths.id});
  }
  if (command.no_open) words.emplace_back("--no-open");
  if (command.read_only) words.emplace_back("--read-only");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv.front(), argv.data());
  const tl::unexpected<Error> error = fail_errno(errno, "cannot run sluice-web");
  return failed(invocation, error.value());
}

}  // namespace sluice::cli
