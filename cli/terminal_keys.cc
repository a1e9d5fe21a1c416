#include "cli/terminal_keys.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace sluice::cli {

namespace {

constexpr Duration kSaid = std::chrono::seconds(4);
constexpr Duration kLook = std::chrono::milliseconds(500);
constexpr std::size_t kQueued = 32;

}  // namespace

TerminalKeys::TerminalKeys(wire::Reactor& reactor, Actions actions)
    : reactor_(reactor), actions_(std::move(actions)),
      input_(
          reactor, [this](std::string_view keys) { typed(keys); }, [this] { take(); }) {}

TerminalKeys::~TerminalKeys() {
  if (said_until_) reactor_.cancel(*said_until_);
  if (looking_) reactor_.cancel(*looking_);
}

void TerminalKeys::show() {
  shown_ = true;
  take();
}

// Takes keys, but not in the background, where there are none; nobody tells a process that runs
// there when that changes.
void TerminalKeys::take() {
  if (!input_.is_on() && !input_.on() && !looking_) {
    looking_ = reactor_.after(kLook, [this] {
      looking_.reset();
      if (shown_) take();
    });
  }
  hint();
}

void TerminalKeys::hide() {
  shown_ = false;
  asked_ = 0;
  queue_.clear();
  input_.off();
}

void TerminalKeys::continued() {
  if (!shown_) return;
  input_.off();  // the terminal may have other modes by now
  take();
}

void TerminalKeys::session_is(std::string_view state) {
  if (std::exchange(suspended_, state == "suspended") != suspended_) hint();
}

void TerminalKeys::failed(const std::string& element) {
  std::erase(failed_, element);
  failed_.push_back(element);
}

void TerminalKeys::typed(std::string_view keys) {
  for (const char key : plain_keys(keys)) {
    if (actions_.answers(key)) continue;
    if (busy_) {
      if (queue_.size() < kQueued) queue_.push_back(key);
    } else {
      press(key);
    }
  }
}

void TerminalKeys::press(char key) {
  if (asked_ != 0) {
    const bool yes = key == 'y' || key == 'Y';
    if (yes) return confirmed();
    asked_ = 0;
    return say("Nothing was done");
  }
  switch (key) {
    case 's': return suspend_or_resume();
    case 'r': return retry();
    case '+':
    case '=': return change_builders(1);
    case '-':
    case '_': return change_builders(-1);
    case 'q':
    case 'k': asked_ = key; return hint();
    case '?':
    case 'h':
      help_ = !help_;
      said_.clear();
      return hint();
    default: return;
  }
}

std::string TerminalKeys::outcome(const wire::Reply& reply, const std::string& well) {
  if (reply.status == "done" || reply.status == "accepted") return well;
  if (reply.error) return reply.error->message;
  return "No answer in time: it may have been carried out";
}

void TerminalKeys::confirmed() {
  const char key = std::exchange(asked_, 0);
  if (key == 'k') {
    say("Killing all jobs");
    return actions_.kill();
  }
  busy_ = true;
  actions_.request("quit", "", [this](const wire::Reply& reply) {
    say(outcome(reply, "Finishing the jobs that run"));
    next();
  });
}

void TerminalKeys::suspend_or_resume() {
  busy_ = true;
  actions_.request("status", "", [this](const wire::Reply& status) {
    const auto event = wire::decode_event(status.result.bytes);
    const bool known = status.status == "done" && event && event->session;
    const bool resume = known && event->session->state == "suspended";
    if (known) session_is(event->session->state);
    actions_.request(resume ? "resume" : "suspend", "", [this, resume](const wire::Reply& reply) {
      if (reply.status == "done") session_is(resume ? "active" : "suspended");
      say(outcome(reply, resume ? "All jobs go on" : "All jobs are suspended; s lets them go on"));
      next();
    });
  });
}

void TerminalKeys::retry() {
  if (failed_.empty()) return say("Nothing has failed that could be tried again");
  const std::string element = failed_.back();
  failed_.pop_back();
  busy_ = true;
  actions_.request("retry", wire::encode(wire::RetryArguments{element}),
                   [this, element](const wire::Reply& reply) {
                     // The element was tried again already, by a prompt or from elsewhere: the one
                     // that failed before it is meant.
                     if (reply.status == "refused" && reply.error &&
                         reply.error->reason == "not-failed" && !failed_.empty())
                       return retry();
                     say(outcome(reply, fmt::format("Trying {} again", element)));
                     next();
                   });
}

void TerminalKeys::change_builders(int by) {
  busy_ = true;
  actions_.request("status", "", [this, by](const wire::Reply& status) {
    const auto event = wire::decode_event(status.result.bytes);
    if (status.status != "done" || !event || !event->limits || event->limits->builders == 0) {
      say(outcome(status, "Nothing is built yet"));
      return next();
    }
    const std::int64_t wanted =
        std::clamp<std::int64_t>(std::int64_t{event->limits->builders} + by, 1, wire::kMostJobs);
    const auto builders = static_cast<std::uint32_t>(wanted);
    actions_.request(
        "limits", wire::encode(wire::LimitsArguments{builders, {}}),
        [this, builders](const wire::Reply& reply) {
          say(outcome(reply, fmt::format("{} builder{}", builders, builders == 1 ? "" : "s")));
          next();
        });
  });
}

void TerminalKeys::next() {
  busy_ = false;
  while (!busy_ && !queue_.empty()) {
    const char key = queue_.front();
    queue_.pop_front();
    press(key);
  }
}

void TerminalKeys::say(std::string text) {
  said_ = std::move(text);
  if (said_until_) reactor_.cancel(*said_until_);
  said_until_ = reactor_.after(kSaid, [this] {
    said_until_.reset();
    said_.clear();
    hint();
  });
  hint();
}

void TerminalKeys::hint() {
  if (!shown_) return;
  if (std::string question = actions_.question(); !question.empty()) {
    if (!said_.empty()) question += "\t!" + said_;
    return actions_.hint(question);
  }
  if (!input_.is_on()) return actions_.hint("");
  if (asked_ == 'q')
    return actions_.hint("!Finish the jobs that run, start no others, and exit? (y/n)");
  if (asked_ == 'k') return actions_.hint("!Kill all jobs, and exit? (y/n)");
  std::string rows;
  if (help_) {
    rows = fmt::format(
        "s  {}\t"
        "q  finish the jobs that run, start no others, and exit\t"
        "k  kill all jobs, and exit\t"
        "r  try again what failed last\t"
        "+  one builder more\t"
        "-  one builder less\t"
        "?  this help",
        suspended_ ? "let all jobs go on" : "suspend all jobs");
  } else {
    rows = fmt::format("s {}  q quit  k kill  r retry  +/- builders  ? help",
                       suspended_ ? "resume" : "suspend");
  }
  if (!said_.empty()) rows = help_ ? rows + "\t" + said_ : "!" + said_;
  actions_.hint(rows);
}

}  // namespace sluice::cli
