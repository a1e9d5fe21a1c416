// A session of 400 elements (tests/support/long_session.h), replayed in each style on terminals of
// several sizes, and what was seen there at some moments compared with files that were approved.
#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include "renderer/ci.h"
#include "renderer/renderer.h"
#include "renderer/test_support.h"
#include "tests/support/long_session.h"
#include "tests/support/vt100.h"

namespace sluice::renderer {

namespace {

using namespace std::chrono_literals;
using sluice::testing::long_session;
using sluice::testing::Moment;
using sluice::testing::Vt100;

const std::string kGolden = SLUICE_SOURCE_DIR "/tests/golden/renderer/";

const std::vector<Moment>& session() {
  static const std::vector<Moment> kSession = long_session();
  return kSession;
}

CalmSettings calm_settings() {
  CalmSettings calm;
  calm.terminal = true;
  return calm;
}

std::unique_ptr<Renderer> make(const std::string& style, Sink& sink, const Clock& clock,
                               Size size) {
  CalmSettings calm = calm_settings();
  if (style == "calm") return make_calm(sink, clock, calm, {size, false, true});
  if (style == "ascii") {
    calm.pen.unicode = false;
    return make_calm(sink, clock, calm, {size, false, false});
  }
  if (style == "colors") {
    calm.pen.paint.colors = calm.pen.links = true;
    return make_calm(sink, clock, calm, {size, true, false});
  }
  if (style == "reader") {
    calm.spoken = true;
    return make_calm_lines(sink, clock, calm, 60s);
  }
  if (style == "quiet") {
    calm.quiet = true;
    return make_calm_lines(sink, clock, calm, 60s);
  }
  if (style == "github" || style == "gitlab") {
    CiSettings ci;
    ci.github = style == "github";
    ci.token = "0123456789abcdef";
    return make_ci(sink, clock, calm, ci, 60s);
  }
  LineSettings lines;
  lines.terminal = true;
  if (style == "tty") return make_tty(sink, clock, Lines::create(lines).value(), {size, false});
  return make_plain(sink, clock, Lines::create(lines).value(), 60s);
}

// A line's end as a terminal's driver has it.
std::string with_returns(const std::string& lines) {
  std::string out;
  for (const char c : lines) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

struct Replayed {
  explicit Replayed(Size size) : terminal(size.columns, size.rows) {}
  Vt100 terminal;
  std::size_t bytes = 0, writes = 0, most_in_a_second = 0;
  std::string screens;  // at the moments
};

// Hands the session over as it went, time passing; `at`: parts of it after which the screen is
// noted. Of the first `recalled` part of it there are only memories.
Replayed replay(const std::string& style, Size size, const std::vector<double>& at = {},
                double recalled = 0) {
  FakeClock clock;
  TestSink sink;
  Replayed out(size);
  const auto renderer = make(style, sink, clock, size);
  const Duration begin = clock.monotonic(), length = session().back().at;
  std::size_t fed = 0, next = 0;
  std::vector<Duration> times;
  const auto poll = [&] {
    REQUIRE(renderer->poll());
    for (; fed < sink.writes.size(); ++fed) {
      out.terminal.feed(renderer->draws() ? sink.writes[fed] : with_returns(sink.writes[fed]));
      out.bytes += sink.writes[fed].size();
      times.push_back(clock.monotonic());
    }
    INFO(out.terminal.error());
    REQUIRE(out.terminal.error().empty());
  };
  const auto pass = [&](Duration until) {
    while (clock.monotonic() < until) {
      poll();
      clock.advance(std::min<Duration>(100ms, until - clock.monotonic()));
    }
    poll();
  };
  const auto note = [&](double part) {
    out.screens += fmt::format("==== {}x{}, after {:.0f} %\n", size.columns, size.rows, part * 100);
    for (const auto& row : out.terminal.screen()) out.screens += row + "|\n";
  };
  for (const auto& moment : session()) {
    if (moment.at < std::chrono::duration_cast<Duration>(length * recalled)) {
      if (!moment.live) renderer->recall(moment.packed);
      continue;
    }
    while (next < at.size() &&
           moment.at > std::chrono::duration_cast<Duration>(length * at[next])) {
      pass(begin + std::chrono::duration_cast<Duration>(length * at[next]));
      note(at[next++]);
    }
    pass(begin + moment.at);
    moment.live ? renderer->live(moment.packed) : void(renderer->record(moment.packed));
  }
  renderer->finish();
  poll();
  REQUIRE(renderer->done());
  note(1);
  out.writes = sink.writes.size();
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::size_t j = i;
    while (j < times.size() && times[j] < times[i] + 1s) ++j;
    out.most_in_a_second = std::max(out.most_in_a_second, j - i);
  }
  return out;
}

constexpr Size kSizes[] = {{40, 10}, {80, 24}, {200, 60}};

}  // namespace

TEST_CASE("a session of 400 elements, in each style and on terminals of each size") {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  const std::string style =
      GENERATE("calm", "ascii", "tty", "plain", "reader", "quiet", "github", "gitlab");
  INFO(style);
  const bool draws = style == "calm" || style == "ascii" || style == "tty";
  std::string screens;
  for (const Size size : kSizes)
    screens +=
        replay(style, size, draws ? std::vector{0.02, 0.3, 0.8} : std::vector<double>{}).screens;
  check_golden(kGolden + "session." + style + ".txt", screens);
}

TEST_CASE("who comes late says at the end what there is to say of the whole session") {
  const std::string style =
      GENERATE("calm", "ascii", "tty", "plain", "reader", "quiet", "github", "gitlab");
  INFO(style);
  // From the line of the summary on that comes first.
  const auto end_of = [](const Replayed& replayed) {
    std::string end;
    for (const std::string_view row : split_lines(replayed.screens)) {
      const bool begins = row.find("build failed in") != std::string_view::npos ||
                          row.find("build has failed") != std::string_view::npos ||
                          row.find("Pipeline Summary") != std::string_view::npos;
      if ((begins || !end.empty()) && row != "|\n") end += row;
    }
    return end;
  };
  const Size size{200, 60};
  const Replayed whole = replay(style, size), late = replay(style, size, {}, 0.95);
  CHECK(late.bytes < whole.bytes / 2 + 10'000);
  CHECK_FALSE(end_of(whole).empty());
  CHECK(first_difference(end_of(late), end_of(whole)) == "");
}

TEST_CASE("the calm style says a session in a tenth of what BuildStream's lines take") {
  const Replayed calm = replay("colors", {80, 24}), tty = replay("tty", {80, 24});
  const std::size_t elements = 400;
  INFO(calm.bytes / elements << " and " << tty.bytes / elements << " bytes an element");
  CHECK(calm.most_in_a_second <= 10);
  CHECK(calm.bytes < tty.bytes);
  CHECK(calm.terminal.links().size() >= 2);
  CHECK(!calm.terminal.synchronized());
}

}  // namespace sluice::renderer
