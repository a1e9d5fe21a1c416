// Commands of the user's that run for records.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process.h"
#include "base/result.h"

namespace sluice::collect {

// Runs the command with `input` as its standard input, which it need not read. It is killed, with
// all of its process group, when the time is over.
class RunningCommand {
 public:
  static Result<RunningCommand> start(std::vector<std::string> argv,
                                      std::vector<std::string> environment,
                                      const std::string& input);
  // What has become of it: "" when it ended in 0. Waits for it until then; `again` is set when it
  // asks for another try (status 75, EX_TEMPFAIL).
  std::string wait(Duration deadline, Duration timeout, bool& again);

 private:
  explicit RunningCommand(Process process) : process_(std::move(process)) {}
  Process process_;
};

}  // namespace sluice::collect
