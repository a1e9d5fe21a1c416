// What each verb does. Every function returns the exit status and has reported its errors; none
// throws.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "cli/renderer_style.h"
#include "cli/report.h"

namespace sluice::wire {
struct LoadArguments;
}

namespace sluice::cli {

struct LoadedProject;

// What all commands share.
struct Invocation {
  const GlobalOptions& global;
  Report& report;
  char** argv = nullptr;     // as main() had it
  bool interactive = false;  // on a terminal, both standard output and error
  bool colors = false;
  RendererStyle style;  // of what happens, on the terminal or where it goes else
};

int run_source_checkout(Invocation& invocation, const SourceCheckoutCommand& command);
int run_init(Invocation& invocation, const InitCommand& command);
int run_workspace_open(Invocation& invocation, const WorkspaceOpenCommand& command);
int run_workspace_close(Invocation& invocation, const WorkspaceCloseCommand& command);
int run_workspace_reset(Invocation& invocation, const WorkspaceResetCommand& command);
int run_workspace_list(Invocation& invocation);
int run_artifact_delete(Invocation& invocation, const ArtifactDeleteCommand& command);
// A session whose processes are all dead, to the end of the run that it was in.
int resume_session(Invocation& invocation, const std::string& id, const std::string& project,
                   const std::string& verb);
// load_once(), after fetching the projects behind junctions that it takes, in a session of its own.
// An error has been reported when there is nothing.
std::optional<LoadedProject> load_with_subprojects(Invocation& invocation,
                                                   const wire::LoadArguments& arguments);
int run_show(Invocation& invocation, const ShowCommand& command);
int run_query(Invocation& invocation, const QueryCommand& command);
int run_why(Invocation& invocation, const WhyCommand& command);
int run_sbom(Invocation& invocation, const SbomCommand& command);
int run_explain(Invocation& invocation, const ExplainCommand& command);
int run_shell(Invocation& invocation, const ShellCommand& command);
int run_checkout(Invocation& invocation, const CheckoutCommand& command);
int run_list_contents(Invocation& invocation, const ListContentsCommand& command);
int run_log(Invocation& invocation, const LogCommand& command);
int run_artifact_show(Invocation& invocation, const ArtifactShowCommand& command);
int run_artifact_diff(Invocation& invocation, const ArtifactDiffCommand& command);
int run_store_check(Invocation& invocation, const StoreCheckCommand& command);
int run_session_what_ran(Invocation& invocation, const SessionWhatRanCommand& command);
int run_session_what_failed(Invocation& invocation, const SessionWhatFailedCommand& command);
int run_session_summary(Invocation& invocation, const SessionSummaryCommand& command);
int run_session_replay(Invocation& invocation, const SessionReplayCommand& command);
int run_element_log(Invocation& invocation, const ElementLogCommand& command);
// Shows the logs of artifacts of those elements of `log` that have none of a job.
int run_artifact_logs_of(Invocation& invocation, const ElementLogCommand& command);
int run_session_list(Invocation& invocation, const SessionListCommand& command);
int run_session_start(Invocation& invocation, const SessionStartCommand& command);
int run_session_attach(Invocation& invocation, const SessionAttachCommand& command);
int run_session_log(Invocation& invocation, const SessionLogCommand& command);
int run_session_explain(Invocation& invocation, const SessionExplainCommand& command);
int run_web(Invocation& invocation, const WebCommand& command);
int run_report(Invocation& invocation, const ReportCommand& command);
int run_session_revoke(Invocation& invocation, const SessionRevokeCommand& command);
int run_runner_join(Invocation& invocation, const RunnerJoinCommand& command);
int run_runner_start(Invocation& invocation, const RunnerStartCommand& command);
int run_runner_list(Invocation& invocation, const RunnerListCommand& command);
int run_runner_control(Invocation& invocation, const RunnerControlCommand& command);
int run_observer(Invocation& invocation, const ObserverCommand& command);
int run_session_control(Invocation& invocation, const SessionControlCommand& command);

// Reports the error and gives the status to return.
int failed(Invocation& invocation, const Error& error);

}  // namespace sluice::cli
