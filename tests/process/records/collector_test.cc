// examples/collector.py against a real broker that is killed while it reads:
// spec/records.md can be followed from another language in a page of code.
#include <csignal>

#include <fcntl.h>
#include <poll.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "tests/support/mini_session.h"
#include "wire/events.h"
#include "wire/record_publisher.h"

using namespace sluice;
using namespace sluice::wire;
using namespace std::chrono_literals;
using sluice::testing::MiniSession;
using sluice::testing::run_until;

TEST_CASE(
    "the collector prints every finished job once, through restarts of the broker (R1, R4, R24, "
    "R25)") {
  const std::string session_argument = GENERATE("given", "newest");
  CAPTURE(session_argument);
  MiniSession session;
  session.start_broker();
  Context context;
  Reactor reactor;
  auto publisher = RecordPublisher::create(
      context, reactor,
      {session.endpoint("records"), session.hello("records/1", "scheduler", "scheduler")});
  REQUIRE(publisher.has_value());
  constexpr int kJobs = 3000;
  int made = 0;
  std::string expected;
  const auto publish_one = [&] {
    ++made;
    ElementSection element;
    element.name = fmt::format("element-{}.bst", made);
    JobSection job;
    job.id = static_cast<std::uint64_t>(made);
    job.action = "build";
    const std::string sections[] = {pack_section("element", element), pack_section("job", job)};
    (*publisher)
        ->publish("job.started",
                  pack_event({.type = "job.started", .time = made}, {sections[0], sections[1]}));
    (*publisher)
        ->publish("job.finished",
                  pack_event({.type = "job.finished", .time = made, .outcome = "success"},
                             {sections[0], sections[1]}));
    expected += fmt::format("{} element-{}.bst build success\n", 2 * made, made);
  };
  // Some records are there before the collector comes.
  for (int i = 0; i < kJobs / 3; ++i) publish_one();
  REQUIRE(run_until(reactor, [&] { return (*publisher)->acknowledged() == (*publisher)->last(); }));

  const std::string output = session.directory() + "/collected";
  UniqueFd file(::open(output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  SpawnOptions options;
  options.argv = {fmt::format("{}/examples/collector.py", SLUICE_SOURCE_DIR)};
  if (session_argument == "given") options.argv.push_back(session.paths().id);
  options.standard_output = file.get();
  options.die_with_parent = true;
  auto collector = spawn(options);
  REQUIRE(collector.has_value());
  const auto lines = [&] {
    const std::string text = read_file(output).value();
    return std::count(text.begin(), text.end(), '\n');
  };
  REQUIRE(run_until(
      reactor, [&] { return lines() > 0; }, 60s));

  reactor.every(1ms, [&] {
    for (int i = 0; i < 5 && made < kJobs; ++i) publish_one();
  });
  for (int kills = 0; kills < 4; ++kills) {
    const int then = made + 300;
    REQUIRE(run_until(
        reactor, [&] { return made >= std::min(then, kJobs); }, 60s));
    session.kill_broker();
    session.start_broker();
  }
  REQUIRE(run_until(
      reactor,
      [&] { return made == kJobs && (*publisher)->acknowledged() == (*publisher)->last(); }, 60s));
  // Had it not caught up, the end would wait for it; 2 seconds of a loaded machine
  // are not what is tested here.
  REQUIRE(run_until(
      reactor, [&] { return lines() >= kJobs; }, 60s));
  session.say_end();
  REQUIRE(run_until(
      reactor,
      [&] {
        pollfd ended{collector->pidfd.get(), POLLIN, 0};
        return ::poll(&ended, 1, 0) == 1;
      },
      60s));
  CHECK(wait_for(*collector).code == 0);
  CHECK(session.end_broker() == 0);
  CHECK(read_file(output).value() == expected);
}
