// Batches of commands in bubblewrap on this machine: spec/sandbox.md.
#pragma once

#include "elements/executor.h"
#include "sandbox/scratch.h"

namespace sluice::elements {

class LocalExecutor final : public Executor {
 public:
  LocalExecutor(const JobData& data, store::Cas& cas, store::Realiser& realiser, Reporter& reporter,
                sandbox::Cancel& cancel)
      : data_(data), cas_(cas), realiser_(realiser), scratch_(data.scratch), reporter_(reporter),
        cancel_(cancel) {}

  bool remote() const override { return false; }
  Result<int> run(store::Tree& root, const Execution& execution) override;

 private:
  Result<int> run_read_only(store::Tree& root, const Execution& execution,
                            sandbox::SandboxRun& run);
  Result<int> run_writable(store::Tree& root, const Execution& execution, sandbox::SandboxRun& run);
  Status realise(store::Tree& root, sandbox::SandboxRun& run);
  Result<int> run_limited(sandbox::SandboxRun& run);

  const JobData& data_;
  store::Cas& cas_;
  store::Realiser& realiser_;
  sandbox::Scratch scratch_;
  Reporter& reporter_;
  sandbox::Cancel& cancel_;
  unsigned runs_ = 0;
};

}  // namespace sluice::elements
