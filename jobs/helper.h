// Runs one of Sluice's helper programs (sluice-unpack, sluice-download), or a tool of the machine (patch), for a job:
// waits for it, and ends it when the job is cancelled.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "jobs/names.h"
#include "sandbox/sandbox.h"

namespace sluice::jobs {

// What it wrote to standard output. When it ends with a status but 0 its output is a packed
// wire::ErrorBody, which becomes the error; when it died, that is the error ("job"/"helper-died").
// It dies with this process. `input`: what it reads from standard input.
Result<std::string> run_helper(const std::vector<std::string>& argv, Cancel& cancel, std::string_view input = {});

struct ToolRun {
  int status = 0;  // in the shell's numbers
  std::string output;
};
// Runs a program of this machine, looked for in PATH, without a terminal that it could ask: how it ended, and what it wrote to
// standard output and standard error together (1 MiB at most). "prog-not-found" when there is none.
Result<ToolRun> run_tool(const std::vector<std::string>& argv, Cancel& cancel);

}  // namespace sluice::jobs
