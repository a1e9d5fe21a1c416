// An Executor runs one batch of commands in the root of a build and makes of the root what they
// left: on this machine, in bubblewrap (local_executor.h), or elsewhere, by the Remote Execution
// API (remote_executor.h). CommandRunner has one, and is the only one who asks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "elements/job_data.h"
#include "elements/reporter.h"
#include "model/model.h"
#include "sandbox/sandbox.h"
#include "store/cas.h"
#include "store/realise.h"
#include "store/tree.h"

namespace sluice::elements {

// The directories of every sandbox, which its root has though nothing that is staged has them.
inline constexpr const char* kSandboxDirectories[] = {"dev", "proc", "tmp"};

struct Execution {
  std::vector<std::string> argv;
  std::string directory;  // as normal_root_path() gives it
  model::StringMap environment;
  bool root_read_only = true;
  // Below a read-only root these can be written to; they are in the root.
  std::vector<std::string> writable;
  // Of the build root nothing is wanted when the commands succeed.
  bool drops_build_root = false;
  bool with_tokens = false;  // for makes
  // Trees besides the root that the commands may ask for by digest.
  std::vector<model::Digest> more_roots;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Whether commands are run elsewhere: nothing of this machine (tokens, descriptors, its
  // architecture) is there then, and scripts are BuildStream's to the last byte.
  virtual bool remote() const = 0;
  // Gives the exit status. After an error the root is in part as the commands left it: drop it.
  // Errors: domain "sandbox", "job"/"killed", the store's; "remote" of remote ones.
  virtual Result<int> run(store::Tree& root, const Execution& execution) = 0;
};

// The one that the settings ask for. It refers to all it is given.
std::unique_ptr<Executor> make_executor(const JobData& data, store::Cas& cas,
                                        store::Realiser& realiser, Reporter& reporter,
                                        sandbox::Cancel& cancel);

}  // namespace sluice::elements
