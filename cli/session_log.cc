// `session log`: the log of a job that runs, wherever that is, from a byte on and to its end.
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/job_log.h"
#include "cli/sessions.h"

namespace sluice::cli {

int run_session_log(Invocation& invocation, const SessionLogCommand& command) {
  auto session = chosen_session(invocation, command.id);
  if (!session) return failed(invocation, session.error());
  wire::Context context;
  wire::Reactor reactor;
  LogOutput output;
  std::optional<Error> error;
  bool over = false;
  auto log = JobLog::create(context, reactor, invocation.report, *session,
                            {command.what, command.from, false},
                            {[&](std::string_view text) { return output.write(text); },
                             [&](std::optional<Error> why) {
                               error = std::move(why);
                               over = true;
                               reactor.stop();
                             }});
  if (!log) return failed(invocation, log.error());
  if (!over) reactor.run();
  if (!error) {
    if (auto flushed = output.flush(); !flushed) error = flushed.error();
  }
  return error ? failed(invocation, *error) : kSuccess;
}

}  // namespace sluice::cli
