// Runners of other machines in the World: their transfers, how they leave and come back, what waits
// at one and is handed to another; and what is looked at besides.
#include <algorithm>

#include <fmt/format.h>

#include "tests/model/protocol_world.h"

namespace sluice::search {

using std::chrono::seconds;
using wire::HelperVerb;

namespace {

// What World::pass(6, ...) takes.
constexpr Duration kPass = seconds(12);

std::string text_of(const wire::JobId& id) {
  return fmt::format("attempt {}.{}", id.job, id.attempt);
}

}  // namespace

// ---- Host: its helper ------------------------------------------------------------

void Host::fetch(const wire::JobId& id, std::vector<wire::JobInput>) {
  transfers.emplace(id, HelperVerb::kFetch);
}

void Host::prefetch(const wire::JobId& id, std::vector<wire::JobInput>) {
  transfers.emplace(id, HelperVerb::kPrefetch);
}

void Host::upload(const wire::JobId& id, std::string, std::string) {
  transfers.emplace(id, HelperVerb::kUpload);
}

void Host::cancel_transfers(const wire::JobId& id) {
  std::erase_if(transfers, [&](const auto& transfer) { return transfer.first == id; });
}

// ---- What can happen -------------------------------------------------------------

void World::far_actions(unsigned n, std::vector<Action>& out) const {
  const Host& host = *hosts_[n];
  const auto add = [&](Kind kind, unsigned which = 0) {
    out.push_back({kind, {}, static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(which)});
  };
  const auto may = [&](Fault fault) { return budget(fault) > 0; };
  const auto add_fault = [&](Fault fault, unsigned which = 0) {
    if (may(fault))
      out.push_back(
          {Kind::kFault, fault, static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(which)});
  };
  const bool known = core_ && core_->fleet().find(host.name) != nullptr;
  if (!host.runner) {
    if (!host.over && !ending_) add(Kind::kStartRunner);
    if (known) add(Kind::kGone);
    if (core_ && !host.to_scheduler.empty()) add_fault(Fault::kDisconnects);
    return;
  }
  unsigned which = 0;
  for (const auto& [id, verb] : host.transfers) {
    add(Kind::kTransferred, which);
    if (verb != HelperVerb::kPrefetch) add_fault(Fault::kTransferFails, which);
    ++which;
  }
  if (wants_to_leave(host)) add(Kind::kLeaves);
  const bool others_quiet = std::all_of(hosts_.begin(), hosts_.end(), [&](const auto& each) {
    return each.get() == &host || (!each->death_notice && !each->leaving &&
                                   each->to_scheduler.empty() && each->to_runner.empty());
  });
  if (awaited(host) && others_quiet && host.to_scheduler.empty() && host.to_runner.size() == 1)
    add(Kind::kAway);
  if (host.leaving || host.runner->ending()) return;
  add_fault(Fault::kTerminated);
  if (known && core_->fleet().find(host.name)->epoch == host.epoch && !ending_) {
    add_fault(Fault::kDrainRunner);
    add_fault(Fault::kStopRunner);
  }
  if (!core_) add_fault(Fault::kGivesUp);
}

void World::act_far(const Action& action) {
  Host& host = *hosts_.at(action.runner);
  switch (action.kind) {
    case Kind::kTransferred: return end_transfer(host, action.which, false);
    case Kind::kLeaves: return look_after(host);
    case Kind::kGone: return core_->disconnected(host.name);
    case Kind::kAway: return pass(6, nullptr, &host);
    case Kind::kLongTime: return pass(31, nullptr);
    default: return wrong("an action of no runner from elsewhere");
  }
}

void World::fault_far(const Action& action) {
  Host& host = *hosts_.at(action.runner);
  const bool now = action.fault == Fault::kStopRunner;
  switch (action.fault) {
    case Fault::kTransferFails: return end_transfer(host, action.which, true);
    case Fault::kTerminated:
      if (host.runner->draining()) return leave(host);
      return host.runner->drain("it was told to end");
    case Fault::kDrainRunner:
    case Fault::kStopRunner:
      host.rests = host.epoch;
      host.stopped = host.stopped || now;
      if (auto sent = core_->send_away(host.name, now); !sent) wrong(sent.error().str());
      return;
    case Fault::kGivesUp: return leave(host);
    default: return wrong("a fault of no runner from elsewhere");
  }
}

void World::end_transfer(Host& host, unsigned which, bool fails) {
  const auto [id, verb] = *std::next(host.transfers.begin(), which);
  host.transfers.erase({id, verb});
  wire::HelperReply reply;
  if (fails) {
    reply.error = wire::ErrorBody{"remote", "unreachable", "The session's store can't be reached"};
    if (const auto open = open_.find(id); open != open_.end()) open->second.excused = true;
  } else if (verb == HelperVerb::kUpload) {
    reply.artifact = {"good", 1};
    const auto& job = host.runner->running().at(id);
    if (job.result && job.result->status == model::Outcome::kSuccess) ended_well_.insert(id);
  }
  host.runner->on_transfer(id, verb, reply);
  look_for_end(host);
}

// ---- How it leaves ---------------------------------------------------------------

void World::leave(Host& host) {
  excuse(host);
  host.leaving = true;
  host.runner->end(seconds(2));
  look_for_end(host);
}

bool World::wants_to_leave(const Host& host) const {
  if (host.leaving || host.runner->ending()) return false;
  if (host.runner->told_to_leave()) return true;
  return host.runner->draining() && host.runner->idle() &&
         (setup_.mutation == Mutation::kLeavesEarly ||
          jobs::RunnerState::outbox(*host.runner).empty());
}

// As sluice-runner does at each beat.
void World::look_after(Host& host) {
  if (!host.runner || !wants_to_leave(host)) return;
  if (host.runner->told_to_leave()) return leave(host);
  if (!host.runner->leave_if_drained())
    host.send(wire::Goodbye::kName, wire::encode(wire::Goodbye{"it leaves early"}));
  host.leaving = true;
  host.runner->end(seconds(2));
  look_for_end(host);
}

bool World::awaited(const wire::JobId& id) const {
  const auto open = open_.find(id);
  if (!core_ || epoch_ == 1 || open == open_.end() || open->second.host == nullptr ||
      !open->second.host->far)
    return false;
  // The fleet shows leases to those who may change them.
  const scheduler::Lease* const lease =
      const_cast<scheduler::Fleet&>(core_->fleet()).current(id, open->second.host->name);
  return lease != nullptr && lease->state == scheduler::Lease::State::kInDoubt &&
         lease->until >= clock_.monotonic() + kPass;
}

// The leases that it has are of the scheduler's start, so that J96 holds for all.
bool World::awaited(const Host& host) const {
  if (!host.far || !host.runner || !core_ || epoch_ == 1 || host.to_runner.empty() ||
      !host.to_runner.front().name.empty() || core_->fleet().find(host.name) != nullptr ||
      clock_.monotonic() + kPass > restarted_ + scheduler::kReturn)
    return false;
  bool any = false;
  for (const auto& [id, open] : open_) {
    if (open.host != &host) continue;
    const scheduler::Lease* const lease =
        const_cast<scheduler::Fleet&>(core_->fleet()).current(id, host.name);
    if (lease == nullptr || lease->state != scheduler::Lease::State::kInDoubt) return false;
    any = true;
  }
  return any;
}

// ---- What is said ----------------------------------------------------------------

void World::note_rest(Host& host, Host::Message& message) {
  if (message.name == wire::RunnerHello::kName) {
    auto hello = read<wire::RunnerHello>(message.body);
    if (hello.hello.epoch < host.rests) return;
    host.rests = hello.draining                    ? hello.hello.epoch
                 : host.rests == hello.hello.epoch ? host.rests
                                                   : 0;
    if (setup_.mutation != Mutation::kRestUnsaid) return;
    hello.draining = false;
    message.body = wire::encode(hello);
  } else if (message.name == wire::Drain::kName) {
    auto drain = read<wire::Drain>(message.body);
    const scheduler::Runner* const known = core_->fleet().find(host.name);
    if (known == nullptr) return;
    host.rests = known->epoch;
    if (setup_.mutation == Mutation::kReturnedUnsaid) {
      drain.returned.clear();
      message.body = wire::encode(drain);
    }
    for (const wire::JobId& id : drain.returned) {
      const auto open = open_.find(id);
      if (open != open_.end() && open->second.host == &host && !open->second.started)
        returned_.insert(id);
    }
  }
}

void World::hand_over(Host& host, Host::Message& message) {
  auto cancel = read<wire::Cancel>(message.body);
  std::vector<wire::JobId> begun;
  for (const wire::JobId& id : cancel.jobs) {
    const auto job = host.runner->running().find(id);
    if (cancel.unstarted && job != host.runner->running().end() && !job->second.cancelled)
      begun.push_back(id);
  }
  const bool unsaid = cancel.unstarted && setup_.mutation == Mutation::kHandOverUnsaid;
  if (setup_.mutation == Mutation::kStartedHandedOver) cancel.unstarted = false;
  host.runner->on_message(message.name, wire::encode(cancel));
  for (const wire::JobId& id : begun) {
    const auto job = host.runner->running().find(id);
    if (job == host.runner->running().end() || job->second.cancelled)
      wrong(text_of(id) + " had started and was ended to be handed over");
  }
  if (!unsaid) return;
  std::erase_if(host.to_scheduler,
                [](const auto& said) { return said.name == wire::Results::kName; });
  host.runner->on_message(wire::ResultAck::kName, wire::encode(wire::ResultAck{cancel.jobs}));
}

// ---- What must not be ------------------------------------------------------------

void World::excuse(const Host& host) {
  for (auto& [id, open] : open_) open.excused = open.excused || open.host == &host;
}

void World::look_at_loss(const scheduler::AttemptLost& change) {
  const wire::JobId& id = change.id;
  const auto node = open_.extract(id);
  const Open open = node.empty() ? Open() : node.mapped();
  const bool far = open.host != nullptr && open.host->far;
  // A job that ended while nobody listened is not run again. One whose runner was stopped for a
  // lease may be, or whose machine has had none for as long.
  const bool silent = silence_ || (passing_ && far && !open.host->runner);
  if (ended_well_.contains(id) && !silent) wrong(text_of(id) + " had ended well and is lost");
  // What ends with a runner that the operator had stopped is given back, whether it had started or
  // not (J78).
  if (change.returned && open.started && !(far && open.host->stopped))
    wrong(text_of(id) + " had started and is given back");
  if (!change.returned && returned_.contains(id))
    wrong(text_of(id) + " was given back, and that counts as a loss");
  if (!open.started || disturbed_) return;
  if (!open.excused)
    wrong(text_of(id) + " had started and is lost, though nothing happened to its runner");
  if (change.returned) return;
  // J40: after that the element fails.
  auto& machines = lost_at_[work_of_.at(id.job)];
  const unsigned times = ++machines[far ? open.host : nullptr];
  if (machines.size() >= scheduler::kMaxMachines || times >= scheduler::kMaxAttempts)
    disturbed_ = true;
}

void World::look_at_hands() {
  if (!core_) return;
  for (const auto& host : hosts_) {
    const scheduler::Runner* const known = core_->fleet().find(host->name);
    if (known == nullptr || !host->runner || host->runner->ending() ||
        known->epoch != host->epoch || !jobs::RunnerState::welcomed(*host->runner) ||
        !host->to_scheduler.empty() || !host->to_runner.empty())
      continue;
    for (const auto& [job, lease] : known->leases) {
      if (!lease.cancelled && !jobs::RunnerState::has(*host->runner, lease.id))
        wrong(
            fmt::format("{} is taken to be at {}, and isn't there", text_of(lease.id), host->name));
    }
  }
}

}  // namespace sluice::search
