// Which runner gets a job (spec/jobs.md, J70 to J77): who may do it at all, and who of those does
// it best.
//
// Jobs are told apart by what they require, runners by what they offer. The jobs of a session have
// few different requirements, whatever the number of jobs: each of these is a class, which has its
// runners in the order of how much they may still be given. So a job costs a look at no more than
// kLook runners, and what a runner gets or reports a place in each of its classes; nobody goes
// through all runners, or all jobs.
//
// None of this is in the journal: a scheduler that is started again hears of runners as they come,
// and learns anew what they hold and how fast they are.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "model/model.h"
#include "scheduler/fleet.h"
#include "scheduler/state_digest.h"
#include "wire/job_messages.h"

namespace sluice::scheduler {

// How many runners are looked at for a job at most: those that may be given most, and some of those
// that hold what it needs.
inline constexpr std::size_t kLook = 32;
inline constexpr std::size_t kHoldersLookedAt = 12;
// After so many jobs, all of which ended in an error, a runner from elsewhere gets no more.
inline constexpr std::uint32_t kFirstJobs = 3;

// What whoever does a job must offer.
struct Requirements {
  std::string platform;             // "": any
  std::vector<std::string> labels;  // sorted
  bool stays = false;               // with a runner of the session's own
  std::strong_ordering operator<=>(const Requirements&) const;
  bool operator==(const Requirements&) const = default;
};
// "linux/aarch64 with the labels big, gpu", for people.
std::string text_of(const Requirements& requirements);

// The result says that its machine has no room left, in the store or on a disk: whatever that
// machine is given ends so.
bool lacks_room(const wire::JobResult& result);

class Choice final : public FleetWatcher {
 public:
  struct Options {
    std::string platform;  // of the session's machine
    bool listens = false;  // runners may come from elsewhere
  };
  Choice(Options options, Fleet& fleet);
  ~Choice() override;
  Choice(const Choice&) = delete;
  Choice& operator=(const Choice&) = delete;

  // Whether there is a choice: runners from elsewhere are there, or may come. Else what jobs
  // require says nothing, and all goes to the session's own.
  bool open() const { return options_.listens || remote_ > 0; }
  // The known runners that are the session's own.
  std::size_t own() const { return fleet_.size() - remote_; }
  // How many jobs that take the resource the known runners from elsewhere have in hand.
  std::uint64_t given_elsewhere(Resource resource) const {
    return given_elsewhere_[static_cast<std::size_t>(resource)];
  }
  // The slots of the session's own runners.
  std::uint64_t own_slots() const { return own_slots_; }
  // The session's own runners do no more builds than that at once, whatever slots they have.
  void limit_own(std::uint32_t builds);

  // ---- Classes: numbers from 0 on, by requirements and action.
  using Class = std::uint32_t;
  Class class_of(const Requirements& requirements, Action action);
  const Requirements& requirements(Class number) const { return classes_[number]->requirements; }
  // A runner could do it that is known and isn't resting, or that the session starts by itself.
  bool fits(Class number) const;
  // Another one than that.
  bool fits_another(Class number, const Runner& than) const;

  // ---- The choice. `limit`: of the action's resource; `own`: the session's own runners may be
  // given one, too; `own_free`: so many more would start there at once.
  struct Credit {
    std::uint32_t limit = 0;
    bool own = true;
    std::uint64_t own_free = ~std::uint64_t{0};
  };
  // Whether anybody may be given a job of the class now.
  bool any(Class number, const Credit& credit) const;
  // Who gets it, of those with fewer jobs than slots as long as there are any; and as long as
  // others have much more room, nobody who has half of his slots filled: on the way to the run's
  // end (`critical`) the fastest, else the one to whom fewest bytes of `inputs` have to travel,
  // then who may be given most, then the faster one. Those with which it was lost come
  // after others of whom it would find a slot as well; with which it was lost again, only when
  // nobody else may be given it. nullptr: nobody may.
  struct Machines {
    std::vector<std::string_view> once, again;
  };
  Runner* choose(Class number, const Credit& credit,
                 std::span<const model::ArtifactRef> inputs = {}, bool critical = false,
                 const Machines& lost_with = {}) const;

  // How many more jobs of the class would start at once, were there any: the free slots of those
  // that are looked at for a job, and aren't of machines with which it was lost again and again.
  std::uint64_t free_slots(Class number, const Credit& credit,
                           const Machines& lost_with = {}) const;
  // The known runners that have more builds in hand than they do at once, so that some wait there.
  const std::map<std::string_view, Runner*>& crowded() const { return crowded_; }

  // ---- What is learned
  // The runner is given a build with these inputs, and will hold them.
  void gives(const Runner& runner, std::span<const model::ArtifactRef> inputs);
  // The runner has lost a build with these files among its inputs: who knows what it holds of them.
  void loses(const Runner& runner, std::span<const model::Digest> files);
  // An attempt of the runner's has ended. `expected`: how long it would have taken as far as is
  // known, in ns; 0: it isn't. The result is as the store has confirmed it; `theirs`: an error may
  // be one of the runner's machine, and isn't of the session's.
  void ended(const Runner& runner, const wire::JobResult& result, std::int64_t expected,
             bool theirs = true);
  // It has ended nothing yet but in errors.
  bool unproven(const Runner& runner) const;
  // The runner's first jobs all ended in errors, or its last ones for want of room. It is said
  // once.
  bool wants_quarantine(const Runner& runner) const;
  void quarantine(Runner& runner, std::string why);
  const std::string& quarantined(const Runner& runner) const;
  // How much faster it is than what was expected, on average; 1 while nothing was measured.
  double speed(const Runner& runner) const;
  // The bytes of the inputs that the runner doesn't hold. Artifacts whose size isn't known count as
  // the average of those that are, or 1.
  std::uint64_t to_travel(const Runner& runner, std::span<const model::ArtifactRef> inputs) const;

  // ---- For people
  // What the runners offer, in a line each, the first few.
  std::string offers() const;
  wire::RunnerInfo info(const Runner& runner, Duration now) const;
  // Runners from elsewhere that have vanished since the last call and haven't come back.
  std::vector<const Runner*> take_vanished();

  // FleetWatcher
  void appeared(Runner& runner) override;
  void vanished(Runner& runner) override;
  void changed(Runner& runner, Resource resource) override;
  void forgotten(Runner& runner) override;

  void add_to(StateDigest& digest) const;

 private:
  // Most credit first, then by name. What the runner has left is kept, since it changes before its
  // place does.
  struct Place {
    std::int64_t left;
    Runner* runner;
    bool operator<(const Place& other) const {
      return left != other.left ? left > other.left : runner->instance < other.runner->instance;
    }
  };
  using Places = std::set<Place>;
  struct Group {  // one class
    Requirements requirements;
    Action action;
    Places native, emulated;
    const Places& who() const { return native.empty() ? emulated : native; }
  };
  struct Membership {
    Class number;
    bool emulated;
    Places::iterator at;
  };
  using Artifact = std::uint32_t;
  // What is known of a runner.
  struct Worker {
    std::uint64_t epoch = 0;
    bool joined = false;  // it is in its classes
    std::vector<Membership> classes;
    std::array<std::uint32_t, kResources> given{};  // as counted in given_elsewhere_
    bool counted = false;                           // in remote_
    std::uint32_t own_slots = 0;                    // as counted in own_slots_
    std::vector<std::uint64_t> holds;               // a bit for each artifact
    double pace = 1;                                // elapsed to expected
    std::uint32_t paces = 0;
    std::uint64_t done = 0, failed = 0;
    std::uint64_t fetched = 0, uploaded = 0, storage_fetched = 0, storage_uploaded = 0;
    std::uint32_t errors = 0;   // ended so, in a row from the first
    std::uint32_t no_room = 0;  // ended so, in a row to the last
    std::string quarantined;
  };
  enum class Fit : std::uint8_t { kNo, kNative, kEmulated };
  Fit fit(const Requirements& requirements, const Offer& offer) const;
  void join(Class number, Runner& runner, Worker& worker);
  void join_all(Runner& runner, Worker& worker);
  void leave_all(Worker& worker);
  void note_crowded(Runner& runner);
  // How many builds it does at once.
  std::uint32_t at_once(const Runner& runner) const {
    return runner.offer.remote ? runner.slots : std::min(runner.slots, own_limit_);
  }
  Worker& worker(const Runner& runner) { return workers_[&runner]; }
  const Worker* find(const Runner& runner) const;
  Artifact artifact(const model::Digest& files);
  std::optional<Artifact> known(const model::Digest& files) const;
  static bool holds(const Worker& worker, Artifact artifact);
  void hold(const Runner& runner, Artifact artifact);
  std::uint64_t size(Artifact artifact) const;
  void set_size(Artifact artifact, std::uint64_t bytes);

  const Options options_;
  Fleet& fleet_;
  std::size_t remote_ = 0;       // known runners from elsewhere
  std::uint64_t own_slots_ = 0;  // of the known ones that are the session's own
  std::uint32_t own_limit_ = ~std::uint32_t{0};
  std::array<std::uint64_t, kResources> given_elsewhere_{};
  std::vector<std::unique_ptr<Group>> classes_;
  std::map<std::pair<Requirements, Action>, Class> numbers_;
  std::unordered_map<const Runner*, Worker> workers_;
  std::map<std::string_view, const Runner*> vanished_;  // by instance
  std::map<std::string_view, Runner*> crowded_;         // by instance

  std::unordered_map<std::string, Artifact> artifacts_;  // by the hash of their files
  std::vector<std::uint64_t> sizes_;                     // 0: not known
  std::uint64_t sizes_sum_ = 0, sizes_known_ = 0;
  // Of each artifact some runners that were given it; who has forgotten it meanwhile is still
  // there.
  std::vector<std::vector<Runner*>> holders_;
};

}  // namespace sluice::scheduler
