#include "scheduler/fleet.h"

#include <algorithm>

#include "wire/session.h"

namespace sluice::scheduler {

namespace {

constexpr std::size_t index(Resource resource) { return static_cast<std::size_t>(resource); }

// Is there an action of such a resource, brief or not?
constexpr std::array<bool, 2 * kResources> kRanked = [] {
  std::array<bool, 2 * kResources> ranked{};
  for (const model::ActionTraits& traits : model::kActions)
    ranked[2 * index(traits.resource) + (traits.brief ? 1 : 0)] = true;
  return ranked;
}();

std::uint32_t prefill(const Runner& runner, bool brief) {
  return brief ? std::max(kBriefPrefill, runner.slots) : kPrefill;
}

// How many jobs of it a runner does at once.
std::uint32_t capacity(const Runner& runner, Resource resource, std::uint32_t limit) {
  switch (resource) {
    case Resource::kProcess: return runner.slots;
    case Resource::kRunner: return kRunnerCapacity;
    case Resource::kDownload:
    case Resource::kUpload: break;
  }
  return limit;
}

}  // namespace

// ---- Rankings ------------------------------------------------------------------

// Limits are the same for all, so that they make no difference here.
bool Fleet::Ranking::before(const Runner& a, const Runner& b) const {
  const auto resource = static_cast<Resource>(number_ / 2);
  const bool brief = number_ % 2 != 0;
  const auto left = [&](const Runner& runner) {
    return std::int64_t{capacity(runner, resource, 0)} + prefill(runner, brief) -
           runner.given[number_ / 2];
  };
  const std::int64_t of_a = left(a), of_b = left(b);
  return of_a != of_b ? of_a > of_b : a.instance < b.instance;
}

void Fleet::Ranking::put(Runner* runner, std::size_t at) {
  heap_[at] = runner;
  runner->place[number_] = static_cast<std::uint32_t>(at);
}

void Fleet::Ranking::settle(std::size_t at) {
  Runner* const runner = heap_[at];
  for (; at > 0 && before(*runner, *heap_[(at - 1) / 2]); at = (at - 1) / 2)
    put(heap_[(at - 1) / 2], at);
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *runner)) break;
    put(heap_[child], at);
    at = child;
  }
  put(runner, at);
}

void Fleet::Ranking::add(Runner& runner) {
  heap_.push_back(&runner);
  settle(heap_.size() - 1);
}

void Fleet::Ranking::changed(Runner& runner) { settle(runner.place[number_]); }

void Fleet::Ranking::remove(Runner& runner) {
  const std::size_t at = runner.place[number_];
  Runner* const last = heap_.back();
  heap_.pop_back();
  if (at == heap_.size()) return;
  put(last, at);
  settle(at);
}

template <typename Each>
void Fleet::in_rankings(const Each& each) {
  for (std::size_t i = 0; i < kRanked.size(); ++i) {
    if (kRanked[i]) each(rankings_[i]);
  }
}

// ---- Runners -------------------------------------------------------------------

Runner* Fleet::at(std::string_view peer) {
  const auto found = peers_.find(std::string(peer));
  return found == peers_.end() ? nullptr : found->second;
}

Runner* Fleet::find(std::string_view instance) {
  const auto found = runners_.find(instance);
  return found == runners_.end() || !found->second.known ? nullptr : &found->second;
}

std::uint64_t Fleet::died(const std::string& instance) const {
  const auto found = runners_.find(instance);
  return found == runners_.end() ? 0 : found->second.died;
}

bool Fleet::was_sent_away(std::string_view instance) const {
  const auto found = runners_.find(instance);
  return found != runners_.end() && found->second.ended != 0;
}

Runner& Fleet::named(const std::string& instance) {
  const auto [found, is_new] = runners_.try_emplace(instance);
  if (is_new) found->second.instance = instance;
  return found->second;
}

Runner& Fleet::welcome(const std::string& peer, const wire::RunnerHello& hello, Duration now) {
  Runner& runner = named(hello.hello.instance);
  lose_sight(runner);
  const auto count_own = [&](int by) {
    if (!is_own(runner)) return;
    for (std::size_t i = 0; i < kResources; ++i)
      given_own_[i] += static_cast<std::uint64_t>(by * std::int64_t{runner.given[i]});
  };
  count_own(-1);
  runner.known = true;
  runner.peer = peer;
  runner.host = hello.host;
  runner.epoch = hello.hello.epoch;
  runner.connection = hello.connection;
  runner.slots = hello.slots;
  runner.heard = now;
  runner.suspended = false;
  runner.offer = {.remote = hello.remote,
                  .machine = hello.machine,
                  .platform = hello.platform,
                  .emulates = hello.emulates,
                  .labels = hello.labels,
                  .processors = hello.processors,
                  .remaining_s = hello.remaining_s};
  std::sort(runner.offer.labels.begin(), runner.offer.labels.end());
  runner.resting = hello.draining;
  count_own(1);
  ++going_;
  known_.emplace(runner.instance, &runner);
  peers_.insert_or_assign(peer, &runner);
  for (std::size_t i = 0; i < kResources; ++i) given_[i] += runner.given[i];
  brief_prefill_ += prefill(runner, true);
  slots_together_ += std::max(runner.slots, slots_set_);
  if (!runner.resting) in_rankings([&](Ranking& ranking) { ranking.add(runner); });
  watch(runner);
  if (watcher_ != nullptr) watcher_->appeared(runner);
  return runner;
}

// Makes a runner unknown; what it has in hand stays there.
void Fleet::lose_sight(Runner& runner) {
  if (!runner.known) return;
  runner.known = false;
  known_.erase(runner.instance);
  if (const auto peer = peers_.find(runner.peer); peer != peers_.end() && peer->second == &runner)
    peers_.erase(peer);
  for (std::size_t i = 0; i < kResources; ++i) given_[i] -= runner.given[i];
  brief_prefill_ -= prefill(runner, true);
  slots_together_ -= std::max(runner.slots, slots_set_);
  if (!runner.suspended) --going_;
  if (!runner.resting) in_rankings([&](Ranking& ranking) { ranking.remove(runner); });
  if (watcher_ != nullptr) watcher_->vanished(runner);
}

void Fleet::set_resting(Runner& runner, bool resting) {
  if (!runner.known || runner.resting == resting) return;
  runner.resting = resting;
  in_rankings([&](Ranking& ranking) { resting ? ranking.remove(runner) : ranking.add(runner); });
  if (watcher_ == nullptr) return;
  for (std::size_t i = 0; i < kResources; ++i) watcher_->changed(runner, static_cast<Resource>(i));
}

void Fleet::disconnect(std::string_view peer) {
  if (Runner* const runner = at(peer)) lose_sight(*runner);
}

void Fleet::set_suspended(Runner& runner, bool suspended) {
  if (runner.known && runner.suspended != suspended) suspended ? --going_ : ++going_;
  runner.suspended = suspended;
}

void Fleet::set_slots(Runner& runner, std::uint32_t slots) {
  if (runner.slots == slots) return;
  brief_prefill_ -= prefill(runner, true);
  slots_together_ -= std::max(runner.slots, slots_set_);
  runner.slots = slots;
  brief_prefill_ += prefill(runner, true);
  slots_together_ += std::max(runner.slots, slots_set_);
  if (!runner.resting) in_rankings([&](Ranking& ranking) { ranking.changed(runner); });
  if (watcher_ != nullptr) watcher_->changed(runner, Resource::kProcess);
}

void Fleet::bury(const std::string& instance, std::uint64_t epoch, Duration now) {
  Runner& runner = named(instance);
  runner.died = std::max(runner.died, epoch);
  if (runner.known && runner.epoch > epoch) return;
  for (auto& [job, lease] : runner.leases) {
    lease.state = Lease::State::kInDoubt;
    renew(lease, now);
  }
  lose_sight(runner);
}

void Fleet::forget_silent(Duration now, Duration patience) {
  for (Runner* const runner : due(now)) {
    const bool silent = runner->heard + lease_ < now;
    if (runner->known && silent && (runner->leases.empty() || runner->heard + patience < now))
      lose_sight(*runner);
    // That a process is dead must not be forgotten: its HELLO may come yet.
    const bool over = !runner->known && runner->leases.empty() && runner->died == 0;
    if (over && runner->heard + kRemembered < now) {
      if (watcher_ != nullptr) watcher_->forgotten(*runner);
      runners_.erase(runners_.find(runner->instance));
    } else {
      watch(*runner);
    }
  }
}

void Fleet::watch(Runner& runner) {
  Duration look = runner.leases.empty() ? Duration::max() : runner.earliest;
  if (runner.known) {
    look = std::min(look, runner.heard + lease_);
  } else if (runner.leases.empty() && runner.died == 0) {
    look = runner.heard + kRemembered;
  }
  if (look >= runner.look) return;
  if (runner.look != Duration::max()) watched_.erase({runner.look, &runner});
  runner.look = look;
  watched_.emplace(look, &runner);
}

std::vector<Runner*> Fleet::due(Duration now) {
  std::vector<Runner*> out;
  while (!watched_.empty() && watched_.begin()->first < now) {
    Runner* const runner = watched_.begin()->second;
    watched_.erase(watched_.begin());
    runner->look = Duration::max();
    out.push_back(runner);
  }
  return out;
}

// ---- Leases --------------------------------------------------------------------

// Of one that has never said HELLO to this process its name tells.
bool Fleet::is_own(const Runner& runner) {
  return runner.epoch == 0 ? runner.instance == wire::kRunnerName : !runner.offer.remote;
}

void Fleet::count(Runner& runner, const model::ActionTraits& traits, int by) {
  const std::size_t resource = index(traits.resource);
  runner.given[resource] += static_cast<std::uint32_t>(by);
  if (is_own(runner)) given_own_[resource] += static_cast<std::uint64_t>(std::int64_t{by});
  if (!runner.known) return;
  given_[resource] += static_cast<std::uint64_t>(static_cast<std::int64_t>(by));
  for (std::size_t i = 2 * resource; i < 2 * resource + 2; ++i) {
    if (kRanked[i] && !runner.resting) rankings_[i].changed(runner);
  }
  if (watcher_ != nullptr) watcher_->changed(runner, traits.resource);
}

void Fleet::note(Runner& runner, const Lease& lease) {
  runner.earliest = std::min(runner.earliest, lease.until);
  runner.leases.insert_or_assign(lease.id.job, lease);
  count(runner, model::traits(lease.action), 1);
  watch(runner);
}

void Fleet::give(const wire::JobId& id, Action action, const std::string& instance, Duration now) {
  note(named(instance), {.id = id, .action = action, .until = now + lease_});
}

void Fleet::doubt(const wire::JobId& id, Action action, bool started, const std::string& instance,
                  Duration now) {
  // A runner of another machine finds out, and comes back, when its connection does.
  const Duration patience = instance == wire::kRunnerName ? lease_ : patience_;
  note(named(instance), {.id = id,
                         .action = action,
                         .state = Lease::State::kInDoubt,
                         .started = started,
                         .until = now + patience});
}

void Fleet::start(const wire::JobId& id, const std::string& instance) {
  Lease* const lease = current(id, instance);
  if (lease == nullptr) return;
  lease->started = true;
  if (lease->state == Lease::State::kGiven) lease->state = Lease::State::kRunning;
}

void Fleet::release(const wire::JobId& id, const std::string& instance) {
  const auto runner = runners_.find(instance);
  if (runner == runners_.end()) return;
  const auto found = runner->second.leases.find(id.job);
  if (found == runner->second.leases.end()) return;
  const Action action = found->second.action;
  runner->second.leases.erase(found);
  count(runner->second, model::traits(action), -1);
}

Lease* Fleet::current(const wire::JobId& id, Runner& runner) const {
  const auto found = runner.leases.find(id.job);
  return found == runner.leases.end() || found->second.id != id ? nullptr : &found->second;
}

Lease* Fleet::current(const wire::JobId& id, const std::string& instance) {
  const auto runner = runners_.find(instance);
  return runner == runners_.end() ? nullptr : current(id, runner->second);
}

void Fleet::renew_all(Duration now) {
  for (auto& [instance, runner] : runners_) {
    if (runner.known) runner.heard = now;
    for (auto& [job, lease] : runner.leases) lease.until = std::max(lease.until, now + lease_);
  }
}

// Results that wait there wait for the broker as a rule: what is listed of these and not current
// was acknowledged meanwhile.
Fleet::Heard Fleet::beat(Runner& runner, const wire::RunnerBeat& beat, Duration now) {
  Heard heard;
  for (const wire::JobId& id : beat.running) {
    Lease* const lease = current(id, runner);
    if (lease == nullptr) {
      heard.unwanted.push_back(id);
      continue;
    }
    renew(*lease, now);
    if (lease->cancelled) heard.unwanted.push_back(id);
    if (lease->state == Lease::State::kInDoubt) lease->state = Lease::State::kRunning;
    if (!lease->started) heard.started.push_back(id);
  }
  for (const wire::JobId& id : beat.outbox) {
    if (Lease* const lease = current(id, runner)) renew(*lease, now);
  }
  runner.earliest = Duration::max();
  for (auto& [job, lease] : runner.leases) {
    if (lease.state == Lease::State::kGiven) renew(lease, now);
    runner.earliest = std::min(runner.earliest, lease.until);
  }
  return heard;
}

std::vector<Fleet::Expired> Fleet::expired(Duration now) {
  std::vector<Expired> out;
  for (Runner* const runner : due(now)) {
    if (runner->earliest < now) {
      runner->earliest = Duration::max();
      for (const auto& [job, lease] : runner->leases) {
        runner->earliest = std::min(runner->earliest, lease.until);
        if (lease.until < now) out.push_back({runner, lease.id});
      }
    }
    watch(*runner);
  }
  std::sort(out.begin(), out.end(), [](const Expired& a, const Expired& b) { return a.id < b.id; });
  return out;
}

// ---- Credit --------------------------------------------------------------------

Fleet::Credit Fleet::credit(Action action, std::uint32_t limit, std::uint32_t set) const {
  const model::ActionTraits& traits = model::traits(action);
  Credit credit;
  credit.given = given_[index(traits.resource)];
  credit.more = traits.brief ? brief_prefill_ : known_.size() * kPrefill;
  switch (traits.resource) {
    case Resource::kProcess:
      // Where a limit is set, each does as many as that, or soon will.
      if (slots_set_ != set) {
        slots_set_ = set;
        slots_together_ = 0;
        for (const auto& [instance, runner] : known_)
          slots_together_ += std::max(runner->slots, set);
      }
      credit.together = slots_together_;
      break;
    case Resource::kRunner: credit.together = known_.size() * std::max(kRunnerCapacity, set); break;
    case Resource::kDownload:
    case Resource::kUpload: credit.together = known_.size() * std::max(limit, set); break;
  }
  return credit;
}

std::int64_t Fleet::left(const Runner& runner, Action action, std::uint32_t limit) {
  const model::ActionTraits& traits = model::traits(action);
  return std::int64_t{capacity(runner, traits.resource, limit)} + prefill(runner, traits.brief) -
         runner.given[index(traits.resource)];
}

Runner* Fleet::freest(Action action, std::uint32_t limit) {
  const model::ActionTraits& traits = model::traits(action);
  Runner* const runner = rankings_[2 * index(traits.resource) + (traits.brief ? 1 : 0)].first();
  return runner != nullptr && left(*runner, action, limit) > 0 ? runner : nullptr;
}

// ---- Digest --------------------------------------------------------------------

// As in session_model.cc; times are left out, and what follows from the rest.
void Fleet::add_to(StateDigest& digest) const {
  digest.add(runners_.size());
  for (const auto& [name, runner] : runners_) {
    const auto& [instance, known, peer, host, epoch, connection, slots, heard, suspended, offer,
                 resting, ended, died, leases, given, earliest, look, place] = runner;
    (void)host, (void)heard, (void)given, (void)earliest, (void)look, (void)place;
    const auto& [remote, machine, platform, emulates, labels, processors, remaining] = offer;
    (void)processors, (void)remaining;
    digest.add(instance);
    digest.add(known);
    digest.add(ended);
    digest.add(died);
    if (known) {
      digest.add(peer);
      digest.add(epoch);
      digest.add(connection);
      digest.add(slots);
      digest.add(suspended);
      digest.add(remote);
      digest.add(machine);
      digest.add(platform);
      digest.add(emulates);
      digest.add(labels);
      digest.add(resting);
    }
    digest.add(leases.size());
    for (const auto& [job, lease] : leases) {
      const auto& [id, action, state, started, cancelled, until] = lease;
      (void)until;
      digest.add(id.job);
      digest.add(id.attempt);
      digest.add(action);
      digest.add(state);
      digest.add(started);
      digest.add(cancelled);
    }
  }
}

}  // namespace sluice::scheduler
