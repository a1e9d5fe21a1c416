// Runs a program for somebody who waits for it and may be told to stop meanwhile: a tool of the
// machine (git, patch), or one of Sluice's own helpers.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sluice {

// Tells a caller that waits to stop: `fd` becomes readable, and `requested` is true then. -1:
// nobody tells it.
struct Stop {
  int fd = -1;
  std::function<bool()> requested;
};

struct Tool {
  std::vector<std::string> argv;  // the program by its path, or looked for in PATH
  std::optional<std::vector<std::string>> environment;  // "NAME=value"; inherited when not set
  std::string directory;                                // to work in; "": inherited
  std::string_view input;                               // what it reads from standard input
  // Where standard error goes: to the caller's own, to what `output` is of, or to `errors`.
  enum class Errors { kInherited, kWithOutput, kApart };
  Errors errors = Errors::kInherited;
  // A session of its own has no terminal that the program could ask.
  bool own_session = false;
  // It is killed after so long without a word on standard output or standard error; zero: never.
  Duration silence = Duration::zero();
  // bytes of each; what is over is read, and forgotten
  std::size_t max_output = std::size_t{1} << 20;
};

struct ToolRun {
  int status = 0;  // in the shell's numbers
  std::string output;
  std::string errors;
  bool cut = false;     // there was more of one of them
  bool silent = false;  // killed because it said nothing
};

// It dies with the calling thread, and with it, where it has a session of its own, every process of
// its group. Errors: "prog-not-found" when there is no such program, "job"/"killed" when it was
// stopped, those of the system.
Result<ToolRun> run_tool(const Tool& tool, const Stop& stop);

}  // namespace sluice
