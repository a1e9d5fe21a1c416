// Commands of one build, run in its root: how its sandbox is set up (directories, environment), the
// integration commands of what is staged, and the element's own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "elements/build_root.h"
#include "elements/executor.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "elements/staging.h"
#include "model/model.h"
#include "sandbox/sandbox.h"
#include "sandbox/shell_script.h"
#include "store/cas.h"
#include "store/realise.h"

namespace sluice::elements {

// Refers to all it is given. One thread.
class CommandRunner {
 public:
  CommandRunner(const JobData& data, BuildRoot& root, store::Cas& cas, store::Realiser& realiser,
                Reporter& reporter, sandbox::Cancel& cancel)
      : data_(data), root_(root), cas_(cas), reporter_(reporter),
        executor_(make_executor(data, cas, realiser, reporter, cancel)),
        environment_(data.body.environment) {}

  // How the sandbox is set up, as in BuildStream's Sandbox. Paths are absolute. Marked directories
  // can be written to below a read-only root.
  void mark_directory(std::string path);
  const std::vector<std::string>& marked_directories() const { return marked_; }
  void set_work_directory(std::string path) { work_directory_ = std::move(path); }
  const std::string& work_directory() const { return work_directory_; }
  model::StringMap& environment() { return environment_; }
  const model::StringMap& environment() const { return environment_; }
  // Says that this is all there is to set up: an artifact's build tree has the environment then.
  void set_configured() { configured_ = true; }
  bool is_configured() const { return configured_; }
  // Writes the environment at the top of the log.
  void show_environment();

  // The environment of the element's own commands: the same, but that it says how many processes
  // this machine has, where the element was loaded on another one, and that a make is told where
  // its tokens are, if there are any. Part of no key, no artifact and no log.
  model::StringMap command_environment() { return with_tokens(environment_); }
  model::StringMap with_tokens(model::StringMap environment);

  // Runs the integration commands of what is staged, or takes the root that they made before.
  // Errors: as run().
  Status integrate(const Selection& selection);

  // A root that integration commands made before is used although nobody looked whether all of its
  // blobs are there. When one turns out to be missing, the build is made again without.
  bool used_remembered_root() const { return used_remembered_; }
  void distrust_remembered_roots() { trust_remembered_ = false; }

  // Runs the element's commands, one script. Fails with "sandbox"/"command-failed" when one fails;
  // the root is as the commands left it then, too. "sandbox"/"missing-command" without a shell,
  // other errors of "sandbox" for limits that were exceeded; "job"/"killed"; the store's.
  Status run(const sandbox::ShellScript& script, bool root_read_only);
  // Runs one command, which the log doesn't name. Gives its exit status. Errors: as run(), but for
  // a command that fails.
  Result<int> run_alone(const sandbox::Command& command, bool root_read_only);
  // Adds the integration commands of an artifact to a script.
  Status add_integration(sandbox::ShellScript& script, const model::ArtifactRef& artifact);
  // Whether commands are run on another machine.
  bool runs_elsewhere() const { return executor_->remote(); }
  // Whether the last run() was below a read-only root.
  bool ran_read_only() const { return ran_read_only_; }

  // Has the build root be empty after commands that succeed, when nobody needs what is in it
  // (BuildStream's run_cleanup_commands(), which has it removed by two more processes in the
  // sandbox; here it is just not captured).
  void clean_build_root();

 private:
  // Runs a script in the root, which it changes. Gives the exit status.
  Result<int> run_in_root(const sandbox::ShellScript& script, bool root_read_only,
                          bool with_marked);
  Result<int> run_there(Execution execution, bool with_marked);
  Status check_command(const std::string& name, const model::StringMap& environment);
  Status make_directories(bool with_marked);

  const JobData& data_;
  BuildRoot& root_;
  store::Cas& cas_;
  Reporter& reporter_;
  const std::unique_ptr<Executor> executor_;
  std::vector<std::string> marked_;
  std::string work_directory_ = "/";
  model::StringMap environment_;
  bool configured_ = false;
  bool cleans_build_root_ = false;
  bool tokens_told_ = false;
  bool trust_remembered_ = true;
  bool used_remembered_ = false;
  bool ran_read_only_ = false;
};

}  // namespace sluice::elements
