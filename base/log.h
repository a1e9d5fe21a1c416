// A process's own log: what a developer reads when something went wrong with
// Sluice itself. It is no part of what a user sees; that travels in records.
//
// spdlog writes it. Its headers stay in log.cc: a call of its templates compiles for seconds.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace sluice {

// Sends the log to `path` (appending) or to standard error when it is empty. Level from $SLUICE_LOG
// (trace ... off), "info" by default. Until it is called the log is standard output.
void start_process_log(const std::string& program, const std::string& path);

// Lines of the log, by their weight. A line is written out when the call returns, since the process
// may die right after it. One thread.
namespace log {

enum class Level { kInfo, kWarning, kError, kCritical };

void line(Level level, std::string_view text);

inline void info(std::string_view text) { line(Level::kInfo, text); }
inline void warn(std::string_view text) { line(Level::kWarning, text); }
inline void error(std::string_view text) { line(Level::kError, text); }
inline void critical(std::string_view text) { line(Level::kCritical, text); }

template <typename... Arguments>
void info(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(Level::kInfo, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void warn(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(Level::kWarning, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void error(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(Level::kError, fmt::format(format, std::forward<Arguments>(arguments)...));
}
template <typename... Arguments>
void critical(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  line(Level::kCritical, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace log
}  // namespace sluice
