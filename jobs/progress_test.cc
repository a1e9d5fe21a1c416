#include "jobs/progress.h"

#include <catch2/catch.hpp>

#include "base/file.h"
#include "jobs/test_support.h"

namespace sluice::jobs {

TEST_CASE("A job's step is the innermost that has begun and not ended") {
  Steps steps;
  CHECK(steps.current().empty());
  steps.note("start", "Staging dependencies");
  steps.note("status", "Something else");
  CHECK(steps.current() == "Staging dependencies");
  steps.note("success", "Staging dependencies");
  steps.note("start", "Running commands");
  steps.note("start", std::string(1000, 'x'));
  CHECK(steps.current().size() <= wire::kMostStep);
  steps.note("failure", "");
  CHECK(steps.current() == "Running commands");
  steps.note("skipped", "");
  steps.note("success", "one that never began");
  CHECK(steps.current().empty());
}

TEST_CASE("The last line of a log is what a person would see there") {
  const TestDirectory directory{0755};
  const std::string path = directory.str() + "/log";
  const auto line_of = [&](std::string_view text) {
    REQUIRE(write_file_atomic(path, text).has_value());
    return last_line(path);
  };
  CHECK(last_line(path).empty());
  CHECK(line_of("").empty());
  CHECK(line_of("\n \n\t\n").empty());
  CHECK(line_of("one\ntwo\n\n") == "two");
  CHECK(line_of("one\nno end") == "no end");
  CHECK(line_of("one\n...\n'\n") == "one");
  CHECK(line_of("one\n日本語\n--\n") == "日本語");
  CHECK(line_of("one\n+ sh -c -e 'make -j4\n'\n") == "make -j4");
  CHECK(line_of("one\n[--:--:--] START   a.bst: Build\n[00:01:02] SUCCESS a.bst: Build\n") ==
        "one");
  CHECK(line_of("[00:01:x2] two\n") == "[00:01:x2] two");
  CHECK(line_of("\x1b[31mred\x1b[0m\x07\ttab\n") == "red? tab");
  CHECK(line_of("10%\r20%\r30%") == "30%");
  CHECK(line_of("10%\r20%\r\n") == "20%");
  const std::string wide = line_of(std::string(100'000, 'y') + "\n");
  CHECK(wide.size() <= wire::kMostLine);
  CHECK(wide.starts_with("yyy"));
  CHECK(wide.ends_with("[...]"));
  CHECK(last_line(directory.str()).empty());
}

TEST_CASE("J111: only news are said, and none while nobody looks") {
  const TestDirectory directory{0755};
  const std::string path = directory.str() + "/log";
  REQUIRE(write_file_atomic(path, "a\n").has_value());
  ProgressTeller teller;
  const std::vector<ProgressTeller::Job> jobs{{{1, 1}, "Running commands", path}, {{2, 1}, "", ""}};
  CHECK_FALSE(teller.news(jobs).has_value());
  REQUIRE(teller.watch({.steps = true, .lines = false}));
  auto first = teller.news(jobs);
  REQUIRE(first.has_value());
  REQUIRE(first->jobs.size() == 2);
  CHECK(first->jobs[0].step == "Running commands");
  CHECK(first->jobs[0].line.empty());
  CHECK_FALSE(teller.news(jobs).has_value());

  REQUIRE(teller.watch({.steps = true, .lines = true}));
  auto second = teller.news(jobs);
  REQUIRE(second.has_value());
  CHECK(second->jobs[0].line == "a");
  REQUIRE(write_file_atomic(path, "a\nb\n").has_value());
  second = teller.news(jobs);
  REQUIRE(second.has_value());
  REQUIRE(second->jobs.size() == 1);
  CHECK(second->jobs[0].id == wire::JobId{1, 1});
  CHECK(second->jobs[0].line == "b");
  CHECK_FALSE(teller.watch({}));
  REQUIRE(write_file_atomic(path, "a\nb\nc\n").has_value());
  CHECK_FALSE(teller.news(jobs).has_value());
}

}  // namespace sluice::jobs
