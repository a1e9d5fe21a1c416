// The record log's file, for whoever reads what a session of this machine has said until now. No
// ZeroMQ. spec/records.md, "The log".
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "wire/session.h"

namespace sluice::wire {

// Hands over the records that the log's file of a session of this machine has now, from the cursor
// `from` on, until `take` gives false. Waits for nobody and makes no connection. Gives the cursor
// after the last one that it handed over. Errors: "app"/"no-session", and those of AppendLogReader.
Result<std::uint64_t> read_records(const SessionPaths& paths, std::uint64_t from,
                                   const std::function<bool(std::string_view packed)>& take);

}  // namespace sluice::wire
