// Notifications on the desktop, by notify-send: of a run that has ended after a while, and of a
// question that waits for an answer. What is older than five minutes isn't news.
#include <cstdlib>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "renderer/collect/commands.h"
#include "renderer/collect/destination.h"

namespace sluice::collect {

namespace {

constexpr Duration kTimeout = std::chrono::seconds(20);
constexpr Duration kNews = std::chrono::minutes(5);
constexpr std::size_t kMostNamed = 5;
constexpr char kBetween = '\0';

// Where it is on the PATH; "" nowhere.
std::string find_notifier() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string file = std::string(rest.substr(0, end)) + "/notify-send";
    if (::access(file.c_str(), X_OK) == 0) return file;
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return "";
}

bool is_news(std::int64_t time) { return system_clock().wall_ns() - time < kNews.count(); }

// The body is shown with a little markup by some.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : clean(text)) {
    out += c == '<' ? std::string("&lt;") : c == '&' ? std::string("&amp;") : std::string(1, c);
  }
  return out;
}

class Notify final : public Destination {
 public:
  Notify(std::string program, Duration after) : program_(std::move(program)), after_(after) {}

  std::optional<Message> encode(const Record& record) override {
    const wire::Event& event = record.event;
    if (!is_news(event.time)) return std::nullopt;
    const std::string project = event.session ? event.session->project : "";
    if (event.type == "prompt.opened" && event.prompt) {
      return message("critical", fmt::format("{}: {} failed", project, event.prompt->element),
                     event.prompt->text + "\nThe build waits for an answer");
    }
    if (event.type != "run.finished" || !event.run || event.run->elapsed < after_.count())
      return std::nullopt;
    std::string body = fmt::format("after {}", time_code(event.run->elapsed));
    const std::size_t failures = event.failures ? event.failures->size() : 0;
    for (std::size_t i = 0; i < std::min(failures, kMostNamed); ++i)
      body += "\n" + (*event.failures)[i].element.name;
    if (failures > kMostNamed) body += fmt::format("\nand {} more", failures - kMostNamed);
    const bool good = event.outcome == "success";
    return message(
        good ? "normal" : "critical",
        fmt::format("{}: {} {}", project, event.run->verb, good ? "has succeeded" : "has failed"),
        body);
  }

  Status deliver(const std::vector<Message>& batch) override {
    for (const Message& one : batch) {
      if (!is_news(one.time)) continue;
      const std::size_t first = one.body.find(kBetween);
      const std::size_t second = one.body.find(kBetween, first + 1);
      RunningCommand command = TRY(RunningCommand::start(
          {program_, "--app-name=Sluice", "--urgency=" + one.body.substr(0, first), "--",
           one.body.substr(first + 1, second - first - 1), one.body.substr(second + 1)},
          {}, ""));
      bool again = false;
      const std::string what = command.wait(system_clock().monotonic() + kTimeout, kTimeout, again);
      if (!what.empty())
        return fail("collect", "unavailable", fmt::format("{} {}", program_, what));
    }
    return {};
  }

  std::size_t most_messages() const override { return 1; }

 private:
  static Message message(std::string_view urgency, const std::string& title,
                         const std::string& body) {
    Message out;
    out.body = fmt::format("{}{}{}{}{}", urgency, kBetween, clean(title), kBetween, plain(body));
    return out;
  }

  const std::string program_;
  const Duration after_;
};

}  // namespace

Result<std::unique_ptr<Destination>> make_notify(const std::string&,
                                                 const renderer::Arguments& arguments) {
  const std::uint64_t after = TRY(arguments.number("--after", 30, 0, 1u << 30));
  const std::string program = find_notifier();
  if (program.empty()) {
    return fail(
        "collect", "no-notifier",
        "There is no program notify-send, which shows notifications: install libnotify-bin");
  }
  return std::make_unique<Notify>(program, std::chrono::seconds(after));
}

}  // namespace sluice::collect
