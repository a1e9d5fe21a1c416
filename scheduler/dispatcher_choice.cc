// How the dispatcher gives jobs where there is a choice of runners (spec/jobs.md, J70 to J77).
#include <algorithm>
#include <queue>

#include <fmt/format.h>

#include "base/log.h"
#include "scheduler/dispatcher.h"
#include "scheduler/travel.h"
#include "wire/snapshot.h"

namespace sluice::scheduler {

Requirements Dispatcher::requirements(ElementIndex e) const {
  const model::Element& element = loaded().element(e);
  // What can't be read fails where it is given.
  Requirements out{element.platform, element.labels, false};
  const auto body = wire::unpack_body(element.body);
  if (!body) return out;
  const model::RemoteExecution& services = loaded().snapshot.settings.remote_execution;
  // Who may use them is known here alone, and the machine that runs the commands is theirs.
  if (services.execution) out.platform.clear();
  out.stays =
      services.execution || (services.action_cache && !body->sandbox.remote_apis_socket.empty());
  if (out.stays) return out;
  std::vector<wire::SourceList> told;
  if (element.lists_sources) {
    for (const ElementIndex d : loaded().graph.staging(e)) {
      auto dependency = wire::unpack_body(loaded().element(d).body);
      if (!dependency) return out;
      told.push_back({std::move(dependency->sources)});
    }
  }
  out.stays = !why_it_stays(Action::kBuild, *body, told).empty();
  return out;
}

// Puts the elements of the run that may be built in groups: once in a run, and again when the store
// has lost something.
void Dispatcher::group() {
  if (grouped_) return;
  grouped_ = true;
  groups_.clear();
  bool builds = false;
  for (std::size_t q = 0; q < run().queues(); ++q)
    builds = builds || run().type(q).traits().travels;
  if (!builds) return;
  std::map<Choice::Class, std::uint32_t> numbers;
  std::vector<std::uint32_t> group(loaded().size(), 0);
  for (const ElementIndex e : run().plan()) {
    if (loaded().artifact[e] == ArtifactState::kCached) continue;
    const Choice::Class number = choice_.class_of(requirements(e), Action::kBuild);
    const auto [found, is_new] =
        numbers.try_emplace(number, static_cast<std::uint32_t>(groups_.size()));
    if (is_new) groups_.push_back(number);
    group[e] = found->second;
  }
  run().group_by(std::move(group), groups_.size());
}

// Their slots say what they did at once when they were started, and runners that aren't known have
// jobs all the same: what counts is what they have in hand (J23, J75).
Choice::Credit Dispatcher::own_credit() const {
  const Resource resource = model::traits(Action::kBuild).resource;
  const std::uint32_t limit = model()->limit(resource);
  const std::uint64_t held = fleet_.given_own(resource);
  const std::uint64_t known =
      fleet_.credit(Action::kBuild, limit, 0).given - choice_.given_elsewhere(resource);
  const bool kept = choice_.own() == 1 || choice_.own_slots() <= limit;
  const std::uint64_t most = limit + (kept && held <= known ? choice_.own() * kPrefill : 0);
  return {limit, held < most, limit - std::min<std::uint64_t>(held, limit)};
}

bool Dispatcher::dispatch_by_class(std::size_t q, std::uint32_t& active, Batches& batches,
                                   bool& replayed) {
  const QueueType& type = run().type(q);
  const model::ActionTraits& traits = type.traits();
  const bool builds = traits.travels;
  const std::uint32_t limit = model()->limit(traits.resource);
  const std::uint32_t set = model()->limits[static_cast<std::size_t>(traits.resource)];
  // The settings say how many jobs the session's own runners do; of builds each runner from
  // elsewhere does as many as it has slots, unless somebody has set how many there are in all. No
  // runner from elsewhere keeps to a limit by itself (J23, J75).
  const bool each = builds && set == 0;
  const bool own_alone = !builds || choice_.own() == fleet_.size();
  const Fleet::Credit all = fleet_.credit(type.action, limit, set);
  const std::uint64_t together =
      builds ? all.together : choice_.own() * std::max<std::uint64_t>(limit, set);
  const bool kept = together <= limit || (own_alone && choice_.own() == 1);
  const bool all_known = active <= all.given + model()->writing.size();
  const std::uint64_t most =
      limit + (all_known && kept ? (own_alone ? choice_.own() : fleet_.size()) * kPrefill : 0);
  const auto credit = [&]() -> std::optional<Choice::Credit> {
    if (each) return own_credit();
    if (active >= most) return std::nullopt;
    return Choice::Credit{.limit = limit};
  };
  const Choice::Class stays =
      builds ? 0 : choice_.class_of({.platform = "", .labels = {}, .stays = true}, type.action);

  // What comes first of each group.
  using Head = std::pair<std::uint32_t, std::size_t>;
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  const auto line_up = [&](std::size_t group) {
    if (const ElementIndex e = run().next_ready(q, group); e != Run::kNone)
      heads.emplace(run().rank(e), group);
  };
  for (std::size_t group = 0; group < run().groups(q); ++group) line_up(group);
  bool wanting = false;
  while (!heads.empty()) {
    const std::size_t group = heads.top().second;
    heads.pop();
    const ElementIndex e = run().next_ready(q, group);
    if (e == Run::kNone) continue;
    if (changes_.broken() || model()->stopped(e)) break;
    if (loaded().artifact[e] == ArtifactState::kFailed &&
        traits.yields == model::Yields::kArtifact) {
      replay_failure(e);
      replayed = true;
      line_up(group);
      continue;
    }
    wanting = true;
    const Choice::Class number = builds ? groups_[group] : stays;
    const auto now = credit();
    // Another group's jobs may go to other runners.
    if (!now || !choice_.any(number, *now)) continue;
    wire::Job job;
    if (traits.needs == model::Needs::kInputs && !add_inputs(e, job)) {
      // What the store has lost is built again, and in another group perhaps.
      replayed = replayed || run().next_ready(q, group) != e;
      break;
    }
    Runner* const runner = choice_.choose(number, *now, job.dependencies,
                                          builds && run().is_critical(e), lost_with(e));
    if (runner == nullptr) continue;
    auto& batch = batches[runner->instance];
    batch.first = runner;
    if (builds) choice_.gives(*runner, job.dependencies);
    if (!give(e, *runner, std::move(job), batch.second)) break;
    ++active;
    line_up(group);
  }
  return wanting;
}

// Attempts wait at a runner so that its slots are never empty. When nothing is left to give, they
// would wait there for hours perhaps while others have nothing to do.
void Dispatcher::hand_over() {
  std::erase_if(asked_back_, [&](const wire::JobId& id) {
    const auto found = model()->attempts.find(id.job);
    return found == model()->attempts.end() || found->second.id != id || found->second.started;
  });
  const Resource resource = model::traits(Action::kBuild).resource;
  // Limits that somebody has set are kept by taking back (J54).
  if (choice_.crowded().empty() || model()->limits[static_cast<std::size_t>(resource)] != 0) return;
  const Choice::Credit credit = own_credit();
  std::map<Choice::Class, std::uint64_t> free;
  for (const Choice::Class number : groups_) {
    if (const std::uint64_t slots = choice_.free_slots(number, credit); slots > 0)
      free[number] = slots;
  }
  const auto slots_for = [&](const Attempt& attempt) {
    return free.find(groups_[run().group_of(attempt.element)]);
  };
  const auto take = [&](std::map<Choice::Class, std::uint64_t>::iterator slots) {
    if (slots != free.end() && --slots->second == 0) free.erase(slots);
  };
  // What was asked for already, and hasn't come yet, takes a slot, too.
  for (const wire::JobId& id : asked_back_) take(slots_for(model()->attempts.at(id.job)));
  // Each look begins where the last one ended: with so many that have nothing to give, as while
  // they upload, the others come later.
  const auto& crowded = choice_.crowded();
  auto next = crowded.upper_bound(looked_until_);
  for (std::size_t looked = 0; looked < std::min(kLook, crowded.size()) && !free.empty();
       ++looked, ++next) {
    if (next == crowded.end()) next = crowded.begin();
    Runner* const runner = next->second;
    looked_until_ = runner->instance;
    std::vector<wire::JobId> ids;
    // What was given last starts last.
    for (auto entry = runner->leases.rbegin(); entry != runner->leases.rend(); ++entry) {
      const Lease& lease = entry->second;
      if (lease.action != Action::kBuild || lease.started || lease.cancelled ||
          lease.state != Lease::State::kGiven || asked_back_.contains(lease.id))
        continue;
      const auto attempt = model()->attempts.find(lease.id.job);
      if (attempt == model()->attempts.end()) continue;
      const auto slots = slots_for(attempt->second);
      if (slots == free.end()) continue;
      // It would come back here from runners that have lost it.
      if (const auto machines = lost_with(attempt->second.element);
          !machines.again.empty() && choice_.free_slots(slots->first, credit, machines) == 0)
        continue;
      asked_back_.insert(lease.id);
      ids.push_back(lease.id);
      take(slots);
    }
    if (!ids.empty())
      changes_.send(runner->peer, wire::Cancel::kName,
                    wire::encode(wire::Cancel{.jobs = std::move(ids), .unstarted = true}));
  }
}

// ---- What no runner fits ---------------------------------------------------------

void Dispatcher::note_waiting() {
  std::map<Choice::Class, Waiting> now;
  const Duration time = clock_.monotonic();
  for (std::size_t q = 0; q < run().queues() && choice_.open(); ++q) {
    if (!run().type(q).traits().travels) continue;
    for (std::size_t group = 0; group < groups_.size(); ++group) {
      const Choice::Class number = groups_[group];
      ElementIndex e = run().next_ready(q, group);
      if (e == Run::kNone || model()->stopped(e) || choice_.fits(number)) continue;
      const auto found = waiting_.find(number);
      const Duration since = found == waiting_.end() ? time : found->second.since;
      for (; time - since >= kNoRunner && e != Run::kNone && !model()->stopped(e) &&
             !changes_.broken();
           e = run().next_ready(q, group))
        fail_waiting(e, number);
      if (e != Run::kNone) now.emplace(number, Waiting{since, e});
    }
  }
  const auto same = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.first == b.second.first;
  };
  if (!std::equal(now.begin(), now.end(), waiting_.begin(), waiting_.end(), same))
    ++waiting_version_;
  waiting_ = std::move(now);
}

void Dispatcher::renew_waiting() {
  for (auto& [number, waiting] : waiting_) waiting.since = clock_.monotonic();
}

std::string Dispatcher::waiting_text() const {
  if (waiting_.empty() || !model()->run) return {};
  const auto& [number, waiting] = *waiting_.begin();
  const std::string more =
      waiting_.size() > 1 ? fmt::format(" (and others, for {} more kinds)", waiting_.size() - 1)
                          : std::string();
  return fmt::format("{} waits for a runner: {}{}", loaded().element(waiting.first).full_name,
                     text_of(choice_.requirements(number)), more);
}

// The scheduler does the attempt itself, which consists of saying this.
void Dispatcher::fail_waiting(ElementIndex e, Choice::Class number) {
  AttemptGiven given;
  given.at = changes_.stamp();
  given.id = next_attempt(e);
  given.element = e;
  given.queue = run().type(run().queue_of(e)).traits().title;
  if (!changes_.commit(given) ||
      !changes_.commit(AttemptStarted{.at = changes_.stamp(), .id = given.id}))
    return;
  wire::JobResult result;
  result.id = given.id;
  result.status = Outcome::kError;
  result.error = wire::ErrorBody{
      .domain = "scheduler",
      .reason = "no-runner",
      .message = fmt::format("No runner for it came within {} seconds. It needs {}",
                             std::chrono::duration_cast<std::chrono::seconds>(kNoRunner).count(),
                             text_of(choice_.requirements(number))),
      .detail = "What is offered:\n" + choice_.offers()};
  take_result(model()->attempts.at(given.id.job), std::move(result));
}

// ---- Runners' errors -------------------------------------------------------------

// A runner from elsewhere of which nobody has seen anything but errors may be what is wrong, and
// one whose machine has no room is. Its errors count as losses as long as those don't end the
// element (J40), and another runner is there.
bool Dispatcher::blames_runner(const Attempt& attempt, const wire::JobResult& result,
                               const Runner& runner) const {
  if (result.status != Outcome::kError || !runner.offer.remote ||
      !(choice_.unproven(runner) || lacks_room(result)) ||
      attempt.traits().needs != model::Needs::kInputs)
    return false;
  const auto history = model()->history.find(attempt.element);
  if (history == model()->history.end()) return false;
  if (history->second.ends_with(runner.offer.machine) && !spares(attempt, runner)) return false;
  return choice_.fits_another(choice_.class_of(requirements(attempt.element), attempt.action),
                              runner);
}

// That an element was lost with nobody but a machine that gets no more, since all of its first jobs
// end so, says nothing about the element: it is as if that had never had it.
bool Dispatcher::spares(const Attempt& attempt, const Runner& runner) const {
  if (!choice_.wants_quarantine(runner) && choice_.quarantined(runner).empty()) return false;
  const auto history = model()->history.find(attempt.element);
  return history != model()->history.end() && history->second.machines.size() == 1 &&
         history->second.machines.contains(runner.offer.machine) &&
         choice_.fits_another(choice_.class_of(requirements(attempt.element), attempt.action),
                              runner);
}

void Dispatcher::lose_by_runner(const Attempt& attempt, const wire::JobResult& result,
                                const Runner& runner) {
  const std::string why = result.error ? result.error->message : std::string();
  spares(attempt, runner) ? give_back(attempt.id, why) : lose(attempt.id, why);
}

Choice::Machines Dispatcher::lost_with(ElementIndex e) const {
  Choice::Machines machines;
  const auto history = model()->history.find(e);
  if (history == model()->history.end()) return machines;
  for (const auto& [machine, lost] : history->second.machines)
    (lost.lost > 1 ? machines.again : machines.once).push_back(machine);
  return machines;
}

void Dispatcher::lose(const wire::JobId& id, const std::string& why) {
  bool returned = false;
  const auto found = model()->attempts.find(id.job);
  if (found != model()->attempts.end() && found->second.id == id) {
    const Attempt& attempt = found->second;
    returned = fleet_.was_sent_away(attempt.runner);
    const Runner* const runner = fleet_.find(attempt.runner);
    if (runner != nullptr && runner->offer.remote &&
        attempt.traits().needs == model::Needs::kInputs) {
      std::vector<model::Digest> files;
      for (const ElementIndex d : loaded().graph.staging(attempt.element)) {
        if (const auto& answer = loaded().answers.artifacts[d]) files.push_back(answer->files);
      }
      choice_.loses(*runner, files);
    }
  }
  (void)changes_.commit(
      AttemptLost{.at = changes_.stamp(), .id = id, .why = why, .returned = returned});
}

void Dispatcher::take_from(Runner& runner, const std::string& why) {
  std::vector<wire::JobId> ids;
  for (const auto& [job, lease] : runner.leases) {
    if (!lease.started && !lease.cancelled && lease.state == Lease::State::kGiven)
      ids.push_back(lease.id);
  }
  for (const wire::JobId& id : ids) give_back(id, why);
  cancel(runner, ids);
}

// The user's services are for this machine alone, which has what they ask for.
const std::string& Dispatcher::settings_for(const Runner& runner) {
  if (!runner.offer.remote) return loaded().packed_settings;
  if (settings_of_ != loaded().snapshot.id) {
    model::Settings settings = loaded().snapshot.settings;
    settings.remote_execution = {};
    settings.storage_service.reset();
    settings_elsewhere_ = wire::pack_settings(settings);
    settings_of_ = loaded().snapshot.id;
  }
  return settings_elsewhere_;
}

}  // namespace sluice::scheduler
