// The calm style's area, lines and frames, one case at a time; a whole session is in
// session_test.cc.

#include <fmt/format.h>

#include "base/workflow.h"
#include "renderer/calm_area.h"
#include "renderer/ci.h"
#include "renderer/heartbeat.h"
#include "renderer/renderer.h"
#include "renderer/test_support.h"
#include "tests/support/test_directory.h"
#include "tests/support/vt100.h"

namespace sluice::renderer {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using sluice::testing::Vt100;

constexpr std::int64_t kSecond = 1'000'000'000;

json active_job(const std::string& element, std::int64_t seconds, int id) {
  return {{"element", element},           {"key", "01234567"},   {"action", "build"}, {"job", id},
          {"elapsed", seconds * kSecond}, {"runner", "runner-1"}};
}

json status(std::vector<json> jobs, unsigned done = 10, unsigned failed = 0) {
  const auto total = jobs.size();
  return {{"v", 1},
          {"type", "status"},
          {"time", 0},
          {"session",
           {{"id", "s"},
            {"project", "p"},
            {"verb", "build"},
            {"started", 0},
            {"elapsed", 72 * kSecond},
            {"state", "active"}}},
          {"run", {{"number", 1}, {"verb", "build"}, {"elapsed", 72 * kSecond}, {"elements", 40}}},
          {"progress", {{"elements", 40}, {"done", done}, {"failed", failed}}},
          {"active", {{"jobs", jobs}, {"total", total}}}};
}

json started() {
  return {{"v", 1},
          {"type", "run.started"},
          {"time", 0},
          {"run", {{"number", 1}, {"verb", "build"}, {"elapsed", 0}, {"elements", 40}}}};
}

json finished_job(const std::string& element, const std::string& outcome = "success",
                  const std::string& action = "build") {
  return {{"v", 1},
          {"type", "job.finished"},
          {"time", 0},
          {"outcome", outcome},
          {"run",
           {{"number", 1}, {"verb", "build"}, {"elapsed", 0}, {"elements", 40}, {"position", 3}}},
          {"element",
           {{"project", "p"},
            {"name", element},
            {"kind", "k"},
            {"key", ""},
            {"brief", ""},
            {"strict", true},
            {"state", ""}}},
          {"job",
           {{"id", 1},
            {"action", action},
            {"attempt", 1},
            {"runner", "r"},
            {"host", "h"},
            {"slot", 0},
            {"started", 0},
            {"elapsed", 12 * kSecond},
            {"log_file", "/logs/p/a b/x.log"}}}};
}

// The calm style on an emulated terminal, with a clock that the test turns.
struct Bench {
  explicit Bench(unsigned columns = 80, unsigned rows = 24, CalmSettings calm = terminal_settings())
      : terminal(columns, rows) {
    renderer = make_calm(sink, clock, calm, {{columns, rows}, false, true});
  }
  static CalmSettings terminal_settings() {
    CalmSettings calm;
    calm.terminal = true;
    return calm;
  }
  void run(Duration time) {
    const Duration until = clock.monotonic() + time;
    for (;;) {
      poll();
      if (clock.monotonic() >= until) return;
      clock.advance(std::min<Duration>(10ms, until - clock.monotonic()));
    }
  }
  void poll() {
    REQUIRE(renderer->poll());
    for (; fed < sink.writes.size(); ++fed) terminal.feed(sink.writes[fed]);
    INFO(terminal.error());
    REQUIRE(terminal.error().empty());
  }
  void resize(unsigned columns, unsigned rows) {
    terminal.resize(columns, rows);
    renderer->resize({columns, rows});
  }

  FakeClock clock;
  TestSink sink;
  Vt100 terminal;
  std::unique_ptr<Renderer> renderer;
  std::size_t fed = 0;
};

std::string lines_of(CalmSettings settings, const std::vector<json>& events) {
  FakeClock clock;
  TestSink sink;
  const auto renderer = make_calm_lines(sink, clock, settings, Duration::zero());
  for (const auto& event : events) renderer->record(packed(event));
  REQUIRE(renderer->poll());
  return sink.all();
}

std::string ci_lines(bool github, const std::vector<json>& events, const std::string& summary = "",
                     CalmSettings calm = {}) {
  FakeClock clock;
  TestSink sink;
  CiSettings ci;
  ci.github = github;
  ci.token = "TOKEN";
  ci.summary = summary;
  calm.terminal = true;
  const auto renderer = make_ci(sink, clock, calm, ci, Duration::zero());
  for (const auto& event : events) renderer->record(packed(event));
  REQUIRE(renderer->poll());
  return sink.all();
}

}  // namespace

TEST_CASE("a frame is one write in synchronized output, and of a row only what differs") {
  Bench bench;
  bench.renderer->record(packed(started()));
  bench.renderer->live(packed(status({active_job("gcc.bst", 100, 1)})));
  bench.run(100ms);
  CHECK(bench.sink.writes.size() == 1);
  CHECK(bench.terminal.frames() == 1);
  CHECK(bench.terminal.progress() == "1;25");
  CHECK(bench.terminal.screen()[1] == "• gcc.bst  1m40s");
  bench.run(1s);
  REQUIRE(bench.sink.writes.size() == 2);
  CHECK(bench.sink.writes[1].size() < 60);  // two clocks
  CHECK(bench.terminal.screen()[1] == "• gcc.bst  1m41s");

  SECTION("a line is put above it, and the area isn't written again") {
    bench.renderer->record(packed(finished_job("binutils.bst")));
    bench.run(100ms);
    CHECK(bench.terminal.screen()[0] == "✔ binutils.bst  12s");
    CHECK(bench.terminal.screen()[2] == "• gcc.bst  1m41s");
    CHECK(bench.sink.writes.back().size() < 80);
  }
  SECTION("in the background there are lines alone") {
    bench.renderer->hide(true);
    bench.run(100ms);
    CHECK(bench.terminal.text().empty());
    CHECK(bench.terminal.progress() == "0;0");
    const std::size_t writes = bench.sink.writes.size();
    bench.run(5s);
    CHECK(bench.sink.writes.size() == writes);
    bench.renderer->record(packed(finished_job("binutils.bst")));
    bench.run(100ms);
    CHECK(bench.terminal.screen()[0] == "✔ binutils.bst  12s");
    CHECK(bench.terminal.screen()[1].empty());
    bench.renderer->hide(false);
    bench.run(100ms);
    CHECK(bench.terminal.screen()[2] == "• gcc.bst  1m46s");
  }
  SECTION("the end leaves the lines, and no progress") {
    bench.renderer->finish();
    bench.poll();
    CHECK(bench.terminal.text().empty());
    CHECK(bench.terminal.progress() == "0;0");
    CHECK_FALSE(bench.terminal.synchronized());
  }
  SECTION("what fails is an error of the progress, and a row") {
    bench.renderer->record(packed(finished_job("bad.bst", "failure")));
    bench.renderer->live(packed(status({active_job("gcc.bst", 101, 1)}, 10, 1)));
    bench.run(200ms);
    CHECK(bench.terminal.progress() == "2;27");
    CHECK(bench.terminal.text().find("✘ 1 failed: bad.bst") != std::string::npos);
  }
  SECTION("a suspended session's clocks stand still") {
    auto suspended = status({active_job("gcc.bst", 101, 1)});
    suspended["session"]["state"] = "suspended";
    bench.renderer->live(packed(suspended));
    bench.run(200ms);
    const std::size_t writes = bench.sink.writes.size();
    bench.run(20s);
    CHECK(bench.sink.writes.size() == writes);
    CHECK(bench.terminal.text().find("suspended") != std::string::npos);
  }
}

TEST_CASE("what jobs write waits for the next second, a job that starts doesn't") {
  Bench bench;
  bench.renderer->record(packed(started()));
  auto event = status({active_job("gcc.bst", 100, 1)});
  bench.renderer->live(packed(event));
  bench.run(100ms);
  std::size_t writes = bench.sink.writes.size();
  for (int i = 0; i < 8; ++i) {
    event["active"]["jobs"][0]["line"] = fmt::format("line {}", i);
    bench.renderer->live(packed(event));
    bench.run(100ms);
  }
  CHECK(bench.sink.writes.size() == writes);
  bench.run(200ms);
  CHECK(bench.sink.writes.size() == writes + 1);
  CHECK(bench.terminal.text().find("line 7") != std::string::npos);
  bench.renderer->live(packed(status({active_job("gcc.bst", 101, 1), active_job("a.bst", 0, 2)})));
  bench.run(110ms);
  CHECK(bench.terminal.text().find("• a.bst") != std::string::npos);
}

TEST_CASE("a job keeps its row, and the area its height") {
  Bench bench;
  bench.renderer->record(packed(started()));
  bench.renderer->live(packed(status(
      {active_job("a.bst", 30, 1), active_job("b.bst", 20, 2), active_job("c.bst", 10, 3)})));
  bench.run(100ms);
  CHECK(bench.terminal.screen()[2] == "• b.bst    20s");
  const std::size_t bottom = bench.terminal.cursor_row();
  bench.renderer->live(packed(status({active_job("b.bst", 21, 2), active_job("d.bst", 0, 4)})));
  bench.run(100ms);
  CHECK(bench.terminal.screen()[1] == "• d.bst     0s");
  CHECK(bench.terminal.screen()[2] == "• b.bst    21s");
  CHECK(bench.terminal.screen()[3].empty());
  CHECK(bench.terminal.cursor_row() == bottom);
}

TEST_CASE("of more jobs than rows the critical ones come first, then those that run longest") {
  Bench bench(80, 10);
  bench.renderer->record(packed(started()));
  std::vector<json> jobs;
  for (int i = 0; i < 30; ++i)
    jobs.push_back(active_job(fmt::format("e{}.bst", i), 100 - i, i + 1));
  jobs[20]["critical"] = true;
  jobs[20]["expected"] = 90 * kSecond;
  bench.renderer->live(packed(status(jobs)));
  bench.run(100ms);
  const auto screen = bench.terminal.screen();
  CHECK(screen[1] == "◆ e20.bst  1m20s/1m30s  critical");
  CHECK(screen[2] == "• e0.bst   1m40s");
  CHECK(bench.terminal.text().find("30 running") != std::string::npos);
  CHECK(bench.terminal.cursor_row() == 5);
}

TEST_CASE("the area has no more rows than the terminal gives it, and comes back right") {
  const unsigned columns = GENERATE(200u, 80u, 40u, 13u, 5u);
  const unsigned rows = GENERATE(60u, 24u, 10u, 5u, 3u, 2u);
  INFO(columns << "x" << rows);
  Bench bench(80, 24);
  bench.renderer->record(packed(started()));
  std::vector<json> jobs;
  for (int i = 0; i < 12; ++i)
    jobs.push_back(active_job(fmt::format("folder/日本語-e\xcc\x81lement-{}.bst", i), i, i + 1));
  bench.renderer->live(packed(status(jobs, 10, 2)));
  bench.renderer->hint("!1 of 2 failures  a.bst failed\t![c]ontinue [q]uit");
  bench.run(100ms);
  bench.resize(columns, rows);
  bench.run(1s);
  CHECK(bench.terminal.cursor_column() == 0);
  const std::size_t height = bench.terminal.cursor_row();
  CHECK(height < rows);
  if (rows == 60) CHECK(height <= 24);
  // The question is there whatever is not.
  if (rows >= 5 && columns >= 40)
    CHECK(bench.terminal.text().find("[c]ontinue") != std::string::npos);
}

TEST_CASE("a question is wrapped where it is longer than a row, and help has room") {
  Bench bench(40, 10);
  bench.renderer->record(packed(started()));
  bench.renderer->live(packed(status({active_job("a.bst", 1, 1)})));
  bench.renderer->hint(
      "!1 of 3 failures  bash.bst failed: Command failed\t"
      "![c]ontinue [q]uit [t]erminate [r]etry [l]og [s]hell [n]ext");
  bench.run(100ms);
  const std::string text = bench.terminal.text();
  CHECK(text.find("1 of 3 failures  bash.bst failed:\n") != std::string::npos);
  CHECK(text.find("[n]ext") != std::string::npos);
  CHECK(text.find("10/40") != std::string::npos);
  CHECK(text.find('!') == std::string::npos);
  bench.renderer->hint("");
  bench.run(100ms);
  CHECK(bench.terminal.text().find("[c]ontinue") == std::string::npos);
}

TEST_CASE("a session that says no progress and no estimate is shown all the same") {
  Bench bench;
  auto old = status({active_job("gcc.bst", 100, 1)});
  old.erase("progress");
  old["queues"] = {{{"name", "Fetch"},
                    {"waiting", 0},
                    {"active", 2},
                    {"processed", 3},
                    {"skipped", 0},
                    {"failed", 0}},
                   {{"name", "Build"},
                    {"waiting", 28},
                    {"active", 1},
                    {"processed", 4},
                    {"skipped", 6},
                    {"failed", 0}}};
  bench.renderer->live(packed(old));
  bench.run(100ms);
  CHECK(bench.terminal.text().find(" 10/40  1m12s") != std::string::npos);
  CHECK(bench.terminal.text().find("28 waiting · ↓ 2") != std::string::npos);
}

TEST_CASE("texts that would steer the terminal are shown, not obeyed, in lines and links too") {
  CalmSettings calm = Bench::terminal_settings();
  calm.pen.links = true;
  Bench bench(80, 24, calm);
  bench.renderer->record(packed(started()));
  auto evil = active_job("\x1b[2J\x1b[Hevil\n\t.bst", 1, 1);
  evil["line"] =
      "\x1b]0;x\a\x1b[5mline\x9b"
      "31m";
  evil["step"] = "\x1b[H";
  bench.renderer->live(packed(status({evil})));
  auto bad = finished_job("n\x1b[5m.bst", "failure");
  bad["text"] = "w\x1b[1;1Hhy\x07";
  bad["job"]["log_file"] = "/logs/\x1b\\evil\a";
  bench.renderer->record(packed(bad));
  bench.renderer->hint("!what\x1b[2J");
  bench.run(200ms);  // poll() fails on escapes that aren't ours
  CHECK(bench.terminal.text().find("✘ n.bst  build failed after 12s: why?") != std::string::npos);
  REQUIRE(bench.terminal.links().size() == 1);
  CHECK(bench.terminal.links()[0].first == "log");
  CHECK(bench.terminal.links()[0].second.ends_with("/logs/%1B%5Cevil%07"));
  bench.renderer->record("\xc1 no MessagePack");
  bench.renderer->live("\xc1 neither");
  bench.run(200ms);
  CHECK(bench.terminal.text().find("could not be decoded") != std::string::npos);
}

TEST_CASE("transfers are gathered, what is cached isn't said") {
  CalmSettings settings;
  std::vector<json> events{started()};
  json& elements = events[0]["elements"] = json::array();
  int id = 0;
  const auto add = [&](const std::string& name, const std::string& outcome,
                       const std::string& action) -> json& {
    events.push_back(finished_job(name, outcome, action));
    events.back()["job"]["id"] = ++id;
    return events.back();
  };
  for (int i = 0; i < 50; ++i) {
    const auto time = i < 40 ? 0 : 20 * kSecond;
    json& pulled = add(fmt::format("p{}.bst", i), "success", "pull");
    pulled["origin"] = "pulled";
    pulled["time"] = time;
    add(fmt::format("f{}.bst", i), "success", "fetch")["time"] = time;
    add(fmt::format("c{}.bst", i), "skipped", "pull")["element"]["state"] = "cached";
  }
  // f0.bst and its like have been pulled before, of the 800 cached ones not all were worked on.
  for (int i = 0; i < 800; ++i) {
    elements.push_back(finished_job(i < 50 ? fmt::format("f{}.bst", i) : fmt::format("{}.bst", i),
                                    "success", "build")["element"]);
    elements.back()["state"] = "cached";
  }
  events.push_back(
      {{"v", 1},
       {"type", "run.finished"},
       {"time", 21 * kSecond},
       {"outcome", "success"},
       {"run", {{"number", 1}, {"verb", "build"}, {"elapsed", 21 * kSecond}, {"elements", 800}}},
       {"progress", {{"elements", 800}, {"done", 800}, {"cached", 750}, {"pulled", 50}}}});
  CHECK(lines_of(settings, events) ==
        "↓ 40 pulled  p0.bst, p1.bst, p2.bst, …\n"
        "↓ 10 pulled  p40.bst, p41.bst, p42.bst, …\n"
        "✔ build succeeded in 21s: 50 pulled, 750 cached\n"
        "  slowest: p0.bst (pull) 12s, f0.bst (fetch) 12s, c0.bst (pull) 12s\n");
  settings.pen.unicode = false;
  CHECK(lines_of(settings, {started(), finished_job("größe.bst")}) == "ok gr??e.bst  12s\n");
  settings.quiet = true;
  CHECK(lines_of(settings, events) == "ok build succeeded in 21s: 50 pulled, 750 cached\n");
}

TEST_CASE("sentences for a screen reader") {
  CalmSettings settings;
  settings.spoken = true;
  auto bad = finished_job("bad.bst", "failure");
  bad["text"] = "Command failed";
  CHECK(lines_of(settings, {started(), finished_job("gcc.bst"), bad}) ==
        "The build of 40 elements begins.\n"
        "Built gcc.bst in 12 seconds.\n"
        "bad.bst has failed in its build, after 12 seconds: Command failed.\n");
}

TEST_CASE("after a silence it is asked what runs, and said") {
  FakeClock clock;
  Heartbeat heartbeat(clock, 60s);
  CHECK_FALSE(heartbeat.due());
  heartbeat.record(*wire::decode_event(packed(started())), false);
  CHECK(heartbeat.topic().empty());
  REQUIRE(heartbeat.due());
  CHECK(*heartbeat.due() == 60s);
  const auto running = packed(status({active_job("gcc.bst", 723, 1), active_job("b.bst", 2, 2),
                                      active_job("c.bst", 1, 3), active_job("d.bst", 1, 4)}));
  CHECK(heartbeat.live(running).empty());
  clock.advance(60s);
  CHECK(heartbeat.topic() == "status/");
  CHECK(heartbeat.live(running) ==
        "Still building: gcc.bst 12m03s, b.bst 2.0s, c.bst 1.0s and 1 more, 10 of 40 done");
  CHECK(heartbeat.topic().empty());
  CHECK(heartbeat.live(running).empty());
  clock.advance(60s);
  CHECK(heartbeat.live(packed(status({active_job("gcc.bst", 723, 1)})), true) ==
        "Still building: gcc.bst for 12 minutes 3 seconds, 10 of 40 done");
  // What is written otherwise is a sign of life too, and a run that is over needs none.
  clock.advance(59s);
  heartbeat.record(*wire::decode_event(packed(finished_job("a.bst"))), true);
  clock.advance(30s);
  CHECK(heartbeat.topic().empty());
  heartbeat.record(*wire::decode_event(packed({{"v", 1}, {"type", "run.finished"}, {"time", 0}})),
                   true);
  clock.advance(100s);
  CHECK(heartbeat.topic().empty());
  CHECK_FALSE(heartbeat.due());
}

TEST_CASE("GitHub: an element's log is a group, and nothing of it is a command") {
  auto done = finished_job("a\n::set-env name=A::b.bst");
  done["log_tail"] =
      "cc -c x.c\n::set-env name=PATH::/evil\n  ::add-path::/evil\n\xc2\xa0::error::no\n"
      "text ##[set-env name=A]b\n::endgroup::\n::TOKEN ::\n";
  const std::string out = ci_lines(true, {started(), done});
  CHECK(out ==
        "::group::✔ a ::set-env name=A::b.bst (12s)\n"
        "::stop-commands::TOKEN\n"
        "cc -c x.c\n::set-env name=PATH::/evil\n  ::add-path::/evil\n\xc2\xa0::error::no\n"
        "text ##[set-env name=A]b\n::endgroup::\n::TOKEN ::\n"
        "::TOKEN::\n"
        "::endgroup::\n");
  done["log_tail"] = "cc -c x.c\n";
  done["element"]["name"] = "a##[x].bst";
  CHECK(ci_lines(true, {started(), done}) ==
        "::group::✔ a## [x].bst (12s)\ncc -c x.c\n::endgroup::\n");
}

TEST_CASE("GitHub: failures and errors are annotations, warnings too") {
  // What isn't there has no place.
  const TestDirectory made;
  const std::string directory = made.str();
  made.write("x,y.bst", "kind: stack\n");
  auto bad = finished_job("bad.bst", "failure");
  bad["text"] = "Command\nfailed 100%";
  json error{{"v", 1},
             {"type", "error"},
             {"time", 0},
             {"text", "Error loading project"},
             {"error",
              {{"scope", "main"},
               {"domain", "load"},
               {"reason", "invalid-data"},
               {"message", "Unexpected key: a"},
               {"file", directory + "/x,y.bst"},
               {"line", 3},
               {"column", 2}}}};
  json end{{"v", 1},
           {"type", "run.finished"},
           {"time", 0},
           {"outcome", "failure"},
           {"run", {{"number", 1}, {"verb", "build"}, {"elapsed", kSecond}, {"elements", 40}}},
           {"failures",
            {{{"element", bad["element"]},
              {"job", bad["job"]},
              {"text", "Command\nfailed 100%"},
              {"log_tail", "::warning::no\n``` | <b>\n"}}}}};
  char name[] = "/tmp/sluice-summary-XXXXXX";
  const int fd = ::mkstemp(name);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "before\n", 7) == 7);
  ::close(fd);
  const std::string out = ci_lines(true, {started(), bad, error, end}, name);
  CHECK(out.find("::error file=" + directory +
                 "/x%2Cy.bst,line=3,col=3,title=Error loading project::Unexpected key: a\n") !=
        std::string::npos);
  CHECK(out.find("✘ bad.bst  build failed after 12s: Command failed 100%\n") != std::string::npos);
  CHECK(
      out.ends_with("::error title=bad.bst%3A build failed::Command%0Afailed "
                    "100%25%0A::warning::no%0A``` | <b>\n"));
  // The log is open, and its commands are none.
  CHECK(out.find("::stop-commands::TOKEN\n") < out.find("::warning::no\n"));
  CHECK(out.find("::group::") == std::string::npos);
  const auto summary = read_file(name);
  REQUIRE(summary);
  CHECK(summary->starts_with("before\n### sluice build: failed after 1.0s\n"));
  CHECK(summary->find("| bad\\.bst | build | 12s | Command failed 100% |\n") != std::string::npos);
  CHECK(summary->find("````text\n::warning::no\n``` | <b>\n````\n") != std::string::npos);
  // One that is larger than 1 MiB would be none.
  json many = json::array();
  for (int i = 0; i < 300; ++i) {
    many.push_back(end["failures"][0]);
    many.back()["text"] = std::string(50'000, 'x');
    many.back()["log_tail"] = std::string(100'000, 'y') + "last\n";
  }
  end["failures"] = many;
  REQUIRE(::truncate(name, 0) == 0);
  ci_lines(true, {started(), bad, end}, name);
  const auto large = read_file(name);
  REQUIRE(large);
  CHECK(large->size() < 1 << 20);
  CHECK(large->find("ylast\n") != std::string::npos);
  ::unlink(name);
}

TEST_CASE("GitLab: an element's log is a section of its own") {
  auto done = finished_job("folder/größe:x.bst");
  done["job"]["started"] = 100 * kSecond;
  done["time"] = 112 * kSecond;
  done["log_tail"] = "cc\n\x1b[0Ksection_start:1:evil\r\x1b[0Kno\n";
  CHECK(ci_lines(false, {started(), done}) ==
        "\x1b[0Ksection_start:100:sluice_1_folder_gr____e_x.bst[collapsed=true]\r\x1b[0K"
        "✔ folder/größe:x.bst (12s)\n"
        "cc\nsection_start:1:evil?no\n"
        "\x1b[0Ksection_end:112:sluice_1_folder_gr____e_x.bst\r\x1b[0K\n");
}

}  // namespace sluice::renderer
