// Questions on the terminal: what to do about an element that failed, and after Ctrl-C. Where the
// renderer draws an area that has room for them they are rows of it (area_prompts.h); these here
// are for all other styles.
//
// The renderer has the terminal. It leaves it by itself at a prompt (--until-prompt), or since it
// was asked to; then a question is asked here, jobs going on meanwhile, and the renderer comes back
// where it was. Prompts of failed elements are the scheduler's: whoever answers first, on whatever
// terminal, has answered for all.
//
//   screen -> (prompt seen)  waiting -> asking <-> busy (pager, shell) -> answering -> screen
//   screen -> (Ctrl-C) pausing -> asking -> screen
//
// What is in front of us is the user's: an answer from elsewhere, or the session's end, waits until
// it is done.
//
// Lives in the reactor's thread. Reads lines from standard input while it asks, and not otherwise.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/front.h"
#include "wire/events.h"
#include "wire/messages.h"
#include "wire/reactor.h"

namespace sluice::cli {

struct Invocation;

class Prompts {
 public:
  struct Actions {
    std::function<void()> pause;   // the renderer shall leave the terminal: paused() follows
    std::function<void()> resume;  // the renderer may have the terminal back
    std::function<void(std::string_view command, std::string arguments,
                       std::function<void(const wire::Reply&)>)>
        request;
    std::function<void()> terminate;  // as the user chose after Ctrl-C
  };
  Prompts(wire::Reactor& reactor, const Invocation& invocation, Actions actions)
      : reactor_(reactor), invocation_(invocation), actions_(std::move(actions)), front_(reactor) {}
  ~Prompts();
  Prompts(const Prompts&) = delete;
  Prompts& operator=(const Prompts&) = delete;

  // The records of prompts, in their order.
  void opened(const wire::PromptSection& prompt);
  void closed(const wire::PromptSection& prompt);
  // Asks, before the renderer starts, about the prompts that were open before the first record that
  // is read. False when there are none to ask about.
  bool ask_first(const std::vector<wire::PromptSection>& prompts);
  void paused(bool at_prompt);
  // Takes a Ctrl-C. The first suspends the session and asks, the second terminates.
  void interrupted();
  // Called after a stop of this process: the question stands again where it can be seen.
  void continued();
  // Whether the session is suspended for the question that is asked.
  bool suspends() const {
    return state_ == State::kPausing || (state_ == State::kAsking && !current_);
  }
  // Called when the session is over: what is asked needs no answer any more. A pager or a shell
  // that is in front stays there until it ends by itself; `then` is called when the terminal is
  // free, perhaps at once. No other action follows.
  void leave(std::function<void()> then);
  // Called when this command must end: what is in front ends with it.
  void hang_up();
  // Whether a pager or a shell has the terminal, and its keys.
  bool in_front() const { return front_.busy(); }

 private:
  enum class State { kScreen, kPausing, kWaiting, kAsking, kBusy, kAnswering };

  void next();
  void ask();
  void read_input();
  void chosen(std::string_view line);
  void choose(const std::string& choice);
  void choose_after_interrupt(const std::string& choice);
  void answer(const std::string& choice);
  void answered_elsewhere();
  void run_in_front(std::vector<std::string> argv);
  void front_is_free();
  void show_log();
  void open_shell();
  void to_screen();
  void listen(bool on);

  wire::Reactor& reactor_;
  const Invocation& invocation_;
  Actions actions_;
  State state_ = State::kScreen;
  std::deque<wire::PromptSection> first_;       // asked before the renderer starts
  std::deque<wire::PromptSection> opened_;      // the renderer stops at each of them
  std::set<std::uint64_t> settled_;             // answered, by whomever
  std::optional<wire::PromptSection> current_;  // none while asking: after Ctrl-C
  // the current one, while its log or shell is in front
  std::optional<wire::PromptSection> settled_meanwhile_;
  // stops of the renderer whose records weren't read yet when it was paused
  std::size_t owed_ = 0;
  bool suspended_ = false;  // our suspension has been answered
  bool paused_ = false;     // the renderer is gone since we asked
  bool listening_ = false;
  std::string input_;
  Front front_;
  std::function<void()> then_;  // of leave()
};

}  // namespace sluice::cli
