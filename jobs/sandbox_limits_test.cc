// What a build may use of the machine: spec/sandbox.md, SHALL by SHALL, from inside of real
// sandboxes.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/process_tree.h"
#include "jobs/names.h"
#include "jobs/test_support.h"
#include "sandbox/sandbox.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

TEST_CASE("S35: what /tmp and /dev hold is bounded, in bytes and in files") {
  for (const unsigned uid : users()) {
    World world;
    world.settings.tmp_size = 1 << 20;
    const std::string fill =
        "for where in /tmp /dev/shm /dev; do if head -c 900K /dev/zero > $where/x; then echo fits; "
        "fi; rm $where/x; "
        "if head -c 1100K /dev/zero > $where/x; then echo $where too large; fi; rm $where/x; "
        "i=0; while test $i -lt 1000 && true > $where/f$i; do i=$((i + 1)); done 2>/dev/null; test "
        "$i -lt 1000 || echo $where too many; rm $where/f[0-9]*; done 2>/dev/null";
    const Outcome outcome = build(world, uid, {marked("fill", fill)});
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(between(outcome.log, "fill") == "fits\nfits\nfits\n");
  }
}

TEST_CASE("S35: without a setting it is a share of the machine's memory") {
  World world;
  world.settings.builders = 2;
  const auto share = temporary_size(world.settings);
  CHECK(share >= std::uint64_t{64} << 20);
  world.settings.builders = 1;
  CHECK(temporary_size(world.settings) >= share);
  const Outcome outcome = build(world, 0, {marked("mounts", "cat /proc/self/mountinfo")});
  const std::string mounts = between(outcome.log, "mounts");
  for (const char* place : {" /tmp ", " /dev "}) {
    const auto at = mounts.find(place);
    REQUIRE(at != std::string::npos);
    CHECK(has(mounts.substr(at, mounts.find('\n', at) - at),
              fmt::format("size={}k", temporary_size(world.settings) >> 10)));
  }
}

TEST_CASE("S36: what runs in a sandbox is killed before its job when memory runs out") {
  for (const unsigned uid : users()) {
    World world;
    const Outcome outcome = build(world, uid, {marked("score", "cat /proc/self/oom_score_adj")});
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(std::stoi(between(outcome.log, "score")) > oom_score_adj());
  }
}

TEST_CASE("S37: a build whose log grows over what the user allows is ended, and isn't cached") {
  World world;
  world.settings.max_log_size = 100'000;
  auto start = world.manual({"while :; do echo a line that is as good as any other; done"});
  const Outcome outcome = run(start);
  CHECK(outcome.result.status == model::Outcome::kError);
  REQUIRE(outcome.result.error);
  CHECK(outcome.result.error->domain == "sandbox");
  CHECK(outcome.result.error->reason == "max-log-size");
  CHECK(outcome.result.error->message ==
        "The commands were ended: their log grew over 100000 bytes (max-log-size of the user "
        "configuration)");
  // The job says it itself, too.
  CHECK(outcome.log.size() < 102'000);
  CHECK(has(outcome.log, "FAILURE [032cb35a] element.bst: The commands were ended"));
  store::Artifacts artifacts(*world.cas);
  CHECK_FALSE(artifacts.read("test", "element.bst", start.job.keys.full).value());
  CHECK(run(world.manual({"echo little"})).result.status == model::Outcome::kSuccess);
}

TEST_CASE("S37: a build that says nothing for longer than the user allows is ended") {
  World world;
  world.settings.max_silent_time = 1;
  auto start = world.manual({"trap '' TERM; echo begun; sleep 1000"});
  RunningJob job(start);
  const Outcome outcome = job.finish();
  INFO(outcome.log);
  CHECK(outcome.result.status == model::Outcome::kError);
  REQUIRE(outcome.result.error);
  CHECK(outcome.result.error->reason == "max-silent-time");
  CHECK(outcome.result.error->message ==
        "The commands were ended: they wrote nothing for 1 seconds (max-silent-time of the user "
        "configuration)");
  CHECK(has(outcome.log, "\nbegun\n"));
}
