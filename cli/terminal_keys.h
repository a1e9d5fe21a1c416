// The keys that steer a session while its renderer is on the terminal: s suspend and resume, q
// quit, k kill, r retry, + - builders, ? help.
//
// Each is a request like `session ...` makes it; what comes of it stands for a while in the last
// row of the status area, which otherwise names the keys. What can't be undone (q, k) is asked
// about there. Requests are made one after the other, so that + + are two more.
//
// Lives in the reactor's thread.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/key_input.h"
#include "wire/events.h"
#include "wire/messages.h"
#include "wire/reactor.h"

namespace sluice::cli {

class TerminalKeys {
 public:
  struct Actions {
    std::function<void(std::string_view command, std::string arguments,
                       std::function<void(const wire::Reply&)>)>
        request;
    // Shows rows, parted by tabs, at the status area's end.
    std::function<void(const std::string& rows)> hint;
    std::function<void()> kill;
    // A question that stands in the area meanwhile: its rows, "" when there is none; and whether a
    // key is for it.
    std::function<std::string()> question;
    std::function<bool(char key)> answers;
  };
  TerminalKeys(wire::Reactor& reactor, Actions actions);
  ~TerminalKeys();

  // Called when the renderer has the terminal, so keys are taken; hide() before anybody else gets
  // it.
  void show();
  void hide();
  bool shown() const { return shown_; }
  // Called when this process was stopped and goes on, perhaps in the foreground again.
  void continued();
  // Told the session's state, as its records or its scheduler say, whoever has changed it.
  void session_is(std::string_view state);
  // Shows what became of something, for a while.
  void say(std::string text);
  // Shows the question, which has changed.
  void hint();
  // Told of an element that failed in this run; `r` tries the last of them again.
  void failed(const std::string& element);

 private:
  void take();
  void typed(std::string_view keys);
  void press(char key);
  void confirmed();
  void suspend_or_resume();
  void retry();
  void change_builders(int by);
  void next();
  static std::string outcome(const wire::Reply& reply, const std::string& well);

  wire::Reactor& reactor_;
  Actions actions_;
  KeyInput input_;
  bool shown_ = false;
  bool busy_ = false;  // a request of ours is under way
  bool help_ = false;
  bool suspended_ = false;
  char asked_ = 0;  // q or k, until it is confirmed
  std::deque<char> queue_;
  std::vector<std::string> failed_;
  std::string said_;
  std::optional<wire::Reactor::TimerId> said_until_, looking_;
};

}  // namespace sluice::cli
