// The jobs protocol with runners of other machines: they have a store of their own, drain, leave
// and come back, and what waits at one is handed to another (spec/jobs.md, J78, J80 to J99).
#include "tests/model/setups.h"

using namespace sluice::search;

TEST_CASE("a runner of another machine") {
  holds(far(one_job()));
  holds(far(chain()));
  holds(far(pair()));
  holds(far(one_job()).allow(Fault::kTransferFails, 2));
  holds(far(chain()).allow(Fault::kTransferFails).allow(Fault::kSchedulerDies));
  holds(far(chain()).allow(Fault::kTransferFails).allow(Fault::kRunnerDies));
  holds(far(one_job()).allow(Fault::kJobFails).allow(Fault::kTransferFails));
  holds(far(pair()).allow(Fault::kDisconnects));
  holds(far(one_job()).allow(Fault::kSilence));
}

TEST_CASE("the user suspends, kills and ends what runs on another machine") {
  holds(far(pair()).allow(Fault::kUserSuspends));
  holds(far(one_job()).allow(Fault::kUserSuspends).allow(Fault::kUserKills));
  holds(far(pair()).allow(Fault::kUserQuits).allow(Fault::kTerminated));
  holds(far(pair()).allow(Fault::kUserKills).allow(Fault::kTerminated));
  holds(far(one_job()).allow(Fault::kUserEnds).allow(Fault::kTerminated));
}

TEST_CASE("a runner drains, leaves and comes back") {
  holds(far(one_job()).allow(Fault::kTerminated, 2));
  holds(far(pair()).allow(Fault::kTerminated));
  holds(far(pair()).allow(Fault::kTerminated).allow(Fault::kDisconnects));
  holds(far(pair()).allow(Fault::kTerminated).allow(Fault::kDuplicate));
  holds(far(one_job()).allow(Fault::kTerminated).allow(Fault::kEarlyBeat, 2));
  holds(far(one_job()).allow(Fault::kTerminated).allow(Fault::kRunnerDies));
  holds(far(pair()).allow(Fault::kTerminated).allow(Fault::kSchedulerDies));
}

TEST_CASE("an operator sends a runner away") {
  holds(far(pair()).allow(Fault::kDrainRunner));
  holds(far(pair()).allow(Fault::kDrainRunner).allow(Fault::kDisconnects));
  holds(far(one_job()).allow(Fault::kDrainRunner).allow(Fault::kSchedulerDies));
  holds(far(pair()).allow(Fault::kStopRunner));
  holds(far(one_job()).allow(Fault::kStopRunner).allow(Fault::kDisconnects));
  holds(far(one_job()).allow(Fault::kStopRunner).allow(Fault::kSchedulerDies));
  holds(far(one_job()).allow(Fault::kDrainRunner).allow(Fault::kStopRunner));
}

TEST_CASE("a scheduler that was started again waits for runners of other machines") {
  holds(far(one_job()).allow(Fault::kSchedulerDies, 2));
  holds(far(pair()).allow(Fault::kSchedulerDies));
  holds(far(one_job()).allow(Fault::kSchedulerDies).allow(Fault::kRunnerDies));
  holds(far(one_job()).allow(Fault::kSchedulerDies).allow(Fault::kDisconnects));
  holds(far(one_job()).allow(Fault::kSchedulerDies).allow(Fault::kGivesUp));
}

TEST_CASE("two machines") {
  holds(far(one_job(), 2).allow(Fault::kTerminated));
  holds(far(one_job(), 2).allow(Fault::kStopRunner));
  holds(far(one_job(), 2).allow(Fault::kRunnerDies));
  holds(far(one_job(), 2).allow(Fault::kTransferFails));
  holds(far(one_job(), 2).allow(Fault::kSchedulerDies));
  holds(far(one_job(), 2).allow(Fault::kSilence));
}

TEST_CASE("a runner of the session's own, and one of another machine") {
  holds(near_and_far(one_job()));
  holds(near_and_far(one_job()).allow(Fault::kTerminated));
  holds(near_and_far(pair()));
}

TEST_CASE("what waits at a runner is handed to another") {
  holds(far(pair(), 2));
  holds(far(pair(), 2).allow(Fault::kTerminated));
  holds(far(pair(), 2).allow(Fault::kDisconnects));
  holds(far(pair(), 2).allow(Fault::kSchedulerDies));
}

TEST_CASE("each fault of another machine once") {
  holds(far(one_job())
            .allow(Fault::kSchedulerDies)
            .allow(Fault::kRunnerDies)
            .allow(Fault::kDisconnects)
            .allow(Fault::kTerminated));
  holds(far(one_job())
            .allow(Fault::kSchedulerDies)
            .allow(Fault::kTransferFails)
            .allow(Fault::kStopRunner));
}

// ---- That the search would see it ------------------------------------------------

TEST_CASE("with a hand-over that takes what has started") {
  is_found(far(pair(), 2), Mutation::kStartedHandedOver, "was ended to be handed over");
}

TEST_CASE("with a hand-over of which nothing is said") {
  is_found(far(pair(), 2), Mutation::kHandOverUnsaid, "and isn't there");
}

TEST_CASE("with a DRAIN that doesn't say what is given back") {
  is_found(far(pair()).allow(Fault::kTerminated), Mutation::kReturnedUnsaid, "and isn't there");
}

TEST_CASE("with a HELLO that doesn't say that its runner drains") {
  is_found(far(one_job()).allow(Fault::kTerminated).allow(Fault::kDisconnects),
           Mutation::kRestUnsaid, "rests and is given a job");
}

TEST_CASE("with a runner that leaves before its results are taken") {
  is_found(far(one_job()).allow(Fault::kTerminated), Mutation::kLeavesEarly, "and is lost");
}

TEST_CASE("with a scheduler that waits no longer for other machines than for its own") {
  is_found(far(one_job()).allow(Fault::kSchedulerDies), Mutation::kNoPatience,
           "had ended well and is lost");
}
