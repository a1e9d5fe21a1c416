// The runners: who is there, which attempts each has in hand and until when they are believed to be
// (leases), and how many more it may be given (credit). What a session is doesn't depend upon it: a
// scheduler that is started again begins with the attempts of its journal, in doubt, and hears the
// rest from the runners. Rules and numbers are those of spec/jobs.md.
//
// A heartbeat costs what its runner has in hand; a judgement of the leases looks at those runners
// alone of which something may have ended, at each once in a lease as a rule; and the runner that
// has most credit is known: none depends upon how many runners or attempts there are.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/actions.h"
#include "scheduler/state_digest.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

using model::Action;
using model::kResources;
using model::Resource;

inline constexpr Duration kLease = std::chrono::seconds(10);
// How long a scheduler that was started again waits for runners of other machines that had
// attempts (J96).
inline constexpr Duration kReturn = std::chrono::seconds(60);
// How long a runner that isn't known and has nothing in hand is remembered: whoever lost his
// session comes back within ten minutes.
inline constexpr Duration kRemembered = std::chrono::minutes(15);
inline constexpr std::uint32_t kPrefill = 2;
inline constexpr std::uint32_t kBriefPrefill = 16;  // or as many as a runner has slots
// jobs that a runner does itself, one after the other
inline constexpr std::uint32_t kRunnerCapacity = 128;

// An attempt in a runner's hand.
struct Lease {
  enum class State : std::uint8_t {
    kGiven,
    kRunning,
    // Its runner died, or this scheduler was started, and nobody has said since who has it.
    kInDoubt,
  };
  wire::JobId id;
  Action action = Action::kBuild;
  State state = State::kGiven;
  bool started = false;
  bool cancelled = false;  // CANCEL was sent
  Duration until{};
};

// What a runner says of itself besides, from its last HELLO.
struct Offer {
  bool remote = false;                // it has a store of its own
  std::string machine;                // two runners of one machine say the same
  std::string platform;               // "linux/x86-64"
  std::vector<std::string> emulates;  // further platforms
  std::vector<std::string> labels;    // sorted
  std::uint32_t processors = 0;
  std::uint32_t remaining_s = 0;  // until its lifetime is over; 0: it has none
};

// A runner by its instance: one that is known, or one that isn't (any more, or yet) and has
// attempts all the same.
struct Runner {
  std::string instance;
  // It was welcomed, and is neither dead nor forgotten. What follows is from its last HELLO.
  bool known = false;
  std::string peer;  // its connection, as the link names it
  std::string host;
  std::uint64_t epoch = 0;
  std::uint64_t connection = 0;
  std::uint32_t slots = 0;
  Duration heard{};
  bool suspended = false;  // changed by set_suspended() alone
  Offer offer;
  bool resting = false;  // it is given no jobs, though it is there

  std::uint64_t ended = 0;                        // the epoch that was told to leave at once
  std::uint64_t died = 0;                         // the newest epoch that is known to be dead
  std::map<std::uint64_t, Lease> leases;          // by job
  std::array<std::uint32_t, kResources> given{};  // how many of these take it
  Duration earliest = Duration::max();            // no lease ends before
  Duration look = Duration::max();  // when it is looked at next; max: never, as nothing can end

  // Its places among those of whom credit is asked (Fleet::Ranking).
  std::array<std::uint32_t, 2 * kResources> place{};
};

// Hears what becomes of runners, while it becomes so.
class FleetWatcher {
 public:
  virtual ~FleetWatcher() = default;
  // The runner is known now; it is no more.
  virtual void appeared(Runner& runner) = 0;
  virtual void vanished(Runner& runner) = 0;
  // It has another number of jobs in hand that take the resource, or another number of slots, or is
  // resting now (or no more).
  virtual void changed(Runner& runner, Resource resource) = 0;
  // It is remembered no longer: references to it end.
  virtual void forgotten(Runner& runner) = 0;
};

// All runners of a session. One thread. References to runners hold until forget_silent().
class Fleet {
 public:
  // `patience`: how long, after a restart, runners of other machines that had attempts are waited
  // for, when that is longer than a lease.
  explicit Fleet(Duration lease, Duration patience = Duration::zero())
      : lease_(lease), patience_(std::max(lease, patience)) {}
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;
  // `watcher` must outlive the fleet, or nothing may happen to runners after it.
  void set_watcher(FleetWatcher* watcher) { watcher_ = watcher; }

  // ---- Runners. nullptr: there is none that is known.
  Runner* at(std::string_view peer);
  Runner* find(std::string_view instance);
  const Runner* find(std::string_view instance) const {
    return const_cast<Fleet*>(this)->find(instance);
  }
  std::size_t size() const { return known_.size(); }
  // How many are remembered, known or not.
  std::size_t remembered() const { return runners_.size(); }
  // The known runners, by instance.
  const std::map<std::string_view, Runner*>& known() const { return known_; }
  std::uint64_t died(const std::string& instance) const;
  // How many jobs that take the resource the session's own runners have in hand, be they known or
  // not.
  std::uint64_t given_own(Resource resource) const {
    return given_own_[static_cast<std::size_t>(resource)];
  }

  // Makes a runner known by its HELLO, at the connection `peer` and no other.
  Runner& welcome(const std::string& peer, const wire::RunnerHello& hello, Duration now);
  void set_slots(Runner& runner, std::uint32_t slots);
  // Gives a known runner no more jobs, or jobs again. What it has in hand stays there.
  void set_resting(Runner& runner, bool resting);
  // Notes that a runner was told to leave at once: what it has in hand ends with it.
  void send_away(Runner& runner) { runner.ended = runner.epoch; }
  // Whether the instance, which need not be known any more, was told so.
  bool was_sent_away(std::string_view instance) const;
  // Forgets a runner that has said goodbye; what it has in hand is still its own.
  void dismiss(Runner& runner) { lose_sight(runner); }
  void set_suspended(Runner& runner, bool suspended);
  // How many of the known ones are not suspended.
  std::size_t going() const { return going_; }
  // Notes that the connection is gone: its runner isn't known until it says HELLO at another one.
  // What it has in hand stays there, and goes on.
  void disconnect(std::string_view peer);
  // Notes that the instance's process of that epoch is dead. Its attempts are in doubt, and unless
  // a later process was welcomed the runner isn't known any more.
  void bury(const std::string& instance, std::uint64_t epoch, Duration now);
  // Forgets runners that were silent for a lease and have nothing in hand, or for longer than
  // `patience`; and drops those of which nothing was known for kRemembered.
  void forget_silent(Duration now, Duration patience);

  // ---- Leases
  void give(const wire::JobId& id, Action action, const std::string& instance, Duration now);
  // Takes up an attempt of the journal, of which this process has heard nothing yet.
  void doubt(const wire::JobId& id, Action action, bool started, const std::string& instance,
             Duration now);
  void start(const wire::JobId& id, const std::string& instance);
  void release(const wire::JobId& id, const std::string& instance);
  // The lease of an attempt; nullptr when the attempt isn't current, or not that runner's.
  Lease* current(const wire::JobId& id, Runner& runner) const;
  Lease* current(const wire::JobId& id, const std::string& instance);
  void renew(Lease& lease, Duration now) { lease.until = now + lease_; }
  // Renews all leases, since this process could hear nobody.
  void renew_all(Duration now);
  // What a heartbeat says.
  struct Heard {
    std::vector<wire::JobId> unwanted;  // not current, or cancelled
    std::vector<wire::JobId> started;   // which nobody said
  };
  Heard beat(Runner& runner, const wire::RunnerBeat& beat, Duration now);
  struct Expired {
    const Runner* runner;
    wire::JobId id;
  };
  // The attempts whose leases have ended, in the order of jobs.
  std::vector<Expired> expired(Duration now);

  // ---- Credit. `limit`: of the run and the session, for the action's resource; `set`: what
  // somebody has set it to, or 0.
  struct Credit {
    std::uint64_t together = 0;  // how many jobs all runners would do at once
    std::uint64_t given = 0;     // how many they have
    std::uint64_t more = 0;      // how many more they may have in hand
  };
  Credit credit(Action action, std::uint32_t limit, std::uint32_t set) const;
  // How many jobs of the action the runner may be given. It is less than nothing when somebody has
  // set the limit lower than what it has.
  static std::int64_t left(const Runner& runner, Action action, std::uint32_t limit);
  // The runner that may be given most, of equals the first by name; nullptr when none may be given
  // one.
  Runner* freest(Action action, std::uint32_t limit);

  void add_to(StateDigest& digest) const;

 private:
  // Runners by the credit that they have left, most first: a heap, in which each runner knows its
  // place.
  class Ranking {
   public:
    explicit Ranking(std::size_t number) : number_(number) {}
    void add(Runner& runner);
    void remove(Runner& runner);
    void changed(Runner& runner);
    Runner* first() const { return heap_.empty() ? nullptr : heap_.front(); }

   private:
    bool before(const Runner& a, const Runner& b) const;
    void put(Runner* runner, std::size_t at);
    void settle(std::size_t at);
    std::size_t number_;  // 2 * resource, + 1 for brief jobs
    std::vector<Runner*> heap_;
  };

  Runner& named(const std::string& instance);
  void lose_sight(Runner& runner);
  // Has the runner looked at when something of it may end.
  void watch(Runner& runner);
  // Takes out the runners that are to be looked at by `now`; each is to be watched again.
  std::vector<Runner*> due(Duration now);
  void count(Runner& runner, const model::ActionTraits& traits, int by);
  static bool is_own(const Runner& runner);
  void note(Runner& runner, const Lease& lease);
  template <typename Each>
  void in_rankings(const Each& each);

  const Duration lease_;
  const Duration patience_;
  FleetWatcher* watcher_ = nullptr;
  std::map<std::string, Runner, std::less<>> runners_;  // by instance
  std::map<std::string_view, Runner*> known_;
  std::unordered_map<std::string, Runner*> peers_;
  // By when they are looked at: those whose `look` isn't max. It may turn out then that there is
  // time left, so that what gives them more time need not come here.
  std::set<std::pair<Duration, Runner*>> watched_;
  // Sums over the runners that are known.
  std::size_t going_ = 0;
  std::array<std::uint64_t, kResources> given_{};
  std::uint64_t brief_prefill_ = 0;
  // The same of the session's own runners, whether they are known or not.
  std::array<std::uint64_t, kResources> given_own_{};
  mutable std::uint64_t slots_together_ = 0;  // with `slots_set_` as the least of each
  mutable std::uint32_t slots_set_ = 0;
  std::array<Ranking, 2 * kResources> rankings_{Ranking(0), Ranking(1), Ranking(2), Ranking(3),
                                                Ranking(4), Ranking(5), Ranking(6), Ranking(7)};
};

}  // namespace sluice::scheduler
