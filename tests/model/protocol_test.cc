// spec/jobs.md as a whole: "finished once" and "never stuck", in every state that can be reached
// with the faults of each setup. README.md says what a state is.
#include "tests/model/setups.h"

using namespace sluice::search;

TEST_CASE("without faults") {
  holds(one_job());
  holds(chain());
  holds(pair());
}

TEST_CASE("the scheduler dies") {
  holds(chain().allow(Fault::kSchedulerDies, 2));
  holds(pair().allow(Fault::kSchedulerDies, 1));
}

TEST_CASE("the runner dies") {
  holds(chain().allow(Fault::kRunnerDies, 2));
  holds(pair().allow(Fault::kRunnerDies, 1));
}

TEST_CASE("both die") { holds(chain().allow(Fault::kSchedulerDies).allow(Fault::kRunnerDies)); }

TEST_CASE("connections break") {
  holds(chain().allow(Fault::kDisconnects, 2));
  holds(pair().allow(Fault::kDisconnects, 2));
  holds(chain().allow(Fault::kDisconnects).allow(Fault::kSchedulerDies));
  holds(chain().allow(Fault::kDisconnects).allow(Fault::kRunnerDies));
}

TEST_CASE("what a runner said comes twice") {
  holds(chain().allow(Fault::kDuplicate, 2));
  holds(chain().allow(Fault::kDuplicate).allow(Fault::kSchedulerDies));
}

TEST_CASE("processes are stopped for longer than a lease") {
  holds(chain().allow(Fault::kSilence, 2));
  holds(chain().allow(Fault::kEarlyBeat, 3));
  holds(chain().allow(Fault::kSilence).allow(Fault::kEarlyBeat).allow(Fault::kDisconnects));
  holds(chain().allow(Fault::kEarlyBeat, 2).allow(Fault::kSchedulerDies));
}

TEST_CASE("a job's process dies") {
  holds(pair().allow(Fault::kJobDies, 2));
  holds(chain().allow(Fault::kJobDies).allow(Fault::kRunnerDies));
}

TEST_CASE("elements fail") {
  holds(pair().allow(Fault::kJobFails).allow(Fault::kSchedulerDies).allow(Fault::kRunnerDies));
}

TEST_CASE("the session ends while runners register, jobs run, processes die") {
  holds(chain().allow(Fault::kUserEnds));
  holds(pair().allow(Fault::kUserEnds).allow(Fault::kRunnerDies));
  holds(pair().allow(Fault::kUserEnds).allow(Fault::kSchedulerDies));
  holds(pair().allow(Fault::kUserEnds).allow(Fault::kDisconnects));
}

TEST_CASE("the user kills, quits and suspends") {
  holds(pair().allow(Fault::kUserKills).allow(Fault::kRunnerDies));
  holds(pair().allow(Fault::kUserKills).allow(Fault::kSchedulerDies));
  holds(pair().allow(Fault::kUserQuits).allow(Fault::kRunnerDies));
  holds(pair().allow(Fault::kUserQuits).allow(Fault::kSchedulerDies));
  holds(chain().allow(Fault::kUserSuspends).allow(Fault::kRunnerDies));
  holds(chain().allow(Fault::kUserSuspends).allow(Fault::kSchedulerDies));
  holds(chain().allow(Fault::kUserSuspends).allow(Fault::kDisconnects));
  holds(chain().allow(Fault::kUserSuspends).allow(Fault::kUserKills));
}

TEST_CASE("what was built is pushed, also when the user quits") {
  Setup setup = one_job();
  setup.caches = true;
  holds(setup);
  holds(Setup(setup).allow(Fault::kUserQuits).allow(Fault::kRunnerDies));
  holds(Setup(setup).allow(Fault::kUserQuits).allow(Fault::kSchedulerDies));
  holds(Setup(setup).allow(Fault::kUserQuits).allow(Fault::kJobFails));
  holds(Setup(setup).allow(Fault::kUserQuits).allow(Fault::kUserKills));
}

TEST_CASE("two runners") {
  holds(with_runners(one_job(), 2).allow(Fault::kSilence));
  holds(with_runners(one_job(), 2).allow(Fault::kRunnerDies));
  holds(with_runners(one_job(), 2).allow(Fault::kSchedulerDies));
  holds(with_runners(pair(), 2));
  holds(with_runners(one_job(), 2).allow(Fault::kUserEnds).allow(Fault::kRunnerDies));
}

TEST_CASE("each fault once") {
  holds(one_job()
            .allow(Fault::kSchedulerDies)
            .allow(Fault::kRunnerDies)
            .allow(Fault::kDisconnects)
            .allow(Fault::kDuplicate));
  holds(one_job()
            .allow(Fault::kSchedulerDies)
            .allow(Fault::kRunnerDies)
            .allow(Fault::kEarlyBeat)
            .allow(Fault::kSilence));
}

// ---- That the search would see it ------------------------------------------------

TEST_CASE("without a fence") {
  is_found(chain().allow(Fault::kSilence), Mutation::kNoFence, "succeeded, but never ended");
}

TEST_CASE("without an outbox") {
  is_found(chain().allow(Fault::kDisconnects), Mutation::kNoOutbox, "had ended well and is lost");
  is_found(chain().allow(Fault::kSchedulerDies), Mutation::kNoOutbox, "had ended well and is lost");
}

TEST_CASE("with an outbox that dies with its runner") {
  is_found(chain().allow(Fault::kRunnerDies), Mutation::kOutboxDies, "had ended well and is lost");
}

TEST_CASE("with acknowledgements before the journal has the result") {
  is_found(chain().allow(Fault::kSchedulerDies), Mutation::kAckFirst, "had ended well and is lost");
}

TEST_CASE("without a look at what has ended already") {
  is_found(chain().allow(Fault::kDuplicate), Mutation::kNoDedup, "has two ends");
}

TEST_CASE("without an answer to who registers while the session ends") {
  is_found(chain().allow(Fault::kUserEnds), Mutation::kLateUnanswered, "states, the first of them");
}
