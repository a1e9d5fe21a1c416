// The tty style against an emulated terminal and a clock that the test turns.
#include <random>

#include <fmt/format.h>

#include "renderer/renderer.h"
#include "renderer/screen.h"
#include "renderer/status_area.h"
#include "renderer/test_support.h"
#include "tests/support/vt100.h"

namespace sluice::renderer {

namespace {

using namespace std::chrono_literals;
using sluice::testing::Vt100;

constexpr std::int64_t kSecondNs = 1'000'000'000;

nlohmann::json queue(const char* name, int waiting, int processed, int failed) {
  return {{"name", name},           {"waiting", waiting}, {"active", 1},
          {"processed", processed}, {"skipped", 3},       {"failed", failed}};
}

nlohmann::json active_job(const std::string& element, std::int64_t seconds, int id) {
  return {{"element", element},
          {"key", "01234567"},
          {"action", "build"},
          {"job", id},
          {"elapsed", seconds * kSecondNs},
          {"runner", "runner-1"}};
}

nlohmann::json status(std::int64_t elapsed_seconds, std::vector<nlohmann::json> jobs,
                      const char* state = "active") {
  const auto total = jobs.size();
  return {{"v", 1},
          {"type", "status"},
          {"time", 0},
          {"session",
           {{"id", "s"},
            {"project", "fdsdk"},
            {"verb", "build"},
            {"started", 0},
            {"elapsed", elapsed_seconds * kSecondNs},
            {"state", state}}},
          {"run",
           {{"number", 1}, {"verb", "build"}, {"elapsed", 0}, {"elements", 143}, {"total", 387}}},
          {"queues", {queue("Fetch", 0, 117, 0), queue("Build", 118, 24, 1)}},
          {"cache", {{"used", 4509715660}, {"quota", 68719476736}}},
          {"active", {{"jobs", jobs}, {"total", total}}}};
}

std::string message(const std::string& text) {
  return packed({{"v", 1}, {"type", "message"}, {"time", 0}, {"level", "info"}, {"text", text}});
}

// What the line of message(text) is.
std::string shown(const std::string& text) {
  return "[--:--:--][        ][    main:core activity                 ] INFO    " + text;
}

// A tty renderer on an emulated terminal.
struct Bench {
  explicit Bench(unsigned columns = 80, unsigned rows = 24, bool reflow = true, bool colors = true)
      : terminal(columns, rows, reflow) {
    LineSettings settings;
    settings.colors = colors;
    settings.terminal = true;
    renderer = make_tty(sink, clock, Lines::create(settings).value(), {{columns, rows}, colors});
  }

  // Time passes in steps of `step`, poll() is called as it asks to be, and the terminal gets what
  // was written.
  void run(Duration time, Duration step = 10ms) {
    const Duration until = clock.monotonic() + time;
    for (;;) {
      poll();
      if (clock.monotonic() >= until) return;
      clock.advance(std::min(step, until - clock.monotonic()));
    }
  }
  void poll() {
    const auto polled = renderer->poll();
    REQUIRE(polled);
    wait = *polled;
    for (; fed < sink.writes.size(); ++fed) {
      terminal.feed(sink.writes[fed]);
      times.push_back(clock.monotonic());
    }
    INFO(terminal.error());
    REQUIRE(terminal.error().empty());
  }
  void resize(unsigned columns, unsigned rows) {
    terminal.resize(columns, rows);
    renderer->resize({columns, rows});
  }
  std::size_t most_in_a_second() const {
    std::size_t most = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
      std::size_t j = i;
      while (j < times.size() && times[j] < times[i] + 1s) ++j;
      most = std::max(most, j - i);
    }
    return most;
  }

  FakeClock clock;
  TestSink sink;
  Vt100 terminal;
  std::unique_ptr<Renderer> renderer;
  std::optional<Duration> wait;
  std::size_t fed = 0;
  std::vector<Duration> times;  // of the writes
};

}  // namespace

TEST_CASE("the status area stands below the lines") {
  Bench bench;
  bench.renderer->record(message("one"));
  bench.renderer->live(packed(status(
      72, {active_job("components/gcc.bst", 31, 1), active_job("components/jq.bst", 2, 2)})));
  bench.run(100ms);
  const auto screen = bench.terminal.screen();
  CHECK(screen[0] == shown("one"));
  CHECK(screen[1] ==
        "========================== 00:01:12 fdsdk (143/387) ==========================");
  CHECK(screen[2] == "            (Sources Fetched:117 3 0)→ (Built:24 3 1, 118 waiting)");
  CHECK(screen[3] == "                     ~~~~~~ cache: 4.2G / 64G (6%) ~~~~~~");
  CHECK(screen[4] == "[00:00:31][build:components/gcc.bst] [00:00:02][build:components/jq.bst]");
  CHECK(bench.terminal.cursor_row() == 5);
  CHECK(bench.terminal.cursor_column() == 0);
  CHECK(bench.sink.writes.size() == 1);

  SECTION("on a narrower one the jobs don't fit beside each other") {
    bench.resize(72, 24);
    bench.run(100ms);
    const auto lines = bench.terminal.lines();
    REQUIRE(lines.size() == 6);
    CHECK(lines[4] == "[00:00:31][build:components/gcc.bst]");
    CHECK(lines[5] == "[00:00:02][build:components/jq.bst ]");
  }
  SECTION("the end takes it away and leaves the lines") {
    bench.renderer->record(message("two"));
    bench.renderer->finish();
    bench.poll();  // at once
    CHECK(bench.renderer->done());
    CHECK(bench.sink.writes.size() == 2);
    CHECK(bench.terminal.text() == shown("one") + "\n" + shown("two") + "\n");
    CHECK(bench.terminal.cursor_row() == 2);
  }
}

TEST_CASE("J73: what waits for a runner is said in the status area, as long as it does") {
  Bench bench;
  auto waiting = status(10, {});
  waiting["text"] = "a.bst waits for a runner: linux/aarch64 \x1b[2J";
  bench.renderer->live(packed(waiting));
  bench.run(1s);
  CHECK(bench.terminal.text().find("a.bst waits for a runner: linux/aarch64") != std::string::npos);
  bench.renderer->live(packed(status(11, {})));
  bench.run(1s);
  CHECK(bench.terminal.text().find("waits for a runner") == std::string::npos);
}

TEST_CASE("what becomes of runners is a line like others") {
  Bench bench(160);
  bench.renderer->record(packed({{"v", 1},
                                 {"type", "runner.quarantined"},
                                 {"time", 0},
                                 {"level", "warn"},
                                 {"text", "Runner b gets no more jobs"},
                                 {"detail", "its first 3 jobs ended in errors"},
                                 {"runner", {{"name", "b"}, {"host", "h"}}}}));
  bench.run(1s);
  CHECK(bench.terminal.text().find("WARNING Runner b gets no more jobs") != std::string::npos);
  CHECK(bench.terminal.text().find("its first 3 jobs ended in errors") != std::string::npos);
}

TEST_CASE("times go on between events, once a second, but not in a pause") {
  Bench bench;
  bench.renderer->live(packed(status(59, {active_job("a.bst", 5, 1)})));
  bench.run(100ms);
  const std::size_t before = bench.sink.writes.size();
  bench.run(3s);
  CHECK(bench.sink.writes.size() == before + 3);
  CHECK(bench.terminal.screen()[0].find(" 00:01:02 ") != std::string::npos);
  CHECK(bench.terminal.screen()[3] == "[00:00:08][build:a.bst]");

  bench.renderer->live(packed(status(62, {active_job("a.bst", 8, 1)}, "suspended")));
  bench.run(200ms);
  const std::size_t paused = bench.sink.writes.size();
  bench.run(100s, 100ms);
  CHECK(bench.sink.writes.size() == paused);
  CHECK(!bench.wait);  // it would not even wake
  CHECK(bench.terminal.screen()[0].find(" 00:01:02 fdsdk (143/387) suspended ") !=
        std::string::npos);
  CHECK(bench.terminal.screen()[3] == "[00:00:08][build:a.bst]");
}

TEST_CASE("a scheduler that says nothing is told of") {
  Bench bench;
  bench.renderer->live(packed(status(10, {})));
  bench.run(4s);
  CHECK(bench.terminal.screen()[0].find("no news") == std::string::npos);
  bench.run(4s);
  CHECK(bench.terminal.screen()[0].find("no news for 8 s") != std::string::npos);
}

TEST_CASE("only what has changed is written") {
  Bench bench(120, 24, true, false);
  bench.renderer->live(packed(status(72, {active_job("components/gcc.bst", 31, 1)})));
  bench.run(100ms);
  auto next = status(72, {active_job("components/gcc.bst", 32, 1)});
  bench.renderer->live(packed(next));
  bench.run(100ms);
  REQUIRE(bench.sink.writes.size() == 2);
  CHECK(bench.sink.writes[1] == "\x1b[1A\r[00:00:32][build:components/gcc.bst]\x1b[K\x1b[1B\r");
  bench.renderer->live(packed(next));  // nothing is new
  bench.run(100ms);
  CHECK(bench.sink.writes.size() == 2);
}

TEST_CASE("at most ten frames a second, one write each, whatever happens") {
  Bench bench;
  for (int i = 0; i < 500; ++i) {
    bench.renderer->record(message(fmt::format("message {}", i)));
    bench.renderer->live(packed(status(i / 100, {active_job(fmt::format("e{}.bst", i), i, i)})));
    if (i % 50 == 0) bench.resize(80 + static_cast<unsigned>(i % 7), 24);
    bench.run(10ms, 1ms);
  }
  CHECK(bench.most_in_a_second() <= 10);
  CHECK(bench.sink.writes.size() >= 45);  // and it is not idle either
  CHECK(bench.renderer->writes() == bench.sink.writes.size());
  bench.run(100ms);
  // No line was lost or twice.
  const auto lines = bench.terminal.lines();
  for (std::size_t i = 0; i < 500; ++i) REQUIRE(lines[i] == shown(fmt::format("message {}", i)));
  CHECK(lines.size() == 504);
}

TEST_CASE("a terminal that accepts nothing costs a bounded amount of memory") {
  Bench bench;
  bench.renderer->live(packed(status(1, {active_job("first.bst", 1, 1)})));
  bench.run(100ms);
  bench.sink.room = 40;  // a part of a frame
  std::size_t handed_over = 0;
  for (int i = 0; i < 100'000 && !bench.renderer->full(); ++i, ++handed_over) {
    bench.renderer->record(message(fmt::format("message {}", i)));
    bench.renderer->live(packed(status(i, {active_job("newest.bst", i, 1)})));
    bench.run(20ms, 20ms);
  }
  CHECK(bench.renderer->full());
  CHECK(handed_over < 20'000);
  CHECK(handed_over > 1'000);
  CHECK(bench.renderer->blocked());
  CHECK(!bench.renderer->drained());
  const std::size_t writes = bench.sink.writes.size();
  bench.run(10s);
  CHECK(bench.sink.writes.size() == writes);

  bench.sink.room = static_cast<std::size_t>(-1);
  bench.run(1s);
  CHECK(!bench.renderer->full());
  CHECK(bench.renderer->drained());
  const auto lines = bench.terminal.lines();
  REQUIRE(lines.size() == handed_over + 4);
  for (std::size_t i = 0; i < handed_over; ++i)
    REQUIRE(lines[i] == shown(fmt::format("message {}", i)));
  CHECK(lines.back().find("newest.bst") != std::string::npos);
}

TEST_CASE("the first status shows everything to who comes late") {
  Bench bench;
  for (int i = 0; i < 2000; ++i) bench.renderer->record(message(fmt::format("old {}", i)));
  bench.renderer->live(packed(status(7200, {active_job("a.bst", 600, 1)})));
  bench.run(100ms);
  CHECK(bench.sink.writes.size() == 1);
  CHECK(bench.terminal.text().find("02:00:00 fdsdk") != std::string::npos);
  CHECK(bench.terminal.text().find("[00:10:00][build:a.bst]") != std::string::npos);
  CHECK(bench.terminal.text().find("old 1999") != std::string::npos);
}

TEST_CASE("after a resize the screen is right") {
  const bool reflow = GENERATE(true, false);
  const unsigned columns = GENERATE(200u, 81u, 79u, 40u, 20u, 7u, 2u);
  const unsigned rows = GENERATE(50u, 24u, 9u, 6u, 4u);
  INFO(columns << "x" << rows << (reflow ? " reflow" : ""));
  Bench bench(80, 24, reflow);
  for (int i = 0; i < 12; ++i) bench.renderer->record(message(fmt::format("m{}", i)));
  const auto last =
      packed(status(72, {active_job("components/größe.bst", 31, 1), active_job("日本/語.bst", 2, 2),
                         active_job("c.bst", 3, 3)}));
  bench.renderer->live(last);
  bench.run(100ms);
  bench.resize(columns, rows);
  bench.run(100ms);

  const auto event = wire::decode_event(last);
  REQUIRE(event);
  const auto expected = status_rows(*event, Duration::zero(), {columns, rows}, Painter{});
  const auto screen = bench.terminal.screen();
  REQUIRE(bench.terminal.cursor_row() >= expected.size());
  const std::size_t first = bench.terminal.cursor_row() - expected.size();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::string row = expected[i].bytes;
    while (row.ends_with(' ')) row.pop_back();
    CHECK(screen[first + i] == row);
    CHECK(expected[i].width < columns);
  }
  // Nothing of the old area is left, in sight or above, and with reflow all lines are there.
  for (std::size_t i = bench.terminal.cursor_row(); i < screen.size(); ++i)
    CHECK(screen[i].empty());
  // An area that was higher than the terminal has become went up with its front.
  if (rows >= 9 && columns >= 40) {
    const auto lines = bench.terminal.lines();
    std::size_t heads = 0, messages = 0;
    for (const auto& line : lines) {
      if (line.find("===") != std::string::npos) ++heads;
      if (line.find("INFO    m") != std::string::npos) ++messages;
    }
    CHECK(heads == 1);
    if (reflow) CHECK(messages == 12);
  }
}

TEST_CASE("resized again before it was drawn") {
  Bench bench;
  for (int i = 0; i < 3; ++i) bench.renderer->record(message(fmt::format("m{}", i)));
  bench.renderer->live(packed(status(72, {active_job("a.bst", 31, 1)})));
  bench.run(100ms);
  for (const unsigned columns : {60u, 41u, 77u, 33u, 80u}) {
    bench.resize(columns, 24);
    bench.run(5ms);
  }
  bench.run(200ms);
  CHECK(bench.terminal.screen()[2] == shown("m2"));
  CHECK(bench.terminal.screen()[3].find(" 00:01:12 ") != std::string::npos);
  CHECK(bench.terminal.screen()[6] == "[00:00:31][build:a.bst]");
  CHECK(bench.terminal.screen()[7].empty());
}

TEST_CASE("more jobs than rows") {
  Bench bench(60, 10);
  std::vector<nlohmann::json> jobs;
  for (int i = 0; i < 64; ++i)
    jobs.push_back(active_job(fmt::format("a-rather-long-name-{}.bst", i), i, i));
  auto event = status(5, jobs);
  event["active"]["total"] = 1000;
  bench.renderer->live(packed(event));
  bench.run(100ms);
  const auto screen = bench.terminal.screen();
  CHECK(screen[3] == "[00:00:00][build:a-rather-long-name-0.bst ]");
  CHECK(screen[7] == "... and 996 more");
  CHECK(bench.terminal.cursor_row() == 8);
  CHECK(bench.terminal.lines().size() == 8);  // nothing scrolled
}

TEST_CASE("what is stopped by the terminal leaves it clean and comes back") {
  Bench bench;
  bench.renderer->record(message("one"));
  bench.renderer->live(packed(status(5, {active_job("a.bst", 1, 1)})));
  bench.run(100ms);
  bench.renderer->record(message("two"));
  bench.renderer->leave_screen();
  bench.poll();
  CHECK(bench.terminal.text() == shown("one") + "\n" + shown("two") + "\n");
  bench.terminal.feed("[1]+ Stopped\r\n$ fg\r\nsluice build\r\n");
  bench.renderer->enter_screen();
  bench.run(200ms);
  const auto screen = bench.terminal.screen();
  CHECK(screen[4] == "sluice build");
  CHECK(screen[5].find("fdsdk") != std::string::npos);
  CHECK(screen[8].find("a.bst") != std::string::npos);
}

TEST_CASE("texts that would steer the terminal are shown, not obeyed") {
  Bench bench(80, 24);
  auto evil = status(5, {active_job("\x1b[2J\x1b[Hevil\n\t.bst", 1, 1)});
  evil["session"]["project"] = "pro\x1b]0;x\ajekt\r";
  bench.renderer->live(packed(evil));
  bench.renderer->record(message("one\x1b[2Jtwo\rthree"));
  bench.renderer->record(packed({{"v", 1},
                                 {"type", "job.message"},
                                 {"time", 0},
                                 {"level", "failure"},
                                 {"text", "t"},
                                 {"detail", "d\x1b[1;1H\n\x07"},
                                 {"element",
                                  {{"project", "p"},
                                   {"name", "n\x1b[5m.bst"},
                                   {"kind", "k"},
                                   {"key", "\x1b[m"},
                                   {"brief", "\x1b[m"},
                                   {"strict", true},
                                   {"state", ""}}}}));
  bench.run(100ms);  // poll() fails on escapes that aren't ours
  CHECK(bench.terminal.lines()[0] == shown("onetwo?three"));
  CHECK(bench.terminal.text().find("[build:evil  .bst]") != std::string::npos);
  bench.renderer->record("\xc1 no MessagePack");
  bench.renderer->live("\xc1 neither");
  bench.run(200ms);
  CHECK(bench.terminal.text().find("could not be decoded") != std::string::npos);
}

TEST_CASE("any sequence of frames leaves what was asked for") {
  std::mt19937 random(GENERATE(1u, 2u, 3u, 4u, 5u, 6u));
  const auto pick = [&](unsigned least, unsigned most) {
    return std::uniform_int_distribution<unsigned>(least, most)(random);
  };
  const auto word = [&](std::size_t width) {
    std::string out;
    while (display_width(out) < width)
      out += display_width(out) + 2 <= width && pick(0, 3) == 0 ? "語"
             : pick(0, 5) == 0                                  ? "ü"
                               : std::string(1, static_cast<char>('a' + pick(0, 25)));
    return out;
  };
  unsigned columns = pick(10, 60), height = pick(6, 20);
  Vt100 terminal(columns, height);
  Screen screen(columns, height, GENERATE(false, true));
  std::vector<std::string> written;
  std::vector<Row> rows;
  for (int frame = 0; frame < 300; ++frame) {
    std::string lines;
    for (unsigned i = pick(0, 9) < 4 ? pick(0, 4) : 0; i > 0; --i) {
      written.push_back(word(pick(1, columns * 3)));
      lines += written.back() + "\n";
    }
    if (pick(0, 3) == 0) rows.resize(pick(0, height - 2));
    for (auto& row : rows) {
      if (pick(0, 2) != 0 && !row.bytes.empty() && row.width < columns) continue;
      const std::size_t width = pick(1, columns - 1);
      if (pick(0, 1) == 0 || row.width < 3 || row.width >= columns) {
        row = {word(width), width};
      } else {
        // A part of it changes, perhaps with a style.
        std::string text = truncate(row.bytes, row.width - 1);
        text.resize(text.size() - std::string_view("…").size());
        text += word(1);
        row = {text, display_width(text)};
      }
    }
    terminal.feed(screen.frame(lines, rows));
    REQUIRE(terminal.error() == "");
    REQUIRE(!terminal.synchronized());
    auto expected = written;
    for (const auto& row : rows) expected.push_back(row.bytes);
    REQUIRE(terminal.lines() == expected);
    REQUIRE(terminal.cursor_column() == 0);
    if (pick(0, 19) == 0) {
      columns = pick(10, 60);
      terminal.resize(columns, height);
      screen.resize(columns, height);
      // What of the block went out of sight can't be taken back: stay below that.
      std::size_t high = 0;
      for (auto& row : rows) high += (row.width + columns - 1) / columns;
      if (high >= height) break;
    }
  }
}

}  // namespace sluice::renderer
