// The terminal of a command that shows a session: the renderer that draws on it, the questions, the
// keys, and Ctrl-Z.
//
// One of them has it at a time: the renderer draws while keys are taken, or a question is asked, or
// a pager or a shell is in front. Terminal passes it from one to the next; what the session needs
// for that, it asks of its owner. A command without a terminal has one of these as well, for the
// renderer that writes lines: nothing is asked then, and no keys are taken.
//
// Lives in the reactor's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/area_prompts.h"
#include "cli/prompts.h"
#include "cli/renderers.h"
#include "cli/terminal_keys.h"
#include "wire/events.h"
#include "wire/messages.h"
#include "wire/reactor.h"

namespace sluice::cli {

struct Invocation;

class Terminal {
 public:
  struct Actions {
    // Asks the session's scheduler. May do nothing while there is no link to it.
    std::function<void(std::string_view command, std::string arguments,
                       std::function<void(const wire::Reply&)>)>
        request;
    // Called when no renderer was started yet, and something is to be shown: start() follows.
    std::function<void()> begin;
    std::function<void()> kill;         // the user wants the jobs killed, by a key or after Ctrl-C
    std::function<void()> gone;         // the last renderer has ended
    std::function<void()> interrupted;  // Ctrl-C; ask_after_interrupt() makes a question of it
    std::function<void(int signal)> hung_up;  // SIGTERM, SIGHUP; what was in front of us has it too
    // Whether jobs run in our own run, which stop when this command is stopped.
    std::function<bool()> has_jobs;
  };
  // `style`: of the renderer that is started. `asks`: somebody sits at the terminal. Else nothing
  // is asked and no keys are taken.
  Terminal(wire::Reactor& reactor, const Invocation& invocation, const RendererStyle& style,
           bool asks, Actions actions);

  // Blocks signals, to read them here. Called before the first socket is made, whose threads
  // inherit what is blocked.
  Status take_signals();

  bool asks() const { return asks_; }
  // Whether the renderer has to leave the terminal for a question (--until-prompt).
  bool asks_alone() const { return asks_ && !in_area_; }
  // Whether a pager or a shell has the terminal.
  bool in_front() const { return prompts_.in_front() || area_.in_front(); }
  bool begun() const { return begun_; }
  // Starts the renderer that the user looks at. `cursor` says where another one would go on in its
  // place.
  Status start(std::vector<std::string> arguments, std::function<std::uint64_t()> cursor);
  // Starts a renderer that writes a file.
  Status start_beside(std::vector<std::string> arguments);
  // Has the next thing that is shown start a renderer of its own.
  void begin_anew() { begun_ = false; }
  // Gives the renderer the terminal: it is started, or goes on where it was.
  void show();
  // Takes what the session says of itself when this command comes to it (nullptr: nothing), and
  // asks about prompts that are open before anything is shown.
  void show_or_ask(const wire::Event* status);

  // Whether a packed record may be one for record(): most aren't worth decoding.
  bool concerns(std::string_view packed) const;
  void record(const wire::Event& event);

  // Suspends all jobs, and asks.
  void ask_after_interrupt() { in_area_ ? area_.interrupted() : prompts_.interrupted(); }

  // Called when nobody waits for an answer any more. Waits for a pager or a shell that is in front
  // of us; then the renderer shows what is left, started for that when `begin`, and is gone when it
  // has, or when `within` is over.
  void show_rest(std::optional<Duration> within, bool begin);
  // show_rest() for as long as it takes.
  void stop_asking();
  // Ends the renderers as soon as nothing is in front of us; `then` may say a last word.
  void cut_short(Duration within, std::function<void()> then = {});
  // Tells the renderers to leave off, since whoever reads what they write takes long.
  void hurry() { renderers_.cut_short(); }
  void kill_renderers();
  void expect_end(std::optional<Duration> within) { renderers_.expect_end(within); }

  bool none() const { return renderers_.none(); }
  bool main_shown() const { return renderers_.main_shown(); }

 private:
  void take_keys();
  void leave(std::function<void()> then);
  void stop();
  void stop_here();

  wire::Reactor& reactor_;
  const bool asks_;
  const bool draws_;    // there is a status area, which shows what the keys are
  const bool in_area_;  // ... and questions
  const Actions actions_;
  Renderers renderers_;
  Prompts prompts_;
  AreaPrompts area_;
  TerminalKeys keys_;
  bool begun_ = false;
  bool leaving_ = false;  // no keys are taken any more
  bool cut_short_ = false;
  bool suspending_ = false;  // the jobs, before this command stops
};

}  // namespace sluice::cli
