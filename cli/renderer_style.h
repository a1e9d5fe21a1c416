// Which style what happens is shown in, and what that has.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace sluice::cli {

// How what happens is shown.
struct RendererStyle {
  std::string name = "plain";  // of a style of sluice-renderer
  bool colors = false;
  bool quiet = false;           // failures and the summary alone
  std::uint32_t heartbeat = 0;  // after so many seconds of silence it is said what runs; 0: never

  // Whether there is a status area, and whether that has room for questions.
  bool draws() const;
  bool asks_in_area() const { return name == "calm" && draws(); }
};
// The style that the command line, or SLUICE_STYLE, names; else calm for whoever sits at a
// terminal, and what suits the system that runs the build for others. Error: a style that needs a
// terminal has none.
Result<RendererStyle> chosen_style(const GlobalOptions& global, bool interactive, bool colors);

}  // namespace sluice::cli
