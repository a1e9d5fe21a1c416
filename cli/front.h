// A program in front: a pager or a shell that has the terminal, while nobody else writes there or
// reads keys. Lives in the reactor's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"
#include "wire/events.h"
#include "wire/reactor.h"

namespace sluice::cli {

struct GlobalOptions;

class Front {
 public:
  explicit Front(wire::Reactor& reactor) : reactor_(reactor) {}
  // One that still runs is told to end.
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // Runs a program in our own process group, which is the terminal's; we leave its keys to it.
  // `on_end` is called when it has ended and the terminal is as it was before.
  Status run(std::vector<std::string> argv, std::function<void()> on_end);
  bool busy() const { return child_.has_value(); }
  void hang_up();

 private:
  wire::Reactor& reactor_;
  std::optional<Process> child_;
};

// What shows a prompt's log: $PAGER, else less, else cat.
std::vector<std::string> pager_of(const wire::PromptSection& prompt);
// A shell in what a prompt's element has built, as it failed.
std::vector<std::string> shell_in(const wire::PromptSection& prompt, const GlobalOptions& global);

}  // namespace sluice::cli
