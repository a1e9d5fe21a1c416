// A process's own log: what a developer reads when something went wrong with
// Sluice itself. It is no part of what a user sees; that travels in records.
#pragma once

#include <memory>
#include <string>

#include <spdlog/fwd.h>
#include <spdlog/spdlog.h>

namespace sluice {

// Sends spdlog's default logger to `path` (appending) or to standard error when
// it is empty. Level from $SLUICE_LOG (trace ... off), "info" by default.
void start_process_log(const std::string& program, const std::string& path);

}  // namespace sluice
