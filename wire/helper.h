// Sluice's own helper programs (sluice-unpack, sluice-download, sluice-remote), for a job.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/tool.h"

namespace sluice::wire {

// What it wrote to standard output. When it ends with a status but 0 its output is a packed
// ErrorBody, which becomes the error; when it died, that is the error ("job"/"helper-died"). It
// dies with this process. `input`: what it reads from standard input.
Result<std::string> run_helper(const std::vector<std::string>& argv, const Stop& stop,
                               std::string_view input = {});

}  // namespace sluice::wire
