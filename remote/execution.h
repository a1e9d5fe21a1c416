// Services of the Remote Execution API besides blobs, as the rest of remote/ sees them: plain
// values, no gRPC. What they answer is as it came; only shapes were looked at.
//
// Errors: domain "remote" as in peer.h, and "precondition" (the server lacks blobs of the action);
// "sandbox"/"execution-failed" when the server says that it couldn't run the command;
// "job"/"killed" after cancel().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "remote/peer.h"

namespace sluice::remote {

struct OutputDirectory {
  std::string path;  // relative to where the command ran
  // Of its Directory, of its Tree message; empty where the server doesn't say.
  Digest root, tree;
};

struct ActionResult {
  std::vector<OutputDirectory> directories;
  std::vector<std::string> others;  // paths of files and links that came as outputs
  int exit_code = 0;
  std::string stdout_raw, stderr_raw;
  Digest stdout_digest, stderr_digest;  // empty where there is none
  bool cached = false;                  // the server had it already
};

// Where actions are run.
class ExecutionService {
 public:
  virtual ~ExecutionService() = default;
  // Waits for the end, through connections that break. `told` hears the stages that the server
  // tells ("queued", "executing"). With `anew` a result that the server has counts for nothing.
  virtual Result<ActionResult> execute(const Digest& action, bool anew,
                                       const std::function<void(std::string_view stage)>& told) = 0;
  // From another thread: has the server give up what runs, and execute() end soon.
  virtual void cancel() = 0;
};

// Where results of actions are kept.
class ActionCacheService {
 public:
  virtual ~ActionCacheService() = default;
  virtual Result<std::optional<ActionResult>> find(const Digest& action) = 0;
};

// A connection that says nothing is asked after so long whether it is there, where the user doesn't
// say otherwise: more often would be too often for servers as they come.
inline constexpr std::chrono::seconds kExecutionKeepalive{360};

// Services that are sent nothing yet. Error: "bad-remote".
Result<std::unique_ptr<ExecutionService>> connect_execution(const RemoteSpec& spec);
Result<std::unique_ptr<ActionCacheService>> connect_action_cache(const RemoteSpec& spec);

}  // namespace sluice::remote
