// Questions as rows of the status area: what to do about elements that failed, and after Ctrl-C.
//
// The renderer goes on drawing; single keys answer. Only a log or a shell takes the terminal, and
// the renderer draws again when that has ended. Prompts of failed elements are the scheduler's:
// whoever answers first, on whatever terminal, has answered for all. Where no area can be drawn
// prompts.h asks instead.
//
// Lives in the reactor's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cli/front.h"
#include "wire/events.h"
#include "wire/messages.h"
#include "wire/reactor.h"

namespace sluice::cli {

struct Invocation;

class AreaPrompts {
 public:
  struct Actions {
    std::function<void(std::string_view command, std::string arguments,
                       std::function<void(const wire::Reply&)>)>
        request;
    std::function<void()> terminate;            // as the user chose after Ctrl-C
    std::function<void()> changed;              // rows() says something else
    std::function<void(std::string text)> say;  // what came of it, for a while
    std::function<void()> hide;                 // the terminal is somebody else's
    std::function<void()> show;                 // ... and ours again
  };
  AreaPrompts(wire::Reactor& reactor, const Invocation& invocation, Actions actions)
      : invocation_(invocation), actions_(std::move(actions)), front_(reactor) {}

  // The records of prompts, and those that were open before the first record.
  void opened(const wire::PromptSection& prompt);
  void closed(const wire::PromptSection& prompt);
  // Takes a Ctrl-C. The first suspends the session and asks, the second terminates.
  void interrupted();
  // Whether the session is suspended for the question that is asked.
  bool suspends() const { return interrupted_; }
  // The question, parted by tabs; "": there is none.
  std::string rows() const;
  // Takes a key when it is an answer, or there is a question that it isn't one to yet.
  bool press(char key);
  // Called when nobody waits for an answer any more. `then` is called when nothing is in front of
  // us, perhaps at once.
  void leave(std::function<void()> then);
  void hang_up() { front_.hang_up(); }
  bool in_front() const { return front_.busy(); }

 private:
  void answer(const std::string& choice);
  void after_interrupt(char key);
  void in_front_of_us(std::vector<std::string> argv);
  void appeared();
  void drop(std::uint64_t id);

  const Invocation& invocation_;
  Actions actions_;
  Front front_;
  std::deque<wire::PromptSection> open_;  // the first is asked about
  std::set<std::uint64_t> settled_;       // answered, by whomever

  bool interrupted_ = false;  // by Ctrl-C, which comes before all others
  bool answering_ = false;
  char confirming_ = 0;         // q or t, until it is confirmed
  Duration since_{};            // when a question appeared where none was
  std::function<void()> then_;  // of leave()
};

}  // namespace sluice::cli
