#include "cli/terminal_guard.h"

#include <string_view>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

namespace sluice::cli {

void TerminalGuard::start(int terminal, const termios& before) {
  if (process_) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  UniqueFd theirs(ends[0]), ours(ends[1]);
  SpawnOptions options;
  options.argv = {find_program("sluice-terminal")};
  options.standard_input = theirs.get();
  options.keep_fds = {{terminal, 3}};
  options.new_process_group = true;
  auto guard = spawn(options);
  if (!guard) return;
  (void)write_all(ours.get(), {reinterpret_cast<const char*>(&before), sizeof before});
  process_ = std::move(*guard);
  line_ = std::move(ours);
}

void TerminalGuard::end() {
  if (!process_) return;
  // A word before the end: it has nothing to do.
  (void)write_all(line_.get(), "x");
  line_.reset();
  (void)wait_for(*process_);
  process_.reset();
}

}  // namespace sluice::cli
