// `check` jobs: what is built once more, in real sandboxes, beside what is cached.
#include <catch2/catch.hpp>

#include "jobs/test_support.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

Outcome check(World& world, JobStart job) {
  job.job.action = model::Action::kCheck;
  job.job.id.job = world.next_job++;
  return run(job);
}

}  // namespace

TEST_CASE("J103: a check says which files aren't the same, and leaves the artifact as it is") {
  World world;
  const JobStart job =
      world.manual({"mkdir -p /buildstream-install/d",
                    "cat /proc/sys/kernel/random/uuid > /buildstream-install/d/uuid",
                    "echo same > /buildstream-install/same"});
  const Outcome built = run(job);
  REQUIRE(built.result.status == model::Outcome::kSuccess);
  const Outcome checked = check(world, job);
  INFO(checked.log);
  CHECK(checked.result.status == model::Outcome::kFailure);
  REQUIRE(checked.result.error);
  CHECK(checked.result.error->reason == "not-reproducible");
  CHECK(checked.result.error->message ==
        "Not reproducible: 1 file is different when it is built again");
  CHECK(has(checked.result.error->detail, "~ d/uuid: content from byte "));
  CHECK_FALSE(has(checked.result.error->detail, "same:"));
  CHECK(has(checked.log, "~ d/uuid: content from byte "));
  CHECK_FALSE(checked.result.artifact);
  const auto cached = store::Artifacts(*world.cas).lookup("test", "element.bst", job.job.keys.full);
  REQUIRE(cached);
  REQUIRE(*cached);
  CHECK((*cached)->files == built.result.artifact->files);
}

TEST_CASE(
    "J103: a check of what comes out the same succeeds; nothing to compare with is an error") {
  World world;
  const JobStart job =
      world.manual({"mkdir -p /buildstream-install", "echo same > /buildstream-install/same"});
  const Outcome early = check(world, job);
  CHECK(early.result.status == model::Outcome::kError);
  CHECK(early.result.error->reason == "missing-artifact");
  REQUIRE(run(job).result.status == model::Outcome::kSuccess);
  const Outcome checked = check(world, job);
  INFO(checked.log);
  CHECK(checked.result.status == model::Outcome::kSuccess);
  CHECK(has(checked.log, "Comparing with the cached artifact"));
}
