#include "history/history.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/append_log.h"
#include "base/file.h"
#include "base/text.h"
#include "history/measures.h"
#include "history/outline.h"
#include "tests/support/test_directory.h"

namespace sluice::history {

namespace {

using nlohmann::json;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kBegan = 1'700'000'000 * kSecond;

// A session as its records tell it; moments are seconds from its start.
class Story {
 public:
  explicit Story(Gatherer::Wanted wanted = {}) : gatherer_(wanted) {
    say(0, "session.started", {});
  }

  void say(double at, const std::string& type, json event) {
    event["v"] = 1;
    event["type"] = type;
    event["time"] = moment(at);
    if (!event.contains("src")) event["src"] = "scheduler";
    if (!event.contains("epoch")) event["epoch"] = 1;
    event["session"] = {{"id", "20261122-120000-000-0000"},
                        {"project", "p"},
                        {"verb", "build"},
                        {"started", kBegan},
                        {"elapsed", 0},
                        {"state", "active"}};
    if (run_ > 0 && !event.contains("run"))
      event["run"] = {
          {"number", run_}, {"verb", verb_}, {"elapsed", static_cast<std::int64_t>(at * kSecond)}};
    const auto bytes = json::to_msgpack(event);
    records_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    REQUIRE(gatherer_.add(records_.back()));
  }

  // The same, found out of the log alone.
  Outline outline(bool over = true) const {
    const TestDirectory directory;
    wire::SessionPaths paths;
    paths.state = directory.str();
    auto log = AppendLog::open(paths.record_log(), {});
    REQUIRE(log);
    for (const std::string& record : records_) REQUIRE(log->append(record));
    auto outline = history::outline(paths, over);
    REQUIRE(outline);
    return *outline;
  }

  // `elements`: name, state, indices of dependencies.
  struct Planned {
    std::string name, state;
    std::vector<int> on;
  };
  void run(double at, const std::vector<Planned>& elements, std::vector<std::string> targets,
           bool plan = true, const std::string& verb = "build") {
    ++run_;
    verb_ = verb;
    json event{{"heading", {{"directory", "/p"}, {"targets", targets}, {"builders", 2}}},
               {"elements", json::array()}};
    json dependencies = json::array();
    for (const Planned& one : elements) {
      event["elements"].push_back(element(one.name, one.state));
      dependencies.push_back(one.on);
    }
    if (plan) event["plan"] = {{"dependencies", dependencies}};
    say(at, "run.started", event);
  }

  void start(double at, int id, const std::string& action, const std::string& name, int attempt = 1,
             const std::string& runner = "runner") {
    started_[{id, attempt}] = at;
    say(at, "job.started",
        {{"element", element(name, "buildable")}, {"job", job(id, attempt, action, runner)}});
  }

  void finish(double at, int id, const std::string& action, const std::string& name,
              const std::string& outcome = "success", double paused = 0, int attempt = 1,
              json more = json::object(), const std::string& runner = "runner") {
    more["element"] = element(name, outcome == "success" ? "cached" : "failed");
    more["job"] = job(id, attempt, action, runner);
    more["outcome"] = outcome;
    more["elapsed"] =
        static_cast<std::int64_t>((at - started_.at({id, attempt}) - paused) * kSecond);
    say(at, "job.finished", more);
  }

  void end_run(double at, const std::string& outcome, double paused = 0,
               json more = json::object()) {
    more["outcome"] = outcome;
    more["elapsed"] = static_cast<std::int64_t>((at - paused) * kSecond);
    say(at, "run.finished", more);
  }

  const History& history(bool over = true) {
    gatherer_.settle(over);
    return gatherer_.history();
  }
  static std::int64_t moment(double at) {
    return kBegan + static_cast<std::int64_t>(at * static_cast<double>(kSecond));
  }

  static json element(const std::string& name, const std::string& state) {
    return {
        {"project", "p"},      {"name", name},   {"kind", "manual"}, {"key", std::string(64, 'a')},
        {"brief", "aaaaaaaa"}, {"strict", true}, {"state", state}};
  }
  json job(int id, int attempt, const std::string& action, const std::string& runner) {
    const auto started = started_.find({id, attempt});
    return {{"id", id},
            {"action", action},
            {"attempt", attempt},
            {"runner", runner},
            {"host", "here"},
            {"slot", id % 2},
            {"started", started == started_.end() ? 0 : moment(started->second)},
            {"elapsed", 0},
            {"log_file", "/logs/" + std::to_string(id)}};
  }

 private:
  Gatherer gatherer_;
  std::vector<std::string> records_;
  int run_ = 0;
  std::string verb_;
  std::map<std::pair<int, int>, double> started_;
};

std::vector<std::string> fates_of(const History& history) {
  std::vector<std::string> out;
  for (const Fate fate : fates(history, history.runs.back())) out.emplace_back(text_of(fate));
  return out;
}

std::vector<std::string> names_of(const History& history, const std::vector<std::size_t>& jobs) {
  std::vector<std::string> out;
  for (const std::size_t job : jobs) {
    const Run& run = history.runs[history.jobs[job].run];
    out.push_back(history.jobs[job].action + ":" + run.elements[history.jobs[job].element].name);
  }
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("history: runs, jobs, fates, failures and what they cost") {
  Story story;
  story.run(1,
            {{"base.bst", "cached", {}},
             {"lib.bst", "fetch needed", {0}},
             {"bad.bst", "buildable", {0}},
             {"app.bst", "waiting", {1, 2}},
             {"pulled.bst", "buildable", {}},
             {"unasked.bst", "waiting", {}}},
            {"app.bst", "pulled.bst"});
  story.start(1, 1, "fetch", "lib.bst");
  story.start(1, 2, "build", "bad.bst");
  story.start(1, 3, "pull", "pulled.bst");
  story.finish(2, 3, "pull", "pulled.bst", "success", 0, 1,
               {{"origin", "pulled"}, {"usage", {{"fetched", 4096}}}});
  story.finish(3, 1, "fetch", "lib.bst");
  story.start(3, 4, "build", "lib.bst");
  story.finish(5, 2, "build", "bad.bst", "failure", 0, 1,
               {{"text", "Command failed"}, {"log_tail", "no such file\n"}});
  story.finish(9, 4, "build", "lib.bst", "success", 0, 1,
               {{"origin", "built"}, {"usage", {{"cpu", 7 * kSecond}, {"memory", 1 << 20}}}});
  story.end_run(9, "failure");
  story.say(9.5, "session.ended", {});
  const History& history = story.history();

  REQUIRE(history.runs.size() == 1);
  const Run& run = history.runs[0];
  CHECK(history.outcome() == "failure");
  CHECK(history.session == "20261122-120000-000-0000");
  CHECK(history.started == kBegan);
  CHECK(history.ended == Story::moment(9.5));
  CHECK(run.targets == Names{"app.bst", "pulled.bst"});
  CHECK(run.builders == 2);
  CHECK(names_of(history, run.jobs) ==
        Names{"fetch:lib.bst", "build:bad.bst", "pull:pulled.bst", "build:lib.bst"});
  CHECK(fates_of(history) ==
        Names{"cached", "built", "failed", "not reached", "pulled", "not needed"});

  const Summary summary = summarise(history, run, 2);
  CHECK(summary.elements == 5);
  CHECK(summary.count(Fate::kBuilt) == 1);
  CHECK(summary.hit_rate() == Approx(2.0 / 3));
  CHECK(names_of(history, summary.slowest) == Names{"build:lib.bst", "build:bad.bst"});
  CHECK(summary.cpu == 7 * kSecond);
  CHECK(summary.memory == 1 << 20);
  CHECK(history.jobs[summary.largest].id == 4);
  CHECK(summary.fetched == 4096);
  REQUIRE(summary.failures.size() == 1);
  CHECK(run.elements[summary.failures[0].element].name == "bad.bst");
  CHECK(history.jobs[summary.failures[0].job].log_tail == "no such file\n");
  CHECK(summary.load.busy == 10 * kSecond);
  CHECK(summary.load.peak == 2);
  CHECK(names_of(history, summary.path.jobs) == Names{"fetch:lib.bst", "build:lib.bst"});
  CHECK(summary.path.duration == 8 * kSecond);
  CHECK(summary.path.elements == std::vector<bool>{false, true, false, false, false, false});
  REQUIRE(summary.runners.size() == 1);
  CHECK(summary.runners[0].jobs == 4);
  CHECK(summary.runners[0].failed == 1);
}

TEST_CASE("history: of what was there those count that the run worked on, as it has counted them") {
  Story story;
  // a.bst is what b.bst was built with, which is there.
  story.run(0, {{"a.bst", "cached", {}}, {"b.bst", "cached", {0}}, {"c.bst", "buildable", {1}}},
            {"c.bst"});
  story.start(1, 1, "build", "c.bst");
  story.finish(2, 1, "build", "c.bst", "success", 0, 1, {{"origin", "built"}});
  CHECK(summarise(story.history(false), story.history().runs[0]).count(Fate::kCached) == 2);
  story.end_run(2, "success", 0,
                {{"progress", {{"elements", 2}, {"done", 2}, {"cached", 1}, {"built", 1}}}});
  const Summary summary = summarise(story.history(), story.history().runs[0]);
  CHECK(summary.count(Fate::kCached) == 1);
  CHECK(summary.count(Fate::kNotNeeded) == 1);
  CHECK(summary.elements == 2);
  using Told = std::vector<std::pair<std::uint32_t, std::string_view>>;
  CHECK(summary.told() == Told{{1, "built"}, {1, "cached"}});
}

TEST_CASE("history: the critical path is by durations, not by who ended last") {
  Story story;
  story.run(0,
            {{"a.bst", "buildable", {}},
             {"b.bst", "buildable", {}},
             {"c.bst", "waiting", {0}},
             {"d.bst", "fetch needed", {0, 1}}},
            {"c.bst", "d.bst"});
  // With one builder b waits for a: that is no dependency.
  story.start(0, 1, "build", "a.bst");
  story.start(0, 5, "fetch", "d.bst");
  story.finish(4, 1, "build", "a.bst");
  story.start(4, 2, "build", "b.bst");
  story.finish(9, 2, "build", "b.bst");
  story.start(9, 3, "build", "c.bst");
  story.finish(11, 3, "build", "c.bst");
  story.finish(8, 5, "fetch", "d.bst");
  story.start(11, 4, "build", "d.bst");
  story.finish(12, 4, "build", "d.bst");
  story.start(12, 6, "push", "d.bst");
  story.finish(14, 6, "push", "d.bst");
  story.start(14, 7, "source-push", "d.bst");
  story.finish(15, 7, "source-push", "d.bst");
  story.end_run(15, "success");
  const History& history = story.history();
  // What d needs is fetched beside a and b, and takes longer than these.
  const CriticalPath path = critical_path(history, history.runs[0]);
  CHECK(names_of(history, path.jobs) ==
        Names{"fetch:d.bst", "build:d.bst", "push:d.bst", "source-push:d.bst"});
  CHECK(path.duration == 12 * kSecond);
  CHECK(fates_of(history) == Names{"built", "built", "built", "built"});
}

TEST_CASE("history: attempts that are lost, and what was tried again") {
  Story story;
  story.run(0, {{"a.bst", "buildable", {}}, {"b.bst", "buildable", {}}}, {"a.bst", "b.bst"});
  story.start(1, 1, "build", "a.bst", 1, "far");
  story.start(2, 2, "build", "b.bst");
  // Nobody said that the first attempt ended.
  story.start(5, 1, "build", "a.bst", 2);
  story.finish(6, 2, "build", "b.bst", "failure");
  story.finish(7, 1, "build", "a.bst", "success", 0, 2);
  story.start(8, 3, "build", "b.bst");
  CHECK(story.history(false).outcome().empty());
  // What is being tried again has failed no more than that it is done.
  CHECK(fates_of(story.history(false)) == Names{"built", "not reached"});
  story.finish(9, 3, "build", "b.bst");
  story.end_run(9, "success");
  const History& history = story.history();
  REQUIRE(history.jobs.size() == 4);
  CHECK(history.jobs[0].outcome == "lost");
  CHECK(history.jobs[0].duration == 4 * kSecond);
  CHECK(history.jobs[0].runner == "far");
  CHECK(history.jobs[2].attempt == 2);
  CHECK(failures(history, history.runs[0], fates(history, history.runs[0])).empty());
  CHECK(fates_of(history) == Names{"built", "built"});
  const auto used = runners(history, history.runs[0]);
  REQUIRE(used.size() == 2);
  CHECK(used[1].name == "far");
  CHECK(used[1].lost == 1);
  // Of the path the attempt that was lost is no part.
  CHECK(critical_path(history, history.runs[0]).duration == 2 * kSecond);
}

TEST_CASE("history: time in which the session was suspended or dead counts for nothing") {
  Story story;
  story.run(0, {{"a.bst", "buildable", {}}, {"b.bst", "waiting", {0}}}, {"b.bst"});
  story.start(1, 1, "build", "a.bst");
  story.say(2, "session.suspended", {});
  story.say(5, "session.resumed", {});
  story.finish(6, 1, "build", "a.bst", "success", 3);
  story.start(6, 2, "build", "b.bst");
  story.say(8, "element.state", {{"epoch", 1}});
  {
    const History& history = story.history(false);
    CHECK(history.jobs[0].duration == 2 * kSecond);
    CHECK(history.jobs[1].running());
    CHECK(history.jobs[1].duration == 2 * kSecond);
    CHECK(history.paused_between(Story::moment(0), Story::moment(4)) == 2 * kSecond);
  }
  // All processes are killed; somebody resumes the session much later.
  story.say(100, "message", {{"epoch", 2}, {"level", "info"}});
  story.finish(101, 2, "build", "b.bst", "success", 92, 1, {{"epoch", 2}});
  story.end_run(101, "success", 95);
  const History& history = story.history();
  REQUIRE(history.pauses.size() == 2);
  CHECK_FALSE(history.pauses[0].dead);
  CHECK(history.pauses[1].dead);
  CHECK(history.runs[0].suspended == 95 * kSecond);
  CHECK(history.runs[0].duration == 6 * kSecond);
  CHECK(critical_path(history, history.runs[0]).duration == 5 * kSecond);
}

TEST_CASE("history: a session that died, one that couldn't load, and one that did nothing") {
  Story died;
  died.run(0, {{"a.bst", "buildable", {}}}, {"a.bst"});
  died.start(1, 1, "build", "a.bst");
  died.say(4, "element.state", {});
  CHECK(died.history(true).outcome() == "died");
  CHECK(died.history().jobs[0].outcome == "lost");
  CHECK(died.history().jobs[0].duration == 3 * kSecond);
  CHECK(fates_of(died.history()) == Names{"not reached"});

  Story unloaded;
  unloaded.say(
      1, "error",
      {{"error",
        {{"scope", "main"}, {"domain", "load"}, {"reason", "missing"}, {"message", "no x.bst"}}}});
  unloaded.say(2, "session.ended", {});
  CHECK(unloaded.history().outcome() == "failure");
  REQUIRE(unloaded.history().notes.size() == 1);
  CHECK(unloaded.history().notes[0].text == "no x.bst");

  Story idle;
  CHECK(idle.history(false).outcome().empty());
  idle.say(2, "session.ended", {});
  CHECK(idle.history().outcome() == "success");
}

TEST_CASE("history: the second run of a session has jobs and elements of its own") {
  Story story;
  story.run(0, {{"a.bst", "buildable", {}}}, {"a.bst"});
  story.start(1, 1, "build", "a.bst");
  story.finish(2, 1, "build", "a.bst");
  story.end_run(2, "success");
  story.run(3, {{"x.bst", "fetch needed", {}}, {"a.bst", "cached", {}}}, {"x.bst", "a.bst"}, true,
            "fetch");
  story.start(3, 2, "fetch", "x.bst");
  story.finish(4, 2, "fetch", "x.bst");
  story.end_run(4, "success");
  const History& history = story.history(false);
  REQUIRE(history.runs.size() == 2);
  CHECK(names_of(history, history.runs[1].jobs) == Names{"fetch:x.bst"});
  CHECK(fates_of(history) == Names{"fetched", "cached"});
  CHECK(history.jobs[1].run == 1);
}

TEST_CASE("history: steps of jobs, when they are wanted") {
  Story story({.steps = true});
  story.run(0, {{"a.bst", "buildable", {}}}, {"a.bst"});
  json step{{"src", "runner"}, {"epoch", 9}};
  step["element"] = Story::element("a.bst", "buildable");
  step["job"] = story.job(1, 1, "build", "runner");
  step["level"] = "start";
  step["text"] = "Running commands";
  // The runner may be heard before the scheduler.
  story.say(1, "job.message", step);
  story.start(1, 1, "build", "a.bst");
  step["level"] = "success";
  step["elapsed"] = 2 * kSecond;
  story.say(3, "job.message", step);
  step["level"] = "start";
  step["text"] = "Caching artifact";
  story.say(3, "job.message", step);
  const History& history = story.history(false);
  REQUIRE(history.jobs.size() == 1);
  REQUIRE(history.jobs[0].steps.size() == 2);
  CHECK(history.jobs[0].steps[0].duration == 2 * kSecond);
  CHECK(history.jobs[0].steps[0].level == "success");
  CHECK(history.jobs[0].steps[1].ended == 0);
  CHECK(history.pauses.empty());
}

TEST_CASE(
    "history: what messages of jobs say of their run counts, whether steps are wanted or not") {
  const bool steps = GENERATE(false, true);
  Story story({.steps = steps});
  story.run(0, {{"a.bst", "buildable", {}}}, {"a.bst"});
  story.start(1, 1, "build", "a.bst");
  json said{{"level", "start"}, {"text", "Running commands"}};
  said["element"] = Story::element("a.bst", "buildable");
  said["job"] = story.job(1, 1, "build", "runner");
  said["limits"] = {{"builders", 5}, {"fetchers", 6}};
  said["queues"] = json::array({{{"name", "Build"},
                                 {"waiting", 0},
                                 {"active", 1},
                                 {"processed", 0},
                                 {"skipped", 3},
                                 {"failed", 0}}});
  story.say(7, "job.message", said);
  // A message may be the first that is heard of a run.
  said["run"] = {{"number", 2}, {"verb", "push"}, {"elapsed", kSecond}};
  const History before = story.history(false);
  CHECK(before.newest == Story::moment(7));
  CHECK(before.runs[0].duration == 7 * kSecond);
  CHECK(before.runs[0].builders == 5);
  REQUIRE(before.runs[0].queues.size() == 1);
  CHECK(before.runs[0].queues[0].skipped == 3);
  said.erase("job");
  story.say(8, "job.message", said);
  const History& history = story.history(false);
  CHECK(history.records == 5);
  CHECK(history.malformed == 0);
  REQUIRE(history.runs.size() == 2);
  CHECK(history.runs[1].verb == "push");
  CHECK(history.jobs[0].steps.size() == (steps ? 1 : 0));
}

TEST_CASE("history: the outline of a session says what its history does") {
  Story story;
  CHECK(story.outline(false).outcome == story.history(false).outcome());
  story.run(0, {{"a.bst", "buildable", {}}}, {"a.bst"});
  story.start(1, 1, "build", "a.bst");
  CHECK(story.outline(false).outcome.empty());
  CHECK(story.outline().outcome == "died");
  story.finish(2, 1, "build", "a.bst");
  story.end_run(2, "success");
  CHECK(story.outline(false).outcome == "success");
  // Killed before it said that its second run had started.
  story.say(3, "message",
            {{"level", "info"}, {"run", {{"number", 2}, {"verb", "push"}, {"elapsed", 0}}}});
  const Outline died = story.outline();
  CHECK(died.outcome == "died");
  CHECK(died.outcome == story.history().outcome());
  CHECK(died.runs == 2);
  CHECK(died.verb == "push");
  CHECK(died.targets.empty());
  CHECK(died.ended == Story::moment(3));
  // What comes late of the first run is no end of the second.
  story.say(4, "run.finished",
            {{"outcome", "failure"}, {"run", {{"number", 1}, {"verb", "build"}, {"elapsed", 0}}}});
  CHECK(story.outline().outcome == "died");
  CHECK(story.history().outcome() == "died");
}

TEST_CASE("history: records of older sessions have no plan, and what isn't known is left open") {
  Story story;
  story.run(0, {{"a.bst", "buildable", {}}, {"b.bst", "waiting", {}}}, {"b.bst"}, false);
  story.start(1, 1, "build", "a.bst");
  story.finish(2, 1, "build", "a.bst");
  story.end_run(2, "quit");
  const History& history = story.history();
  CHECK_FALSE(history.runs[0].has_dependencies);
  CHECK(critical_path(history, history.runs[0]).jobs.empty());
  CHECK(fates_of(history) == Names{"built", "not reached"});
  const Summary summary = summarise(history, history.runs[0]);
  CHECK(summary.cpu == 0);
  CHECK(summary.hit_rate() == 0);
}

TEST_CASE("history: records that can't be read are counted") {
  Gatherer gatherer({});
  CHECK_FALSE(gatherer.add("no record"));
  CHECK(gatherer.history().malformed == 1);
  CHECK(gatherer.history().records == 1);
}

TEST_CASE("history: what BuildStream's build with a failure was") {
  const auto text =
      read_file(SLUICE_SOURCE_DIR "/tests/golden/renderer/3-fail-continue.events.jsonl");
  REQUIRE(text);
  Gatherer gatherer({});
  for (const auto line : split_lines(*text)) {
    const auto bytes = json::to_msgpack(json::parse(line));
    REQUIRE(gatherer.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  gatherer.settle(true);
  const History& history = gatherer.history();
  REQUIRE(history.runs.size() == 1);
  CHECK(history.outcome() == "failure");
  CHECK_FALSE(failures(history, history.runs[0], fates(history, history.runs[0])).empty());
}

}  // namespace sluice::history
