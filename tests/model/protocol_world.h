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
#include <stdexcept>
#include <string>
#include <vector>

#include "jobs/runner.h"
#include "scheduler/core.h"
#include "scheduler/test_world.h"

namespace sluice::jobs {

// A look into a runner that nobody else needs. Defined with the text of a state.
struct RunnerState {
  // All that decides what it will do, but no times.
  static std::string text(const Runner& runner);
  static std::vector<wire::JobResult> outbox(const Runner& runner);
  // Whether it has the attempt in hand: waiting, running, or ended and not acknowledged.
  static bool has(const Runner& runner, const wire::JobId& id);
  // Whether the scheduler has welcomed it on its connection, as far as it knows.
  static bool welcomed(const Runner& runner);
};

}  // namespace sluice::jobs

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

  // ---- Of runners of other machines
  kTransferFails,  // an attempt's blobs can't be had, or can't be brought home
  kTerminated,     // SIGTERM, or the end of its lifetime; the second one ends it at once
  kDrainRunner,    // an operator's, by the scheduler
  kStopRunner,     // the same, at once
  kGivesUp,        // it has heard nothing of the session for ten minutes
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
  kLateUnanswered,     // J11, J60: a HELLO to a session that is ending or has ended gets no answer
  kStartedHandedOver,  // J99: what has started is asked for, too
  kHandOverUnsaid,     // J99: a runner gives up what it was asked for, and says nothing
  kReturnedUnsaid,     // J78: DRAIN doesn't say what is given back
  kRestUnsaid,         // J78: HELLO doesn't say that its runner drains
  kLeavesEarly,        // J93: a draining runner leaves with results in its outbox
  kNoPatience,  // J96: after a restart runners of other machines have a lease, as others have
};

struct Setup {
  std::vector<scheduler::ElementSpec> elements;
  std::vector<std::string> targets;
  unsigned runners = 1;
  // How many of these, the last ones, are of other machines, each of one of its own. Whoever runs
  // them starts them at any time, and again when they are gone. With as many as runners the
  // session has none of its own, which then doesn't come although it is asked for.
  unsigned far = 0;
  std::uint32_t builders = 1;
  // The broker takes its time to acknowledge records.
  bool broker_lags = true;
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
  // a runner is told that the session is over, by him who started it, or by the broker
  kSupervisorEnds,

  // ---- Of runners of other machines
  kTransferred,  // something was fetched or brought home
  kLeaves,    // its beat, at which a runner that drains says GOODBYE, or one that was told to ends
  kGone,      // the scheduler finds that the connection of a process that has ended is gone
  kAway,      // longer than a lease, before it is connected to a scheduler that was started again
  kLongTime,  // as kTime, but longer than such a scheduler waits for them
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
  Host(World& world, unsigned number, bool is_far)
      : world_(world), far(is_far), name(is_far        ? "far-" + std::to_string(number + 1)
                                         : number == 0 ? "runner"
                                                       : "runner-" + std::to_string(number + 1)) {}

  void send(std::string_view name, std::string body) override;
  std::uint64_t publish(std::string_view, std::string, std::string_view) override;
  std::uint64_t acknowledged() const override { return acknowledged_upto; }
  Status start(const jobs::JobStart& start) override;
  void cancel(const wire::JobId& id, Duration) override;
  Result<std::string> scratch_root(const std::string&) override { return "/scratch"; }
  Status freeze() override {
    frozen = true;
    return {};
  }
  void thaw() override { frozen = false; }
  void fetch(const wire::JobId& id, std::vector<wire::JobInput>) override;
  void prefetch(const wire::JobId& id, std::vector<wire::JobInput>) override;
  void upload(const wire::JobId& id, std::string, std::string) override;
  void cancel_transfers(const wire::JobId& id) override;

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
  const bool far;
  bool stopped = false;  // the operator has told a process of it to leave at once
  const std::string name;
  std::unique_ptr<jobs::Runner> runner;  // none: the process is dead
  std::uint64_t epoch = 0;
  std::deque<Message> to_scheduler, to_runner;
  std::map<wire::JobId, Process> processes;
  std::set<std::pair<wire::JobId, wire::HelperVerb>> transfers;
  std::vector<wire::JobResult> disk;  // its outbox, while it is dead
  std::uint64_t published = 0, acknowledged_upto = 0;
  bool frozen = false;
  bool death_notice = false;
  bool over = false;        // it has ended, as it was told
  bool leaving = false;     // it ends, whatever the session does
  std::uint64_t rests = 0;  // the epoch of which the scheduler knows that it is to be given nothing
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
  // `silent` is stopped meanwhile; `away` isn't connected.
  void pass(int steps, const Host* silent, const Host* away = nullptr);
  // none: its process died
  void end_job(Host& host, const wire::JobId& id, std::optional<model::Outcome> status);
  void look_for_end(Host& host);
  void fault(const Action& action);

  // ---- protocol_far.cc: runners of other machines
  void far_actions(unsigned n, std::vector<Action>& out) const;
  void act_far(const Action& action);
  void fault_far(const Action& action);
  void end_transfer(Host& host, unsigned which, bool fails);
  // Ends its process, when what it runs has ended.
  void leave(Host& host);
  void look_after(Host& host);
  bool wants_to_leave(const Host& host) const;
  // Whether what it had is still waited for when another lease has passed, by a scheduler that was
  // started again.
  bool awaited(const Host& host) const;
  bool awaited(const wire::JobId& id) const;
  // What comes with a message to the scheduler, and to a runner, for these.
  void note_rest(Host& host, Host::Message& message);
  void hand_over(Host& host, Host::Message& message);
  // From now on attempts in this runner's hand may be lost, since something happened to it.
  void excuse(const Host& host);
  void look_at_loss(const scheduler::AttemptLost& change);
  // What the scheduler takes to be in a runner's hand is there, when all was read.
  void look_at_hands();
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
  // Given and neither lost nor ended, by the journal.
  struct Open {
    const Host* host = nullptr;
    bool started = false;
    bool excused = false;  // when it is lost, that has a reason
  };
  std::map<wire::JobId, Open> open_;
  std::map<Work, std::map<const Host*, unsigned>> lost_at_;  // how often what had started there
  std::set<wire::JobId> returned_;                           // by the DRAIN that is read just now
  bool silence_ = false;                                     // a runner is stopped just now
  bool passing_ = false;                                     // time
  Duration restarted_{};
  std::string violation_;
};

// What one of the two said or wrote.
template <typename T>
T read(std::string_view packed) {
  auto message = wire::decode<T>(packed);
  if (!message) throw std::runtime_error(message.error().str());
  return std::move(*message);
}

// The scheduler's: what it is, without times. Leases are judged only after longer than one has
// passed, so that whether one is held is all that counts.
template <typename T>
std::string digest_of(const T& state) {
  scheduler::StateDigest digest;
  state.add_to(digest);
  return digest.str();
}

}  // namespace sluice::search
