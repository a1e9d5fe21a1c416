// Logs of running jobs as they are asked for, with a publisher that keeps what is said.
#include "jobs/log_tail.h"

#include <set>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "jobs/test_support.h"

namespace sluice::jobs {
namespace {

struct Said {
  std::string topic, ticket;
  wire::LogEvent event;
};

class Publisher final : public wire::LivePublisher {
 public:
  explicit Publisher(std::vector<Said>& said) : said_(said) {}
  bool wanted(std::string_view topic) const override {
    return std::any_of(topics.begin(), topics.end(),
                       [&](const std::string& prefix) { return topic.starts_with(prefix); });
  }
  bool wanted_below(std::string_view base, std::string_view topic) const override {
    return std::any_of(topics.begin(), topics.end(), [&](const std::string& prefix) {
      return prefix.size() > base.size() && topic.starts_with(prefix);
    });
  }
  void publish(std::string_view topic, const std::function<std::string()>& make,
               std::string_view ticket) override {
    if (!wanted(topic)) return;
    auto event = wire::decode_log_event(make());
    REQUIRE(event);
    said_.push_back({std::string(topic), std::string(ticket), std::move(*event)});
  }
  void on_subscribed(std::function<void(const std::string&)> callback) override {
    subscribed_ = std::move(callback);
  }
  void on_unsubscribed(std::function<void(const std::string&)> callback) override {
    unsubscribed_ = std::move(callback);
  }
  void subscribe(const std::string& topic) {
    topics.insert(topic);
    subscribed_(topic);
  }
  void unsubscribe(const std::string& topic) {
    topics.erase(topic);
    unsubscribed_(topic);
  }

  std::set<std::string> topics;

 private:
  std::vector<Said>& said_;
  std::function<void(const std::string&)> subscribed_, unsubscribed_;
};

struct Shown {
  Shown() {
    auto made = std::make_unique<Publisher>(said);
    live = made.get();
    tail.emplace(reactor, clock, std::move(made), running);
  }
  std::string run(const wire::JobId& id, const std::string& text) {
    Runner::Running job;
    job.section.id = id.job;
    job.section.attempt = id.attempt;
    job.section.runner = "far";
    wire::Writer(job.context).map(0);
    job.ticket = "ticket";
    job.log_path = fmt::format("{}/{}-{}", folder.str(), id.job, id.attempt);
    REQUIRE(write_file_atomic(job.log_path, text));
    const std::string path = job.log_path;
    running.emplace(id, std::move(job));
    return path;
  }
  void end(const wire::JobId& id) {
    const LogSource log = running.at(id).log();
    tail->end(id, log);
    running.erase(id);
    ::unlink(log.path.c_str());
  }
  void pass(Duration time) {
    for (Duration gone{}; gone < time; gone += std::chrono::milliseconds(100)) {
      clock.advance(std::chrono::milliseconds(100));
      reactor.run_once(Duration::zero());
    }
  }
  // What was said since this was asked, under one topic.
  std::vector<wire::LogEvent> heard(const std::string& topic) {
    std::vector<wire::LogEvent> out;
    for (const Said& one : said) {
      if (one.topic == topic) out.push_back(one.event);
    }
    said.clear();
    return out;
  }
  std::string refusal(const std::string& topic) {
    live->subscribe(topic);
    const auto events = heard(topic);
    if (events.size() != 1 || !events[0].error) return fmt::format("{} events", events.size());
    CHECK(events[0].last);
    CHECK(events[0].text.empty());
    return events[0].error->reason;
  }

  TestDirectory folder{0755};
  FakeClock clock;
  wire::Reactor reactor{clock};
  Runner::Running none;
  LogTail::Jobs running;
  std::vector<Said> said;
  Publisher* live = nullptr;
  std::optional<LogTail> tail;
};

std::string text_of(const std::vector<wire::LogEvent>& events) {
  std::string text;
  for (const auto& event : events) text += event.text;
  return text;
}

TEST_CASE("R56, R57: a log is said from a byte on, and what follows as it is written") {
  Shown shown;
  const std::string path = shown.run({7, 1}, "0123456789");
  shown.live->subscribe("log-from/7/4/a/");
  auto events = shown.heard("log-from/7/4/a/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].text == "456789");
  CHECK(events[0].offset == 4);
  CHECK(events[0].size == 10);
  CHECK(events[0].job.id == 7);
  CHECK_FALSE(events[0].last);
  REQUIRE(write_file_atomic(path, "0123456789ab"));
  shown.pass(std::chrono::milliseconds(100));
  events = shown.heard("log-from/7/4/a/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].text == "ab");
  CHECK(events[0].offset == 10);
  // With nothing new it is said each second that the log is where it was.
  shown.pass(std::chrono::seconds(3));
  events = shown.heard("log-from/7/4/a/");
  CHECK(events.size() == 3);
  CHECK(text_of(events).empty());
  CHECK(events[0].offset == 12);
  // Two readers of one byte have each their own; who stops hears no more.
  shown.live->subscribe("log-from/7/12/b/");
  shown.live->subscribe("log-from/7/12/c/");
  shown.live->unsubscribe("log-from/7/12/c/");
  shown.said.clear();
  REQUIRE(write_file_atomic(path, "0123456789abc"));
  shown.pass(std::chrono::milliseconds(100));
  CHECK(text_of(shown.heard("log-from/7/12/b/")) == "c");
  shown.pass(std::chrono::seconds(2));
  CHECK(shown.heard("log-from/7/12/c/").empty());
}

TEST_CASE("R56: a subscription gets one window of a log, in pieces, within what a turn may say") {
  Shown shown;
  std::string log(3 * LogTail::kWindow, 'x');
  for (std::size_t i = 0; i < log.size(); i += 1000)
    log[i] = static_cast<char>('a' + i / 1000 % 26);
  shown.run({7, 1}, log);
  shown.live->subscribe("log-from/7/5/a/");
  auto events = shown.heard("log-from/7/5/a/");
  CHECK(events.size() == LogTail::kWindow / LogTail::kPiece);
  CHECK(text_of(events) == log.substr(5, LogTail::kWindow));
  CHECK(events.back().last);
  CHECK_FALSE(events.back().ended);
  shown.pass(std::chrono::seconds(2));
  CHECK(shown.heard("log-from/7/5/a/").empty());
  // Many at once wait for the next turn.
  std::size_t said = 0;
  const std::size_t readers = 2 * LogTail::kTurn / LogTail::kWindow;
  for (std::size_t i = 0; i < readers; ++i)
    shown.live->subscribe(fmt::format("log-from/7/0/r{}/", i));
  for (const Said& one : shown.said) said += one.event.text.size();
  CHECK(said <= LogTail::kTurn);
  shown.pass(std::chrono::seconds(1));
  for (std::size_t i = 0; i < readers; ++i) {
    std::string text;
    for (const Said& one : shown.said) {
      if (one.topic == fmt::format("log-from/7/0/r{}/", i)) text += one.event.text;
    }
    CHECK(text == log.substr(0, LogTail::kWindow));
  }
}

TEST_CASE("R56: the log of a job that has ended is there for a while, though its file is gone") {
  Shown shown;
  shown.run({7, 1}, "first attempt");
  shown.live->subscribe("log-from/7/0/a/");
  shown.said.clear();
  shown.end({7, 1});
  auto events = shown.heard("log-from/7/0/a/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].last);
  CHECK(events[0].ended);
  CHECK(events[0].offset == 13);
  shown.live->subscribe("log-from/7/6/b/");
  events = shown.heard("log-from/7/6/b/");
  CHECK(text_of(events) == "attempt");
  CHECK(events.back().ended);
  // Another attempt is what counts from then on.
  shown.run({7, 2}, "second");
  shown.live->subscribe("log-from/7/0/c/");
  events = shown.heard("log-from/7/0/c/");
  CHECK(text_of(events) == "second");
  CHECK(events[0].job.attempt == 2);
  shown.end({7, 2});
  shown.pass(LogTail::kKept + std::chrono::seconds(1));
  shown.said.clear();
  shown.live->subscribe("log-from/7/0/d/");
  CHECK(shown.heard("log-from/7/0/d/").empty());
}

TEST_CASE("R58: what can't be shown is refused by name; what isn't here is for others to say") {
  Shown shown;
  shown.run({7, 1}, "0123456789");
  shown.run({8, 1}, "");
  shown.running.at({8, 1}).log_path.clear();
  CHECK(shown.refusal("log-from/7/x/a/") == "bad-offset");
  CHECK(shown.refusal("log-from/7/-1/a/") == "bad-offset");
  CHECK(shown.refusal("log-from/7/99999999999999999999999/a/") == "bad-offset");
  CHECK(shown.refusal("log-from/7/1e3/a/") == "bad-offset");
  CHECK(shown.refusal("log-from/7/11/a/") == "past-end");
  CHECK(shown.refusal("log-from/7/18446744073709551615/a/") == "past-end");
  CHECK(shown.refusal("log-from/8/0/a/") == "no-log");
  for (const char* topic :
       {"log-from/9/0/a/", "log-from/x/0/a/", "log-from/-7/0/a/", "log-from/7/0/a", "log-from/7/0/",
        "log-from/7/0//", "log-from/7/0/a/b/", "log-from/7/0/a.b/", "log-from/7//a/",
        "log-from/7/0/123456789012345678901234567890123/", "log-from/"}) {
    INFO(topic);
    CHECK(shown.refusal(topic) == "0 events");
  }
  // Whoever listens to a prefix begins nothing.
  shown.pass(std::chrono::seconds(2));
  CHECK(shown.said.empty());
  for (std::size_t i = 0; i < LogTail::kMostStreams; ++i)
    shown.live->subscribe(fmt::format("log-from/7/10/r{}/", i));
  shown.said.clear();
  CHECK(shown.refusal("log-from/7/10/more/") == "too-many");
  shown.live->unsubscribe("log-from/7/10/r0/");
  shown.live->subscribe("log-from/7/10/again/");
  CHECK(shown.heard("log-from/7/10/again/").size() == 1);
}

TEST_CASE("R54: what is written is said to who listens to log/JOB/, to the last byte") {
  Shown shown;
  const std::string path = shown.run({7, 1}, std::string(20000, 'x') + "end of the past");
  shown.live->subscribe("log/7/");
  shown.pass(std::chrono::milliseconds(100));
  auto events = shown.heard("log/7/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].text.size() == 16384);
  CHECK(events[0].text.ends_with("end of the past"));
  REQUIRE(write_file_atomic(path, std::string(20000, 'x') + "end of the past, and more"));
  shown.end({7, 1});
  events = shown.heard("log/7/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].text == ", and more");

  // Another job of the runner's keeps nobody from the next attempt, whose topic was asked for long
  // before.
  shown.run({8, 1}, "another");
  shown.pass(std::chrono::seconds(1));
  shown.run({7, 2}, "the next attempt");
  shown.tail->begin({7, 2});
  shown.pass(std::chrono::milliseconds(200));
  events = shown.heard("log/7/");
  REQUIRE(events.size() == 1);
  CHECK(events[0].text == "the next attempt");
}

}  // namespace
}  // namespace sluice::jobs
