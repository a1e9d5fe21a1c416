#include "cli/area_prompts.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cli/commands.h"

namespace sluice::cli {

namespace {

// What was typed before the question could be read isn't its answer.
constexpr Duration kUnread = std::chrono::milliseconds(400);

struct Choice {
  char key;
  std::string_view name;
};
constexpr Choice kChoices[] = {
    {'c', "continue"}, {'q', "quit"}, {'t', "terminate"}, {'r', "retry"}};

bool offers(const wire::PromptSection& prompt, std::string_view choice) {
  return std::find(prompt.choices.begin(), prompt.choices.end(), choice) != prompt.choices.end();
}

std::string label(std::string_view name) {
  return fmt::format("[{}]{}", name.front(), name.substr(1));
}

}  // namespace

// ---- What happens ------------------------------------------------------------

void AreaPrompts::opened(const wire::PromptSection& prompt) {
  if (settled_.contains(prompt.id)) return;
  const bool known =
      std::any_of(open_.begin(), open_.end(), [&](const auto& one) { return one.id == prompt.id; });
  if (known) return;
  if (rows().empty()) appeared();
  open_.push_back(prompt);
  actions_.changed();
}

void AreaPrompts::closed(const wire::PromptSection& prompt) {
  const bool ours = settled_.contains(prompt.id);
  const bool was_open =
      std::any_of(open_.begin(), open_.end(), [&](const auto& one) { return one.id == prompt.id; });
  drop(prompt.id);
  if (was_open && !ours && !prompt.by.empty()) {
    actions_.say(fmt::format("{}: {} has answered: {}", prompt.element, prompt.by, prompt.answer));
  } else {
    actions_.changed();
  }
}

void AreaPrompts::drop(std::uint64_t id) {
  settled_.insert(id);
  if (!open_.empty() && open_.front().id == id) confirming_ = 0;
  std::erase_if(open_, [&](const wire::PromptSection& one) { return one.id == id; });
}

void AreaPrompts::interrupted() {
  // It is whoever is in front of us that was meant.
  if (front_.busy()) return;
  if (std::exchange(interrupted_, true)) {
    interrupted_ = false;
    actions_.say("Terminating all jobs");
    return actions_.terminate();
  }
  appeared();
  confirming_ = 0;
  actions_.request("suspend", "", [](const wire::Reply&) {});
  actions_.changed();
}

void AreaPrompts::appeared() { since_ = system_clock().monotonic(); }

void AreaPrompts::leave(std::function<void()> then) {
  open_.clear();
  interrupted_ = false;
  confirming_ = 0;
  then_ = std::move(then);
  if (!front_.busy() && then_) std::exchange(then_, nullptr)();
}

// ---- Asking ------------------------------------------------------------------

std::string AreaPrompts::rows() const {
  std::string what, choices;
  const auto add = [&](std::string_view name) {
    choices += (choices.empty() ? "" : " ") + label(name);
  };
  if (interrupted_) {
    what = "Interrupted by Ctrl-C: all jobs are suspended";
    for (const auto name : {"continue", "quit", "terminate"}) add(name);
  } else if (!open_.empty()) {
    const auto& prompt = open_.front();
    if (open_.size() > 1) what = fmt::format("1 of {} failures  ", open_.size());
    what += fmt::format("{} failed: {}", prompt.element, prompt.text);
    for (const auto& choice : kChoices) {
      if (offers(prompt, choice.name)) add(choice.name);
    }
    if (!prompt.log_file.empty()) add("log");
    if (!prompt.artifact.empty()) add("shell");
    if (open_.size() > 1) add("next");
  } else {
    return {};
  }
  if (confirming_ == 'q') choices = "Finish the jobs that run, start no others, and exit? (y/n)";
  if (confirming_ == 't') choices = "End the jobs that run, and exit? (y/n)";
  // The rows are parted by tabs.
  std::replace(what.begin(), what.end(), '\t', ' ');
  std::replace(what.begin(), what.end(), '\n', ' ');
  return "!" + what + "\t!" + choices;
}

bool AreaPrompts::press(char key) {
  if (rows().empty() || front_.busy()) return false;
  if (answering_ || system_clock().monotonic() < since_ + kUnread) return true;
  if (interrupted_) {
    after_interrupt(key);
    return true;
  }
  const wire::PromptSection& prompt = open_.front();
  if (const char asked = std::exchange(confirming_, 0); asked != 0) {
    if (key == 'y' || key == 'Y') {
      answer(asked == 'q' ? "quit" : "terminate");
    } else {
      actions_.changed();
    }
    return true;
  }
  for (const auto& choice : kChoices) {
    if (key != choice.key || !offers(prompt, choice.name)) continue;
    // What can't be undone is asked about.
    if (key == 'q' || key == 't') {
      confirming_ = key;
      actions_.changed();
    } else {
      answer(std::string(choice.name));
    }
    return true;
  }
  if (key == 'l' && !prompt.log_file.empty()) {
    in_front_of_us(pager_of(prompt));
  } else if (key == 's' && !prompt.artifact.empty()) {
    in_front_of_us(shell_in(prompt, invocation_.global));
  } else if (key == 'n' && open_.size() > 1) {
    std::rotate(open_.begin(), open_.begin() + 1, open_.end());
    actions_.changed();
  } else {
    // + and - and the help are there meanwhile; what steers the session isn't.
    return std::string_view("sqkr").find(key) != std::string_view::npos;
  }
  return true;
}

void AreaPrompts::answer(const std::string& choice) {
  answering_ = true;
  const std::uint64_t id = open_.front().id;
  actions_.request("answer", wire::encode(wire::AnswerArguments{id, choice}),
                   [this, id](const wire::Reply& reply) {
                     answering_ = false;
                     drop(id);
                     if (reply.status != "done" && reply.error) {
                       actions_.say(reply.error->message);
                     } else {
                       actions_.changed();
                     }
                   });
}

void AreaPrompts::after_interrupt(char key) {
  if (key != 'c' && key != 'q' && key != 't') return;
  interrupted_ = false;
  if (key == 't') {
    actions_.say("Terminating all jobs");
    return actions_.terminate();
  }
  if (key == 'q') actions_.request("quit", "", [](const wire::Reply&) {});
  actions_.request("resume", "", [](const wire::Reply&) {});
  actions_.say(key == 'q' ? "Finishing the jobs that run" : "All jobs go on");
}

void AreaPrompts::in_front_of_us(std::vector<std::string> argv) {
  actions_.hide();
  auto begun = front_.run(std::move(argv), [this] {
    if (then_) return std::exchange(then_, nullptr)();
    actions_.show();
  });
  if (begun) return;
  actions_.show();
  actions_.say(begun.error().str());
}

}  // namespace sluice::cli
