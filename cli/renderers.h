// The renderers that a command starts for itself: on the terminal (or in plain lines), into
// --log-file, into --json-log. They are its children, in its process group.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "cli/options.h"
#include "cli/renderer_style.h"
#include "model/model.h"
#include "wire/reactor.h"

namespace sluice::cli {

// What a renderer needs to know beyond the session: the global options, over the user's
// configuration as far as it is known (`settings`, null before it was loaded).
std::vector<std::string> renderer_arguments(const std::string& session, const RendererStyle& style,
                                            const GlobalOptions& global,
                                            const model::Settings* settings);

// A command's renderers. Lives in the reactor's thread.
class Renderers {
 public:
  // `on_all_gone` is called whenever the last one has ended.
  Renderers(wire::Reactor& reactor, std::function<void()> on_all_gone)
      : reactor_(reactor), on_all_gone_(std::move(on_all_gone)) {}
  ~Renderers();

  // Starts a renderer. The `main` one is what the user looks at: when it is killed by somebody,
  // another goes on in its place, three times at most; `cursor()` says where.
  Status start(std::vector<std::string> arguments, bool main,
               std::function<std::uint64_t()> cursor = {});

  // `callback` is called when the main one has left the terminal, at a prompt (--until-prompt) or
  // since pause_main() asked it to. Nothing is lost: resume_main() goes on where it was. After a
  // resume_main() that comes before the main one has left, it is back without a call.
  void on_paused(std::function<void(bool at_prompt)> callback) { on_paused_ = std::move(callback); }
  void pause_main();
  void resume_main();
  // Has the main one leave the terminal and stop, until go_on_main(): a program is in front. Waits
  // until it has, for half a second at most.
  void halt_main();
  void go_on_main();

  // Gives the main one what stands last in its status area: rows, parted by tabs. Nothing of it is
  // kept back for one that doesn't read.
  void hint(std::string rows);

  // Gives the main one, which replays a session, a line that steers that.
  void steer(const std::string& line);

  bool none() const { return children_.empty() && !paused_; }
  // Whether the main one showed everything: it ended with 0, and was never killed.
  bool main_shown() const { return main_shown_; }
  // Passes on the signals by which the command is stopped and goes on (Ctrl-Z).
  void signal_all(int signal);
  // Waits until all (the main one alone: `main`) are stopped, or have ended, for at most so long.
  void wait_stopped(Duration at_most, bool main = false);
  // Expects all to end: they have what they need, and stop at no prompt any more. One that isn't
  // done `within` that time is killed. Without a time one that writes slowly is waited for, one
  // that is stopped isn't.
  void expect_end(std::optional<Duration> within);
  // Tells all to leave off.
  void cut_short();

 private:
  struct Child {
    Process process;
    std::vector<std::string> arguments;
    bool main = false;
    std::function<std::uint64_t()> cursor;
    unsigned restarts = 0;
    UniqueFd position;       // the cursor comes through it when it ends
    UniqueFd hints;          // lines to it
    UniqueFd steering;       // lines to one that replays
    std::uint64_t from = 0;  // where to go on; 0: as the arguments say
  };
  Status spawn_child(Child child);
  void ended(pid_t pid);
  void send_hint(const Child& child);
  struct Position {
    std::uint64_t cursor = 0;
    bool end = false;  // all was shown
  };
  static Position position_of(const Child& child);
  void kill_stopped();

  wire::Reactor& reactor_;
  std::function<void()> on_all_gone_;
  std::function<void(bool)> on_paused_;
  std::vector<Child> children_;
  std::optional<Child> paused_;
  bool pausing_ = false;
  bool halted_ = false;
  bool again_ = false;  // resume_main() came before the pause
  std::string hint_;
  bool main_shown_ = false;
  bool expecting_end_ = false;
  std::optional<wire::Reactor::TimerId> deadline_;
};

}  // namespace sluice::cli
