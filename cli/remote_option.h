// Remotes on the command line: `--artifact-remote`, `--source-remote`.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "model/model.h"

namespace sluice::cli {

// A URL, or KEY=VALUE,... with the keys of the configuration (BuildStream's
// RemoteSpec.new_from_string). `push`: whether it can be pushed to; none: as `push=` says. Paths
// are seen from the working directory. "app"/"invalid-remote".
Result<model::Remote> read_remote(const std::string& text, std::optional<bool> push);

}  // namespace sluice::cli
