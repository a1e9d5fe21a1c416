// The jobs protocol as a world of which every state can be visited: the real scheduler::Core, the
// real jobs::Runner, and between and around them what may go wrong. See README.md for what is
// modelled how.
//
// Everything lives in the SnapshotHeap. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "jobs/runner.h"
#include "scheduler/core.h"
#include "scheduler/test_world.h"

namespace sluice::search {

// What happens only as often as a setup allows. All of them leave the protocol a way to go on.
enum class Fault : std::uint8_t {
  kSchedulerDies,
  kRunnerDies,
  kJobDies,      // a job's process ends by itself
  kJobFails,     // the element fails; the failure is cached
  kDisconnects,  // both directions are lost, but for what a DEALER keeps
  kSilence,      // a runner is stopped for longer than a lease
  kDuplicate,    // what a runner said comes twice
  // a runner beats although the scheduler has not read its last words: one of them was stopped
  kEarlyBeat,
  kUserEnds,
  kUserKills,
  kUserQuits,
  kUserSuspends,
  kCount,
};

// What the protocol is robbed of, to see that the search would see it.
enum class Mutation : std::uint8_t {
  kNone,
  kNoFence,     // J28: a result counts for whatever attempt of its job is current
  kNoOutbox,    // J26: a result is forgotten once it was sent
  kOutboxDies,  // J26: the outbox dies with its runner
  kAckFirst,    // J27: a result is acknowledged before the journal has it
  // J28: a result is written to the journal whether its attempt has ended already or not
  kNoDedup,
  kLateUnanswered,  // J11, J60: a HELLO to a session that is ending or has ended gets no answer
};

struct Setup {
  std::vector<scheduler::ElementSpec> elements;
  std::vector<std::string> targets;
  unsigned runners = 1;
  std::uint32_t builders = 1;
  // artifacts are looked for on another machine, which has none, and pushed to it
  bool caches = false;
  std::array<std::uint8_t, static_cast<std::size_t>(Fault::kCount)> faults{};
  Mutation mutation = Mutation::kNone;

  Setup& allow(Fault fault, unsigned times = 1) {
    faults[static_cast<std::size_t>(fault)] = static_cast<std::uint8_t>(times);
    return *this;
  }
};

enum class Kind : std::uint8_t {
  kStartScheduler,
  kStartRunner,
  kToScheduler,  // the scheduler reads what a runner said
  kToRunner,
  kDeathNotice,  // the scheduler hears from the supervisor that a runner died
  kJobDone,
  kJobKilled,     // a job that was told to end does
  kAcknowledged,  // the broker has a runner's records
  kBeat,
  kTime,         // longer than a lease, while all who live beat
  kCommandEnds,  // the command ends the session, since its run is over
  kResume,
  kSupervisorEnds,  // a runner is told that the session is over, by him who started it
  kFault,
};

struct Action {
  Kind kind{};
  Fault fault{};  // kFault
  std::uint8_t runner = 0;
  // of its jobs; kDisconnects, kRunnerDies: 1: the scheduler has what was said to it
  std::uint8_t which = 0;
  std::string str() const;
};

class World;

// A runner's process with its sockets.
class Host final : public jobs::RunnerOutputs {
 public:
  Host(World& world, unsigned number)
      : world_(world), name(number == 0 ? "runner" : "runner-" + std::to_string(number + 1)) {}

  void send(std::string_view name, std::string body) override;
  std::uint64_t publish(std::string_view, std::string, std::string_view) override { return ++published; }
  std::uint64_t acknowledged() const override { return acknowledged_upto; }
  Status start(const jobs::JobStart& start) override;
  void cancel(const wire::JobId& id, Duration) override;
  Result<std::string> scratch_root(const std::string&) override { return "/scratch"; }
  Status freeze() override {
    frozen = true;
    return {};
  }
  void thaw() override { frozen = false; }

 private:
  World& world_;

 public:
  struct Message {
    std::string name, body;
  };
  struct Process {
    wire::Job job;
    bool cancelled = false;
  };
  const std::string name;
  std::unique_ptr<jobs::Runner> runner;  // none: the process is dead
  std::uint64_t epoch = 0;
  std::deque<Message> to_scheduler, to_runner;
  std::map<wire::JobId, Process> processes;
  std::vector<wire::JobResult> disk;  // its outbox, while it is dead
  std::uint64_t published = 0, acknowledged_upto = 0;
  bool frozen = false;
  bool death_notice = false;
  bool over = false;  // it has ended, as it was told
};

class World final : public scheduler::Outputs {
 public:
  explicit World(const Setup& setup, const std::string& snapshot_file);

  std::vector<Action> actions() const;
  void apply(const Action& action);
  // All that decides what may follow, as text.
  std::string state() const;
  // Nothing is to happen any more: the session ended, its runners too.
  bool finished() const;
  // "" unless what has happened must not.
  const std::string& violation() const { return violation_; }

  // scheduler::Outputs
  Status journal(const std::vector<std::string_view>& records) override;
  void publish(std::string_view type, std::string packed, std::uint64_t ordinal) override;
  void send(const std::string& runner, std::string_view name, std::string body) override;
  void start_runner() override { runner_wanted_ = true; }

 private:
  friend class Host;
  void act(const Action& action);
  void start_scheduler();
  void start(Host& host);
  void deliver_to_scheduler(Host& host);
  void deliver_to_runner(Host& host);
  void beat(Host& host, bool heard);
  void pass_a_lease(const Host* silent);
  // none: its process died
  void end_job(Host& host, const wire::JobId& id, std::optional<model::Outcome> status);
  void look_for_end(Host& host);
  void fault(const Action& action);
  std::uint8_t& budget(Fault fault) { return setup_.faults[static_cast<std::size_t>(fault)]; }
  std::uint8_t budget(Fault fault) const { return setup_.faults[static_cast<std::size_t>(fault)]; }
  void wrong(std::string what);

  Setup setup_;
  FakeClock clock_;
  scheduler::FakeStore store_;
  std::vector<std::string> journal_;
  std::unique_ptr<scheduler::Core> core_;  // none: the process is dead
  std::uint64_t epoch_ = 0;
  bool runner_wanted_ = false;
  bool ending_ = false;     // the supervisor was told
  std::string outcome_;     // of the run
  bool disturbed_ = false;  // the user stopped it, or an element failed
  bool answering_hello_ = false;
  std::string model_at_death_;  // of the scheduler: what the next one makes of the journal
  std::vector<std::unique_ptr<Host>> hosts_;
  using Work = std::pair<std::uint32_t, std::string>;  // an element in a queue
  std::map<std::uint64_t, Work> work_of_;              // by job
  std::set<Work> applied_;                             // of which a result counted
  std::set<wire::JobId> ended_well_;                   // attempts whose process did its work
  // given and neither lost nor ended, by the journal
  std::set<wire::JobId> open_;
  bool silence_ = false;  // a runner is stopped just now
  std::string violation_;
};

}  // namespace sluice::search
