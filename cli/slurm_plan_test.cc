#include "cli/slurm_plan.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::cli;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

SlurmJob job(std::uint64_t id, const std::string& state, std::uint64_t elapsed = 0,
             std::uint64_t limit = 0) {
  return {id, state, elapsed, limit, "node1", "None", ""};
}

// A plan and the time that goes by; each look is a second later.
struct Rig {
  explicit Rig(unsigned wanted) : plan(wanted) {}
  SlurmPlan plan;
  Duration now = seconds(1);
  std::uint64_t next = 1;
  SlurmPlan::Step look(const std::vector<SlurmJob>& jobs,
                       const std::set<std::string>& joined = {}) {
    now += seconds(1);
    return plan.look(jobs, joined, now);
  }
  std::uint64_t submit() {
    plan.submitted(next);
    return next++;
  }
};

}  // namespace

TEST_CASE("what squeue says") {
  const auto jobs = read_squeue(
      "12|RUNNING|1-02:03:04|2-00:00:00|node1|None\n"
      "13|PENDING|0:00|UNLIMITED||ReqNodeNotAvail, UnavailableNodes:a|b\n\n");
  REQUIRE(jobs);
  REQUIRE(jobs->size() == 2);
  CHECK((*jobs)[0].id == 12);
  CHECK((*jobs)[0].state == "RUNNING");
  CHECK((*jobs)[0].elapsed_s == 93784);
  CHECK((*jobs)[0].limit_s == 2 * 86400);
  CHECK((*jobs)[0].nodes == "node1");
  CHECK((*jobs)[1].limit_s == 0);
  CHECK((*jobs)[1].reason == "ReqNodeNotAvail, UnavailableNodes:a|b");
  CHECK(slurm_seconds("03:04") == 184);
  CHECK(slurm_seconds("INVALID") == 0);
  for (const char* bad : {"x|RUNNING|0:00|1:00|n|None", "12|RUNNING", "12||0:00|1:00|n|r", "error"})
    CHECK_FALSE(read_squeue(bad));
}

TEST_CASE("one job is on its way at a time, until there are as many as were wanted") {
  Rig rig(2);
  CHECK(rig.look({}).submit);
  rig.submit();
  // Slurm may not know of it yet.
  CHECK_FALSE(rig.look({}).submit);
  CHECK_FALSE(rig.look({job(1, "PENDING")}).submit);
  CHECK_FALSE(rig.look({job(1, "CONFIGURING")}).submit);
  CHECK_FALSE(rig.look({job(1, "RUNNING")}).submit);
  const auto joined = rig.look({job(1, "RUNNING")}, {"slurm-1"});
  CHECK(joined.submit);
  CHECK(joined.said == std::vector<std::string>{"Slurm job 1 on node1: its runner has joined"});
  rig.submit();
  CHECK_FALSE(rig.look({job(1, "RUNNING"), job(2, "RUNNING")}, {"slurm-1"}).submit);
  const auto both = rig.look({job(1, "RUNNING"), job(2, "RUNNING")}, {"slurm-1", "slurm-2"});
  CHECK_FALSE(both.submit);
  const auto live = rig.plan.live();
  REQUIRE(live.size() == 2);
  CHECK(live[0].id == 1);
  CHECK(live[1].id == 2);
}

TEST_CASE("a runner whose job was lost or over its walltime is replaced") {
  const auto [state, elapsed, lost] =
      GENERATE(table<std::string, int, bool>({{"NODE_FAIL", 100, true},
                                              {"FAILED", 100, true},
                                              {"OUT_OF_MEMORY", 100, true},
                                              {"TIMEOUT", 1001, false},
                                              {"COMPLETED", 950, false}}));
  Rig rig(1);
  rig.look({});
  rig.submit();
  rig.look({job(1, "RUNNING", 1, 1000)}, {"slurm-1"});
  const auto step = rig.look({job(1, state, static_cast<std::uint64_t>(elapsed), 1000)}, {});
  CAPTURE(state);
  CHECK(step.submit);
  CHECK(step.warnings.size() == (lost ? 1 : 0));
  CHECK(step.said.size() == (lost ? 0 : 1));
  CHECK_FALSE(rig.plan.over());
}

TEST_CASE("a runner that left in order, or was cancelled, is not replaced") {
  const std::string state = GENERATE("COMPLETED", "CANCELLED");
  Rig rig(1);
  rig.look({});
  rig.submit();
  rig.look({job(1, "RUNNING", 1, 1000)}, {"slurm-1"});
  const auto step = rig.look({job(1, state, 100, 1000)}, {});
  CHECK_FALSE(step.submit);
  CHECK(step.warnings.empty());
  CHECK(rig.plan.over());
}

TEST_CASE("three starts that came to nothing: a pause, that grows; a runner that joins ends it") {
  Rig rig(1);
  const auto fail_once = [&] {
    REQUIRE(rig.look({}).submit);
    const auto id = rig.submit();
    return rig.look({job(id, "FAILED", 1, 1000)});
  };
  for (const int pause : {1, 2, 4, 8, 16, 16}) {
    for (int i = 0; i < 2; ++i) {
      const auto step = fail_once();
      CHECK(step.submit);
      REQUIRE(step.warnings.size() == 1);
      CHECK(step.warnings[0].find("before its runner had joined: FAILED") != std::string::npos);
    }
    const auto third = fail_once();
    CHECK_FALSE(third.submit);
    REQUIRE(third.warnings.size() == 2);
    CHECK(third.warnings[1].find(std::to_string(pause) + " minute") != std::string::npos);
    rig.now += minutes(pause) - seconds(2);
    CHECK_FALSE(rig.look({}).submit);
    rig.now += seconds(1);
  }
  REQUIRE(rig.look({}).submit);
  const auto id = rig.submit();
  rig.look({job(id, "RUNNING")}, {slurm_runner(id)});
  rig.look({job(id, "NODE_FAIL", 10)});
  fail_once();
  fail_once();
  const auto third = fail_once();
  REQUIRE(third.warnings.size() == 2);
  CHECK(third.warnings[1].find("in 1 minute") != std::string::npos);
}

TEST_CASE("what sbatch refuses counts as a failed start") {
  Rig rig(1);
  CHECK(rig.plan.refused("no such partition", rig.now).warnings ==
        std::vector<std::string>{"sbatch: no such partition"});
  CHECK(rig.look({}).submit);
  rig.plan.refused("no", rig.now);
  CHECK(rig.plan.refused("no", rig.now).warnings.size() == 2);
  CHECK_FALSE(rig.look({}).submit);
}

TEST_CASE("a job that Slurm never shows has ended after a minute of answers, as a failed start") {
  Rig rig(1);
  rig.look({});
  const auto id = rig.submit();
  for (int i = 0; i < 59; ++i) {
    CAPTURE(i);
    const auto step = rig.look({});
    CHECK_FALSE(step.submit);
    CHECK(step.warnings.empty());
  }
  // An hour without an answer is none with it, and says little.
  SECTION("Slurm is away meanwhile") {
    Rig other(1);
    other.look({});
    other.submit();
    other.look({});
    other.now += minutes(60);
    CHECK_FALSE(other.look({}).submit);
    CHECK(other.look({}).warnings.empty());
    CHECK_FALSE(other.look({job(1, "RUNNING")}).submit);
  }
  SECTION("it is shown after all") {
    CHECK_FALSE(rig.look({job(id, "PENDING")}).submit);
    CHECK(rig.plan.live().size() == 1);
  }
  SECTION("its runner has joined all the same") {
    for (int i = 0; i < 100; ++i) CHECK_FALSE(rig.look({}, {slurm_runner(id)}).submit);
    CHECK(rig.plan.live().size() == 1);
  }
  SECTION("it isn't") {
    const auto step = rig.look({});
    CHECK(step.submit);
    REQUIRE(step.warnings.size() == 1);
    CHECK(step.warnings[0].starts_with("Slurm job 1 ended before its runner had joined: gone"));
    CHECK(rig.plan.live().empty());
  }
}

TEST_CASE("of several clusters each is asked about its own jobs") {
  const auto plain = read_sbatch("12\n");
  REQUIRE(plain);
  CHECK(plain->id == 12);
  CHECK(plain->cluster.empty());
  const auto there = read_sbatch("12;east\n");
  REQUIRE(there);
  CHECK(there->id == 12);
  CHECK(there->cluster == "east");
  for (const char* bad : {"", "east", "12 east", "x;east"}) CHECK_FALSE(read_sbatch(bad));

  Rig rig(3);
  rig.look({});
  CHECK(squeue_command("sluice-s", rig.plan.live()) ==
        std::vector<std::string>{"squeue", "--noheader", "--me", "--states=all", "--name=sluice-s",
                                 "--format=%i|%T|%M|%l|%N|%r"});
  rig.plan.submitted(12, "east");
  CHECK(squeue_command("sluice-s", rig.plan.live()).back() == "--clusters=east");
  rig.plan.submitted(13, "west");
  rig.plan.submitted(14, "east");
  CHECK(squeue_command("sluice-s", rig.plan.live()).back() == "--clusters=east,west");
  const auto seen = read_squeue(
      "CLUSTER: east\n12|RUNNING|0:10|1:00:00|node1|None\n13|FAILED|0:10|1:00:00|node1|None\n"
      "CLUSTER: west\n13|PENDING|0:00|1:00:00||Priority\n");
  REQUIRE(seen);
  CHECK(seen->at(0).cluster == "east");
  CHECK(seen->at(2).cluster == "west");
  // Another cluster's job may have the same number.
  CHECK(rig.look(*seen).warnings.empty());
  CHECK(rig.plan.live().at(1).state == "PENDING");
  using Commands = std::vector<std::vector<std::string>>;
  CHECK(scancel_commands(rig.plan.live(), {"--full"}) ==
        Commands{{"scancel", "--clusters=east", "--full", "12", "14"},
                 {"scancel", "--clusters=west", "--full", "13"}});
  CHECK(scancel_commands({job(1, "RUNNING"), job(2, "PENDING")}, {}) ==
        Commands{{"scancel", "1", "2"}});
  CHECK(scancel_commands({}, {"--full"}).empty());
}

TEST_CASE("a job that Slurm has forgotten has ended") {
  Rig rig(1);
  rig.look({});
  rig.submit();
  rig.look({job(1, "RUNNING", 100, 1000)}, {"slurm-1"});
  const auto step = rig.look({}, {});
  CHECK(step.submit);
  CHECK(step.warnings == std::vector<std::string>{"Slurm job 1 on node1 was lost: gone"});
}
