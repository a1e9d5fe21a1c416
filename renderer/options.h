// The command line of sluice-renderer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "renderer/lines.h"
#include "renderer/replay.h"

namespace sluice::renderer {

enum class StyleName { kAutomatic, kCalm, kTty, kPlain, kReader, kGithub, kGitlab, kJson };

struct Options {
  bool help = false;
  bool version = false;
  std::string session;
  StyleName style = StyleName::kAutomatic;
  std::string output;  // "": standard error, json: standard output; "-": standard output
  bool append = false;
  std::string directory;        // of the project, for names of files before a run says it
  std::uint64_t from = 1;       // cursor of the first record that is shown
  std::uint32_t until_run = 0;  // 0: until the session's end
  bool until_prompt = false;
  std::optional<unsigned> width, height;
  bool replay = false;  // as it went, and not as fast as it can be read
  Replay::Settings replaying;
  std::optional<bool> colors;  // unset: as the output and the environment say
  bool quiet = false;
  std::uint32_t heartbeat_s = 0;  // 0: none
  int cursor_fd = -1;
  int hint_fd = -1;
  int steer_fd = -1;  // of a replay
  LineSettings lines;
};

// Error: domain "app", reason "usage", naming the option.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string usage();
// How many times as fast a replay is to be, or "max" (0). Error as of parse_options().
Status replay_speed(const std::string& text, double& out);

}  // namespace sluice::renderer
