#include "cli/prompts.h"

#include <algorithm>
#include <cctype>
#include <cerrno>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"

namespace sluice::cli {

namespace {

struct Choice {
  std::string name;
  std::string what;
};

void say(std::string_view text) { (void)write_all(2, clean_but_colors(text)); }

std::vector<Choice> choices_of(const std::optional<wire::PromptSection>& prompt) {
  std::vector<Choice> out;
  const auto offered = [&](std::string_view name) {
    return !prompt ||
           std::find(prompt->choices.begin(), prompt->choices.end(), name) != prompt->choices.end();
  };
  if (offered("continue")) {
    out.push_back({"continue", prompt ? "Let everything go on that doesn't need it" : "Go on"});
  }
  if (offered("quit"))
    out.push_back({"quit", "Finish the jobs that run, start no others, and exit"});
  if (offered("terminate")) out.push_back({"terminate", "End the jobs that run, and exit"});
  if (!prompt) return out;
  if (offered("retry")) out.push_back({"retry", "Try it again"});
  if (!prompt->log_file.empty()) out.push_back({"log", "View its log"});
  if (!prompt->artifact.empty())
    out.push_back({"shell", "Open a shell in what it built, as it failed"});
  return out;
}

// The choice that a line means; "" when it means none, or could mean several.
std::string match(std::string_view line, const std::vector<Choice>& choices) {
  std::string found;
  for (const auto& choice : choices) {
    if (!choice.name.starts_with(line)) continue;
    if (!found.empty()) return {};
    found = choice.name;
  }
  return found;
}

}  // namespace

Prompts::~Prompts() { listen(false); }

// ---- What happens ------------------------------------------------------------

void Prompts::opened(const wire::PromptSection& prompt) {
  if (owed_ > 0) {
    --owed_;
    first_.push_back(prompt);
  } else {
    opened_.push_back(prompt);
  }
  if (state_ == State::kWaiting) next();
}

void Prompts::closed(const wire::PromptSection& prompt) {
  settled_.insert(prompt.id);
  if (!current_ || current_->id != prompt.id) return;
  if (state_ == State::kAsking) {
    current_ = prompt;
    answered_elsewhere();
  } else if (state_ == State::kBusy) {
    settled_meanwhile_ = prompt;
  }
}

bool Prompts::ask_first(const std::vector<wire::PromptSection>& prompts) {
  for (const auto& prompt : prompts) first_.push_back(prompt);
  if (first_.empty()) return false;
  state_ = State::kWaiting;
  next();
  return true;
}

void Prompts::paused(bool at_prompt) {
  if (state_ == State::kPausing) {
    // The renderer may have come to a prompt just then, which is asked about when it is back there.
    if (at_prompt && opened_.empty()) {
      ++owed_;
    } else if (at_prompt) {
      first_.push_back(opened_.front());
      opened_.pop_front();
    }
    current_.reset();
    paused_ = true;
    if (suspended_) ask();
    return;
  }
  if (state_ != State::kScreen) return;
  state_ = State::kWaiting;
  next();
}

void Prompts::interrupted() {
  if (in_front()) return;  // it is whoever is in front of us that was meant
  switch (state_) {
    case State::kScreen:
      state_ = State::kPausing;
      suspended_ = paused_ = false;
      actions_.request("suspend", "", [this](const wire::Reply&) {
        suspended_ = true;
        if (state_ == State::kPausing && paused_) ask();
      });
      actions_.pause();
      return;
    case State::kBusy: return;
    case State::kAsking:
      say("\n");
      if (current_) return answer("terminate");
      [[fallthrough]];
    case State::kPausing:
    case State::kWaiting:
    case State::kAnswering: current_.reset(); return choose_after_interrupt("terminate");
  }
}

void Prompts::continued() {
  if (state_ == State::kAsking) ask();
}

void Prompts::leave(std::function<void()> then) {
  listen(false);
  state_ = State::kScreen;
  current_.reset();
  settled_meanwhile_.reset();
  then_ = std::move(then);
  if (!front_.busy() && then_) std::exchange(then_, nullptr)();
}

void Prompts::hang_up() { front_.hang_up(); }

// ---- Asking ------------------------------------------------------------------

// Goes on to the next question: the terminal is ours, for a prompt.
void Prompts::next() {
  auto& from = first_.empty() && owed_ == 0 ? opened_ : first_;
  if (from.empty()) return;  // its record comes yet
  current_ = std::move(from.front());
  from.pop_front();
  if (settled_.contains(current_->id)) return to_screen();
  ask();
}

void Prompts::ask() {
  state_ = State::kAsking;
  std::string text;
  if (current_) {
    text = fmt::format("\n{} failed: {}\n", current_->element, current_->text);
    if (!current_->log_file.empty()) text += fmt::format("Its log: {}\n", current_->log_file);
    text += "\nOther jobs go on. Choose one of:\n";
  } else {
    text = "\nInterrupted by Ctrl-C. All jobs are suspended. Choose one of:\n";
  }
  for (const auto& choice : choices_of(current_)) {
    text += fmt::format("  ({}){:<9} - {}\n", choice.name[0], choice.name.substr(1), choice.what);
  }
  text += "\nCtrl-C terminates.\nChoice: [continue] ";
  // What was typed before the question isn't its answer; what comes once it can be read is.
  input_.clear();
  ::tcflush(0, TCIFLUSH);
  say(text);
  listen(true);
}

void Prompts::listen(bool on) {
  if (on == listening_) return;
  listening_ = on;
  if (on) {
    reactor_.on_fd(0, POLLIN, [this](short) { read_input(); });
  } else {
    reactor_.remove_fd(0);
  }
}

void Prompts::read_input() {
  char text[1024];
  const ssize_t n = ::read(0, text, sizeof text);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) {
    // The input has ended: nobody is there to answer.
    say("\n");
    return chosen("terminate");
  }
  input_.append(text, static_cast<std::size_t>(n));
  const auto end = input_.find('\n');
  if (end == std::string::npos) return;
  chosen(input_.substr(0, end));
}

void Prompts::chosen(std::string_view line) {
  std::string word;
  for (const char c : line) {
    if (!std::isspace(static_cast<unsigned char>(c)))
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const std::string choice = match(word.empty() ? "continue" : word, choices_of(current_));
  input_.clear();
  if (choice.empty())
    return say(fmt::format("'{}' is none of the choices.\nChoice: [continue] ", line));
  listen(false);
  if (current_) {
    choose(choice);
  } else {
    choose_after_interrupt(choice);
  }
}

void Prompts::choose(const std::string& choice) {
  if (choice == "log") return show_log();
  if (choice == "shell") return open_shell();
  answer(choice);
}

void Prompts::choose_after_interrupt(const std::string& choice) {
  if (choice == "terminate") {
    say("\nTerminating all jobs\n");
    actions_.terminate();
  } else {
    say(choice == "quit" ? "\nFinishing the jobs that run\n" : "\nGoing on\n");
    if (choice == "quit") actions_.request("quit", "", [](const wire::Reply&) {});
    actions_.request("resume", "", [](const wire::Reply&) {});
  }
  to_screen();
}

void Prompts::answer(const std::string& choice) {
  listen(false);
  state_ = State::kAnswering;
  const std::uint64_t id = current_->id;
  actions_.request("answer", wire::encode(wire::AnswerArguments{id, choice}),
                   [this, id](const wire::Reply& reply) {
                     if (state_ != State::kAnswering || !current_ || current_->id != id) return;
                     if (reply.status != "done" && reply.error)
                       say("\n" + reply.error->message + "\n");
                     settled_.insert(id);
                     to_screen();
                   });
}

void Prompts::answered_elsewhere() {
  listen(false);
  say(current_->by.empty()
          ? "\nNo answer is needed any more.\n"
          : fmt::format("\n{} has answered: {}\n", current_->by, current_->answer));
  to_screen();
}

void Prompts::to_screen() {
  listen(false);
  current_.reset();
  if (!first_.empty() || owed_ > 0) {
    state_ = State::kWaiting;
    return next();
  }
  state_ = State::kScreen;
  actions_.resume();
}

// ---- Programs in front -------------------------------------------------------

void Prompts::show_log() { run_in_front(pager_of(*current_)); }

void Prompts::open_shell() { run_in_front(shell_in(*current_, invocation_.global)); }

void Prompts::run_in_front(std::vector<std::string> argv) {
  state_ = State::kBusy;
  auto begun = front_.run(std::move(argv), [this] { front_is_free(); });
  if (begun) return;
  say("\n" + begun.error().str() + "\n");
  ask();
}

void Prompts::front_is_free() {
  if (then_) return std::exchange(then_, nullptr)();
  if (state_ != State::kBusy) return;
  if (settled_meanwhile_) {
    current_ = std::exchange(settled_meanwhile_, std::nullopt);
    return answered_elsewhere();
  }
  ask();
}

}  // namespace sluice::cli
