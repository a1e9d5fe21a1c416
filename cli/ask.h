// One request to a session that runs, and its answer, for commands that do nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/result.h"
#include "cli/commands.h"
#include "cli/sessions.h"
#include "wire/messages.h"

namespace sluice::cli {

inline constexpr Duration kCommandTimeout = std::chrono::seconds(15);

// The session of that id, of a join file's path, or, with "", the newest that lives.
Result<SessionInfo> chosen_session(const Invocation& invocation, const std::string& id);

// Sends one request, and waits for its answer.
Result<wire::Reply> ask(const SessionInfo& session, std::string_view service,
                        std::string_view command, Duration timeout,
                        const std::string& arguments = {});
// The same; an answer that isn't "done" or "accepted" is an error, in which `verb` is what the user
// has typed.
Result<wire::Reply> ask_done(const SessionInfo& session, std::string_view service,
                             std::string_view command, const std::string& arguments,
                             std::string_view verb);

// Rows as lines, each column as wide as its widest entry, but the last.
template <std::size_t N>
std::string table(const std::vector<std::array<std::string, N>>& rows) {
  std::array<std::size_t, N> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < N; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < N; ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row[N - 1] + "\n";
  }
  return text;
}

}  // namespace sluice::cli
