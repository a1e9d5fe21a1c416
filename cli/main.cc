// sluice: the command line. Verbs that need more libraries (archives, YAML, sandboxes) are in
// sluice-artifact, which this process becomes: its command line is the same.
#include <cerrno>
#include <type_traits>

#include <unistd.h>

#include "base/file.h"
#include "cli/command_main.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/work.h"

namespace sluice::cli {

namespace {

// Becomes sluice-artifact. Returns only when that fails, with errno.
void become_artifact_program(char** argv) {
  ::execv(find_program("sluice-artifact").c_str(), argv);
}

struct Dispatch {
  Invocation& invocation;
  int operator()(const ShowCommand& c) { return run_show(invocation, c); }
  int operator()(const QueryCommand& c) { return run_query(invocation, c); }
  int operator()(const WhyCommand& c) { return run_why(invocation, c); }
  int operator()(const SessionListCommand& c) { return run_session_list(invocation, c); }
  int operator()(const SessionWhatRanCommand& c) { return run_session_what_ran(invocation, c); }
  int operator()(const SessionWhatFailedCommand& c) {
    return run_session_what_failed(invocation, c);
  }
  int operator()(const SessionSummaryCommand& c) { return run_session_summary(invocation, c); }
  int operator()(const SessionReplayCommand& c) { return run_session_replay(invocation, c); }
  int operator()(const ElementLogCommand& c) { return run_element_log(invocation, c); }
  int operator()(const SessionStartCommand& c) { return run_session_start(invocation, c); }
  int operator()(const SessionRevokeCommand& c) { return run_session_revoke(invocation, c); }
  int operator()(const RunnerJoinCommand& c) { return run_runner_join(invocation, c); }
  int operator()(const RunnerStartCommand& c) { return run_runner_start(invocation, c); }
  int operator()(const RunnerListCommand& c) { return run_runner_list(invocation, c); }
  int operator()(const RunnerControlCommand& c) { return run_runner_control(invocation, c); }
  int operator()(const SessionAttachCommand& c) { return run_session_attach(invocation, c); }
  int operator()(const SessionLogCommand& c) { return run_session_log(invocation, c); }
  int operator()(const ObserverCommand& c) { return run_observer(invocation, c); }
  int operator()(const WebCommand& c) { return run_web(invocation, c); }
  int operator()(const ReportCommand& c) { return run_report(invocation, c); }
  int operator()(const SessionControlCommand& c) { return run_session_control(invocation, c); }
  template <typename Other>
  int operator()(const Other& other) {
    // BuildCommand and its like: the template is the better match for what is derived from Work.
    if constexpr (std::is_base_of_v<Work, Other>) return run_work(invocation, other);
    become_artifact_program(invocation.argv);
    const tl::unexpected<Error> error = fail_errno(errno, "cannot run sluice-artifact");
    return failed(invocation, error.value());
  }
};

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  using namespace sluice::cli;
  // Completion may have to read YAML and the store.
  if (completion_is_asked()) {
    become_artifact_program(argv);
    return kFailure;
  }
  return command_main(argc, argv, [](Invocation& invocation, const Command& command) {
    return std::visit(Dispatch{invocation}, command);
  });
}
