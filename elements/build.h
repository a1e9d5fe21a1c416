// One build: the sandbox's root as a tree, what kinds do with it, and the artifact at
// the end. The order of steps and their texts are BuildStream's (Element._assemble).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "elements/reporter.h"
#include "elements/staging.h"
#include "model/model.h"
#include "sandbox/sandbox.h"
#include "sandbox/scratch.h"
#include "sandbox/shell_script.h"
#include "store/artifact.h"
#include "store/cas.h"
#include "store/realise.h"
#include "store/tree.h"
#include "wire/messages.h"

namespace sluice::elements {

using sandbox::Cancel;
using sandbox::SandboxRun;
using sandbox::Scratch;
using sandbox::ShellScript;
using sandbox::TokenEnds;

// What a job process has unpacked once.
struct JobData {
  wire::Job job;
  wire::JobElement element;
  model::ElementBody body;
  model::Settings settings;
  std::string scratch;
  TokenEnds tokens;
  int memory_group = -1;  // sandbox/memory_limit.h
};

// The surroundings that a kind works in. One thread.
class Build {
 public:
  Build(const JobData& data, store::Cas& cas, store::Realiser& realiser, Reporter& reporter,
        Cancel& cancel);
  ~Build();

  const JobData& data() const { return data_; }
  Reporter& reporter() { return reporter_; }
  store::Cas& cas() { return cas_; }
  store::Tree& root() { return *root_; }
  // `otherwise` when the element has no such variable.
  std::string variable(std::string_view name, std::string_view otherwise = {}) const;
  // Of one that names a directory in the sandbox: without "." and "..", where that can be said.
  std::string directory_variable(std::string_view name, std::string_view otherwise = {}) const;
  const std::vector<model::ArtifactRef>& dependencies() const { return data_.job.dependencies; }

  // As in BuildStream's Sandbox. Paths are absolute.
  void mark_directory(std::string path);
  void set_work_directory(std::string path) { work_directory_ = std::move(path); }
  const std::string& work_directory() const { return work_directory_; }
  model::StringMap& environment() { return environment_; }
  // What the element's own commands get: the same, but that a make is told where its tokens are, if
  // there are any. Part of no key, no artifact and no log.
  model::StringMap command_environment();
  void configured() { configured_ = true; }
  // The environment at the top of the log.
  void show_environment();
  // What the artifact gets instead of the element's own public data.
  void set_public_data(model::Node data) { public_data_ = std::move(data); }

  Status stage(const Selection& selection, std::string_view location);
  // Runs the integration commands of what is staged, or takes the root that they made before.
  Status integrate(const Selection& selection);
  // Where sources are in the store, but not all of them together: who can fetch makes that of them.
  void on_sources_apart(std::function<Result<model::Digest>()> join) {
    join_sources_ = std::move(join);
  }
  // Stages the element's sources in a directory of the root, which must be empty.
  Status stage_sources(std::string_view directory);
  // A root of its own with `selection` staged; its digest. For digest-environment.
  Result<model::Digest> subsandbox(const Selection& selection);

  // The element's commands, one script. Fails with "sandbox"/"command-failed" when one fails; the
  // root is as the commands left it then, too.
  Status run(const ShellScript& script, bool root_read_only);
  // Whether a program is there, by its path or in PATH. Symbolic links are followed inside of the
  // root.
  static Result<bool> has_command(const store::Tree& root, const std::string& command,
                                  const model::StringMap& environment);
  // Whether /tmp of the root holds something, be it only a directory to work in: then commands see
  // that, and may write there. An empty one is hidden by a tmpfs.
  static Result<bool> has_own_temporary(const store::Tree& root, std::string_view directory);
  // The build root is to be empty after the commands when nobody needs what is in it
  // (BuildStream's run_cleanup_commands(), which has it removed by two more processes in the
  // sandbox; here it is just not captured).
  void clean_build_root();

  // An integrated root that was remembered is used although nobody looked whether all of its
  // blobs are there. When one turns out to be missing the build is made again without.
  bool used_remembered_root() const { return used_integrated_; }
  void distrust_remembered_roots() { trust_integrated_ = false; }

  // What a failed command leaves collected (script's install root); "" for nothing.
  void collect_on_failure(std::string path) { collect_on_failure_ = std::move(path); }
  const std::string& collected_on_failure() const { return collect_on_failure_; }

  // Its sources are those of an open workspace.
  bool workspaced() const;

  // Writes the artifact. `collect`: path in the root, std::nullopt: no files.
  Result<model::ArtifactRef> cache_artifact(const std::optional<std::string>& collect,
                                            const Error* failure);

 private:
  struct Prepared;
  Status realise(store::Tree& root, SandboxRun& run);
  // Runs a script in `root`, which it changes. Gives the exit status.
  Result<int> run_in(store::Tree& root, const ShellScript& script, bool root_read_only,
                     bool with_marked);
  Status prepare_read_only(store::Tree& root, SandboxRun& run, const std::string& directory,
                           Prepared& prepared);
  Status copy_temporary(store::Tree& root, SandboxRun& run, const std::string& directory,
                        const Prepared& prepared);
  Status prepare_writable(store::Tree& root, SandboxRun& run, const std::string& directory,
                          std::string& upper);
  Result<model::Digest> sources_root();
  Result<std::optional<model::Digest>> last_build(const model::Digest& sources);

  const JobData& data_;
  store::Cas& cas_;
  store::Realiser& realiser_;
  Scratch scratch_;
  Reporter& reporter_;
  Cancel& cancel_;
  std::function<Result<model::Digest>()> join_sources_;
  std::optional<store::Tree> root_;
  std::unique_ptr<Staging> staging_;
  std::vector<std::string> marked_;
  std::string work_directory_ = "/";
  model::StringMap environment_;
  bool configured_ = false;
  std::optional<model::Node> public_data_;
  std::vector<model::Digest> subsandboxes_;
  std::string collect_on_failure_;
  bool cleaned_ = false;
  bool tokens_told_ = false;
  bool trust_integrated_ = true;
  bool used_integrated_ = false;
  bool ran_read_only_ = false;  // the last commands, under a read-only root
  unsigned runs_ = 0;
};

}  // namespace sluice::elements
