// sluice-artifact: the verbs `artifact ...`, `explain`, `init`, `sbom`, `shell`, `source checkout`,
// `store
// ...` and `workspace ...`, and completion of all (see main.cc).
#include <clocale>

#include "base/fd.h"
#include "cli/command_main.h"
#include "cli/commands.h"
#include "cli/completion.h"

namespace sluice::cli {

namespace {

struct Dispatch {
  Invocation& invocation;
  int operator()(const CheckoutCommand& c) { return run_checkout(invocation, c); }
  int operator()(const ListContentsCommand& c) { return run_list_contents(invocation, c); }
  int operator()(const LogCommand& c) { return run_log(invocation, c); }
  int operator()(const ElementLogCommand& c) { return run_artifact_logs_of(invocation, c); }
  int operator()(const ArtifactShowCommand& c) { return run_artifact_show(invocation, c); }
  int operator()(const ArtifactDiffCommand& c) { return run_artifact_diff(invocation, c); }
  int operator()(const StoreCheckCommand& c) { return run_store_check(invocation, c); }
  int operator()(const ArtifactDeleteCommand& c) { return run_artifact_delete(invocation, c); }
  int operator()(const SourceCheckoutCommand& c) { return run_source_checkout(invocation, c); }
  int operator()(const InitCommand& c) { return run_init(invocation, c); }
  int operator()(const WorkspaceOpenCommand& c) { return run_workspace_open(invocation, c); }
  int operator()(const WorkspaceCloseCommand& c) { return run_workspace_close(invocation, c); }
  int operator()(const WorkspaceResetCommand& c) { return run_workspace_reset(invocation, c); }
  int operator()(const WorkspaceListCommand&) { return run_workspace_list(invocation); }
  int operator()(const SbomCommand& c) { return run_sbom(invocation, c); }
  int operator()(const ExplainCommand& c) { return run_explain(invocation, c); }
  int operator()(const SessionExplainCommand& c) { return run_session_explain(invocation, c); }
  int operator()(const ShellCommand& c) { return run_shell(invocation, c); }
  template <typename Other>
  int operator()(const Other&) {
    return failed(invocation,
                  {"app",
                   "usage",
                   "This program has only those verbs of `sluice` for which that starts it",
                   {},
                   {}});
  }
};

int answer_completion() {
  const auto request = completion_request();
  if (!request) {
    (void)write_all(2, "sluice: completion needs COMP_WORDS, and COMP_CWORD that is a number\n");
    return kUsage;
  }
  return write_all(1, completion_answer(*request)) ? kSuccess : kFailure;
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  using namespace sluice::cli;
  // Libarchive writes names in the locale's encoding; the store's are UTF-8.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  if (completion_is_asked()) return answer_completion();
  return command_main(argc, argv, [](Invocation& invocation, const Command& command) {
    return std::visit(Dispatch{invocation}, command);
  });
}
