// Batches of commands on another machine, which sluice-execute has them run on
// (wire/execute_protocol.h): the root goes there as the digest that it is, and what comes back are
// digests. The root is given to the server as BuildStream gives it.
//
// Limits of the user configuration on memory, silence and /tmp are matters of the machine that
// runs the commands; the one on the log's size counts here, too.
#pragma once

#include <functional>

#include "elements/executor.h"
#include "wire/execute_protocol.h"

namespace sluice::elements {

class RemoteExecutor final : public Executor {
 public:
  RemoteExecutor(const JobData& data, store::Cas& cas, Reporter& reporter, sandbox::Cancel& cancel)
      : data_(data), cas_(cas), reporter_(reporter), cancel_(cancel) {}

  bool remote() const override { return true; }
  Result<int> run(store::Tree& root, const Execution& execution) override;

 private:
  Result<model::Digest> input_root(store::Tree& root, const Execution& execution);
  Result<wire::ExecuteRequest> request(store::Tree& root, const Execution& execution);
  Result<wire::ExecuteReply> ask(const wire::ExecuteRequest& request);
  Status write_log(const model::Digest& written);
  Status take_outputs(store::Tree& root, const wire::ExecuteReply& reply);

  const JobData& data_;
  store::Cas& cas_;
  Reporter& reporter_;
  sandbox::Cancel& cancel_;
};

// The properties by which a server chooses where a command runs, in the order of their names, as
// BuildStream has them.
model::StringMap execution_platform(const model::Sandbox& sandbox);

}  // namespace sluice::elements
