#include "cli/front.h"

#include <csignal>
#include <utility>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/try.h"
#include "cli/options.h"

namespace sluice::cli {

namespace {

// A shell gives the terminal to a group of its own; one in a sandbox doesn't know whom to give it
// back to, since it sees no process number of ours. Who reads in the background is stopped.
void take_terminal_back(const termios& modes) {
  sigset_t stops, before;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &stops, &before);
  ::tcsetpgrp(0, ::getpgrp());
  ::tcsetattr(0, TCSADRAIN, &modes);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

Front::~Front() {
  if (!child_) return;
  reactor_.remove_fd(child_->pidfd.get());
  hang_up();
}

void Front::hang_up() {
  if (child_) (void)send_signal(*child_, SIGHUP);
}

Status Front::run(std::vector<std::string> argv, std::function<void()> on_end) {
  SpawnOptions options;
  options.argv = std::move(argv);
  termios modes{};
  const bool terminal = ::tcgetattr(0, &modes) == 0;
  auto process = TRY(spawn(options));
  child_ = std::move(process);
  reactor_.on_fd(child_->pidfd.get(), POLLIN,
                 [this, modes, terminal, on_end = std::move(on_end)](short) {
                   const auto status = poll_exit(*child_);
                   if (!status) return;
                   // The watch, and this function with it, goes with remove_fd().
                   const auto then = on_end;
                   const bool back = terminal;
                   const termios before = modes;
                   reactor_.remove_fd(child_->pidfd.get());
                   child_.reset();
                   if (back) take_terminal_back(before);
                   // One that was killed has left the screen as it had it for itself. The cursor is
                   // kept where there is no other screen.
                   if (status->code > 128) (void)write_all(2, "\0337\033[?1049l\033[?25h\033[0m\n");
                   then();
                 });
  return {};
}

std::vector<std::string> pager_of(const wire::PromptSection& prompt) {
  return {"sh", "-c",
          "if [ -n \"$PAGER\" ]; then exec $PAGER \"$1\"; elif command -v less >/dev/null; "
          "then exec less \"$1\"; "
          "else exec cat -v \"$1\"; fi",
          "sh", prompt.log_file};
}

std::vector<std::string> shell_in(const wire::PromptSection& prompt, const GlobalOptions& global) {
  std::vector<std::string> argv{find_program("sluice")};
  if (!global.config.empty()) argv.insert(argv.end(), {"--config", global.config});
  if (!global.directory.empty()) argv.insert(argv.end(), {"--directory", global.directory});
  argv.insert(argv.end(), {"shell", "--build", "--use-buildtree", prompt.artifact});
  return argv;
}

}  // namespace sluice::cli
