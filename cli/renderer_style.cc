#include "cli/renderer_style.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/terminal.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr std::uint32_t kHeartbeat = 60;

// $SLUICE_HEARTBEAT: seconds; a minute when it says nothing.
Result<std::uint32_t> heartbeat_by_environment() {
  const char* text = std::getenv("SLUICE_HEARTBEAT");
  if (text == nullptr || *text == '\0') return kHeartbeat;
  const std::string_view given(text);
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), seconds);
  if (error != std::errc() || end != given.data() + given.size())
    return fail("app", "usage",
                fmt::format("SLUICE_HEARTBEAT: '{}' is no number of seconds", given));
  return seconds;
}

}  // namespace

bool RendererStyle::draws() const {
  return (name == "calm" || name == "tty") && !quiet && smart_terminal();
}

Result<RendererStyle> chosen_style(const GlobalOptions& global, bool interactive, bool colors) {
  RendererStyle style;
  style.colors = colors;
  style.quiet = global.quiet;
  const bool terminal = ::isatty(2) == 1;
  const auto needs_terminal = [](std::string_view name) { return name == "calm" || name == "tty"; };
  style.name = global.style;
  if (needs_terminal(style.name) && !terminal) {
    return fail("app", "usage",
                fmt::format("--style {}: the standard error is not a terminal", style.name));
  }
  const char* named = std::getenv("SLUICE_STYLE");
  if (style.name.empty() && named != nullptr) {
    style.name = named;
    const auto& known = style_names();
    if (!style.name.empty() && std::find(known.begin(), known.end(), style.name) == known.end()) {
      return fail("app", "usage",
                  fmt::format("SLUICE_STYLE: '{}' is none of {}", named, fmt::join(known, ", ")));
    }
    // Who sets it for all commands doesn't mean those whose output goes elsewhere.
    if (needs_terminal(style.name) && !terminal) style.name.clear();
  }
  if (style.name.empty() || style.name == "auto")
    style.name = interactive ? "calm" : std::string(lines_by_environment());
  if (!terminal || style.name == "reader") style.heartbeat = TRY(heartbeat_by_environment());
  return style;
}

}  // namespace sluice::cli
