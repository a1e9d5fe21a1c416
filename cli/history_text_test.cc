#include "cli/history_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace sluice::cli {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kBegan = 1'700'000'000 * kSecond;

history::Job job(std::uint64_t id, std::size_t element, const std::string& action, double start,
                 double seconds, const std::string& outcome = "success") {
  history::Job out;
  out.id = id;
  out.run = 0;
  out.element = element;
  out.action = action;
  out.key = std::string(64, 'a');
  out.runner = "runner";
  out.host = "here";
  out.started = kBegan + static_cast<std::int64_t>(start * kSecond);
  out.duration = static_cast<std::int64_t>(seconds * kSecond);
  out.ended = out.started + out.duration;
  out.outcome = outcome;
  out.log_file = "/nowhere/" + std::to_string(id) + ".log";
  return out;
}

// Two elements that are built, one of them badly, and one that waits for it.
history::History sample() {
  history::History out;
  out.session = "20261122-120000-000-0000";
  out.project = "small";
  out.started = kBegan;
  out.ended = kBegan + 9 * kSecond;
  out.over = true;
  history::Run& run = out.runs.emplace_back();
  run.number = 1;
  run.verb = "build";
  run.targets = {"app.bst"};
  run.started = kBegan;
  run.ended = kBegan + 8 * kSecond;
  run.duration = 8 * kSecond;
  run.outcome = "failure";
  run.builders = 4;
  run.has_dependencies = true;
  run.elements = {{"small", "libs/a.bst", "manual", "", "", "buildable", "cached", {}, 0, {0, 1}},
                  {"small", "bad.bst", "manual", "", "", "buildable", "failed", {}, 0, {2}},
                  {"small", "app.bst", "manual", "", "", "waiting", "waiting", {0, 1}, 0, {}}};
  run.jobs = {0, 1, 2};
  out.jobs = {job(1, 0, "fetch", 0, 1), job(2, 0, "build", 1, 2),
              job(3, 1, "build", 1, 6.5, "failure")};
  out.jobs[1].origin = "built";
  out.jobs[1].usage = {.cpu = 3 * kSecond, .memory = 64u << 20};
  out.jobs[2].text = "Command failed";
  out.jobs[2].detail = "exited with status 1";
  out.jobs[2].log_tail = "one\ntwo\nthree\n";
  return out;
}

std::vector<std::uint64_t> ids(const history::History& history, const JobFilter& filter) {
  std::vector<std::uint64_t> out;
  for (const std::size_t index : choose_jobs(history, filter))
    out.push_back(history.jobs[index].id);
  return out;
}

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("durations for people: the shorter, the more exact") {
  CHECK(short_duration(0) == "0.00s");
  CHECK(short_duration(123 * kSecond / 1000) == "0.12s");
  CHECK(short_duration(999'600'000) == "1.0s");
  CHECK(short_duration(12 * kSecond + 340'000'000) == "12.3s");
  CHECK(short_duration(59 * kSecond + 960'000'000) == "1m 00s");
  CHECK(short_duration(125 * kSecond) == "2m 05s");
  CHECK(short_duration(3599 * kSecond + 600'000'000) == "1h 00m");
  CHECK(short_duration(26 * 3600 * kSecond) == "26h 00m");
}

TEST_CASE("what ran: chosen and sorted") {
  const history::History history = sample();
  CHECK(ids(history, {}) == Ids{1, 2, 3});
  CHECK(ids(history, {.actions = {"build"}}) == Ids{2, 3});
  CHECK(ids(history, {.elements = {"libs/*"}}) == Ids{1, 2});
  CHECK(ids(history, {.actions = {"fetch", "build"}, .elements = {"bad.bst"}}) == Ids{3});
  CHECK(ids(history, {.elements = {"a.bst"}}).empty());
  CHECK(ids(history, {.sort = "duration"}) == Ids{3, 2, 1});
  CHECK(ids(history, {.sort = "element"}) == Ids{3, 1, 2});
  CHECK(ids(history, {.sort = "cpu"}) == Ids{2, 1, 3});
  CHECK(ids(history, {.run = 2}).empty());
  const std::string text = what_ran_text(history, choose_jobs(history, {.actions = {"build"}}));
  CHECK(text.starts_with("ACTION  ELEMENT"));
  CHECK(text.find("2.0s") != std::string::npos);
  CHECK(text.find("64M") != std::string::npos);
  CHECK(text.find("/nowhere/2.log\n") != std::string::npos);
  CHECK(what_ran_text(history, {}).empty());
  const auto json = nlohmann::json::parse(what_ran_json(history, choose_jobs(history, {})));
  REQUIRE(json["jobs"].size() == 3);
  CHECK(json["jobs"][1]["element"] == "libs/a.bst");
  CHECK(json["jobs"][1]["cpu"] == 3.0);
  CHECK(json["jobs"][0]["cpu"].is_null());
  CHECK(json["outcome"] == "failure");
}

TEST_CASE("what failed: once, with its message, its log and its last lines") {
  history::History history = sample();
  const auto failures = shown_failures(history, 2);
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].log_tail == "two\nthree\n");
  const std::string text = what_failed_text(history, failures);
  CHECK(text ==
        "build bad.bst: Command failed\n"
        "    after 6.5s, by runner on here\n"
        "    exited with status 1\n"
        "    log: /nowhere/3.log\n"
        "\n"
        "    | two\n"
        "    | three\n");
  const auto json = nlohmann::json::parse(what_failed_json(history, failures));
  CHECK(json["failures"][0]["log-tail"] == "two\nthree\n");
  CHECK(json["errors"].empty());
  // A later run has built it.
  history::Run again = history.runs[0];
  again.number = 2;
  again.outcome = "success";
  again.elements[1].jobs = {3};
  again.elements[0].jobs.clear();
  again.elements[0].first_state = "cached";
  again.jobs = {3};
  history.runs.push_back(again);
  history.jobs.push_back(job(4, 1, "build", 20, 1));
  history.jobs.back().run = 1;
  CHECK(shown_failures(history, 2).empty());
}

TEST_CASE("a summary says how the run went and what it cost") {
  const history::History history = sample();
  const auto failures = shown_failures(history, 20);
  const std::string text = summary_text(history, 0, failures);
  for (const char* part :
       {"Session 20261122-120000-000-0000 of small\n", "build app.bst", "failure, after 8.0s",
        "3: 1 failed, 1 built, 1 not reached", "0 % of 1 artifacts were not built",
        "6.5s of 8.0s (81 %)", "1.1 of 4 busy on average, 2 at most",
        "64M at most, build libs/a.bst", "6.5s  build bad.bst\n",
        "runner on here: 3 jobs, 1 failed", "  build bad.bst: Command failed\n"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
  const auto json = nlohmann::json::parse(summary_json(history, 0, failures));
  CHECK(json["run"]["counts"]["not reached"] == 1);
  CHECK(json["run"]["critical-path"]["duration"] == 6.5);
  CHECK(json["run"]["hit-rate"] == 0.0);
  CHECK(json["failures"].size() == 1);
  // Of many targets some are named.
  history::History many = history;
  many.runs[0].targets.assign(10'000, "libs/some.bst");
  CHECK(
      summary_text(many, 0, failures)
          .find("build libs/some.bst libs/some.bst libs/some.bst libs/some.bst and 9996 more\n") !=
      std::string::npos);
  // Nothing has run: what is wrong is told all the same.
  history::History none;
  none.over = true;
  none.ended = 1;
  none.notes.push_back(
      {1, "error", "", "no such element", "",
       wire::ErrorSection{.message = "no such element", .file = "a.bst", .line = 3, .column = 2}});
  const std::string said = summary_text(none, history::kNone, {});
  CHECK(said.find("a.bst [line 3 column 2]: no such element") != std::string::npos);
  CHECK(nlohmann::json::parse(summary_json(none, history::kNone, {}))["run"].is_null());
}

}  // namespace sluice::cli
