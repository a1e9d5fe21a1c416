#include "scheduler/choice.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "sandbox/platform.h"

namespace sluice::scheduler {

namespace {

constexpr std::size_t index(Resource resource) { return static_cast<std::size_t>(resource); }
Resource resource_of(Action action) { return model::traits(action).resource; }

// How many holders of an artifact are remembered.
constexpr std::size_t kHolders = 8;
// The weight of the newest measurement of a runner's pace.
constexpr double kNewest = 0.2;
// A runner with so much more of its slots filled than another one is no choice beside it.
constexpr double kMuchMore = 0.5;
// Speeds that differ by less are the same.
constexpr double kSameSpeed = 1.1;
constexpr std::size_t kOffersShown = 16;

int speed_step(double speed) {
  return static_cast<int>(std::lround(std::log(speed) / std::log(kSameSpeed)));
}

bool is_of(const Runner& runner, const std::vector<std::string_view>& machines) {
  return std::find(machines.begin(), machines.end(), runner.offer.machine) != machines.end();
}

std::string labels_text(const std::vector<std::string>& labels) {
  return labels.empty() ? std::string()
                        : fmt::format(" with the label{} {}", labels.size() == 1 ? "" : "s",
                                      fmt::join(labels, ", "));
}

}  // namespace

std::strong_ordering Requirements::operator<=>(const Requirements& other) const {
  if (const int order = platform.compare(other.platform); order != 0) return order <=> 0;
  if (stays != other.stays) return stays <=> other.stays;
  if (labels == other.labels) return std::strong_ordering::equal;
  return labels < other.labels ? std::strong_ordering::less : std::strong_ordering::greater;
}

std::string text_of(const Requirements& requirements) {
  return (requirements.platform.empty() ? std::string("any platform") : requirements.platform) +
         labels_text(requirements.labels) + (requirements.stays ? " on the session's machine" : "");
}

Choice::Choice(Options options, Fleet& fleet) : options_(std::move(options)), fleet_(fleet) {
  fleet_.set_watcher(this);
}

Choice::~Choice() { fleet_.set_watcher(nullptr); }

// ---- Runners come and go --------------------------------------------------------

const Choice::Worker* Choice::find(const Runner& runner) const {
  const auto found = workers_.find(&runner);
  return found == workers_.end() ? nullptr : &found->second;
}

void Choice::appeared(Runner& runner) {
  Worker& known = worker(runner);
  // Another process has another store, and another fate.
  if (known.epoch != runner.epoch) known = Worker{.epoch = runner.epoch};
  if (runner.offer.remote) {
    vanished_.erase(runner.instance);
    known.counted = true;
    ++remote_;
    known.given = runner.given;
    for (std::size_t i = 0; i < kResources; ++i) given_elsewhere_[i] += known.given[i];
  } else {
    known.own_slots = runner.slots;
    own_slots_ += known.own_slots;
  }
  if (!known.quarantined.empty()) fleet_.set_resting(runner, true);
  if (!runner.resting) join_all(runner, known);
  note_crowded(runner);
}

void Choice::vanished(Runner& runner) {
  Worker& known = worker(runner);
  leave_all(known);
  crowded_.erase(runner.instance);
  own_slots_ -= std::exchange(known.own_slots, 0);
  if (!known.counted) return;
  known.counted = false;
  --remote_;
  for (std::size_t i = 0; i < kResources; ++i) given_elsewhere_[i] -= known.given[i];
  vanished_.emplace(runner.instance, &runner);
}

void Choice::forgotten(Runner& runner) {
  crowded_.erase(runner.instance);
  workers_.erase(&runner);
  vanished_.erase(runner.instance);
  for (std::vector<Runner*>& holders : holders_) std::erase(holders, &runner);
}

void Choice::changed(Runner& runner, Resource resource) {
  const auto found = workers_.find(&runner);
  if (found == workers_.end() || !runner.known) return;
  Worker& known = found->second;
  note_crowded(runner);
  if (known.counted) {
    std::uint32_t& counted = known.given[index(resource)];
    given_elsewhere_[index(resource)] += runner.given[index(resource)];
    given_elsewhere_[index(resource)] -= counted;
    counted = runner.given[index(resource)];
  } else {
    own_slots_ -= std::exchange(known.own_slots, runner.slots);
    own_slots_ += known.own_slots;
  }
  if (runner.resting) return leave_all(known);
  if (!known.joined) return join_all(runner, known);
  for (Membership& membership : known.classes) {
    Group& group = *classes_[membership.number];
    if (resource_of(group.action) != resource) continue;
    Places& places = membership.emulated ? group.emulated : group.native;
    auto node = places.extract(membership.at);
    node.value().left = Fleet::left(runner, group.action, 0);
    membership.at = places.insert(std::move(node)).position;
  }
}

void Choice::note_crowded(Runner& runner) {
  if (runner.resting || runner.given[index(Resource::kProcess)] <= at_once(runner)) {
    crowded_.erase(runner.instance);
  } else {
    crowded_.emplace(runner.instance, &runner);
  }
}

void Choice::limit_own(std::uint32_t builds) {
  if (std::exchange(own_limit_, builds) == builds) return;
  for (const auto& [instance, runner] : fleet_.known()) {
    if (!runner->offer.remote) note_crowded(*runner);
  }
}

void Choice::leave_all(Worker& worker) {
  for (const Membership& membership : worker.classes) {
    Group& group = *classes_[membership.number];
    (membership.emulated ? group.emulated : group.native).erase(membership.at);
  }
  worker.classes.clear();
  worker.joined = false;
}

std::vector<const Runner*> Choice::take_vanished() {
  std::vector<const Runner*> out;
  for (const auto& [instance, runner] : vanished_) out.push_back(runner);
  vanished_.clear();
  return out;
}

// ---- Classes ---------------------------------------------------------------------

Choice::Fit Choice::fit(const Requirements& requirements, const Offer& offer) const {
  if (requirements.stays && offer.remote) return Fit::kNo;
  if (!std::includes(offer.labels.begin(), offer.labels.end(), requirements.labels.begin(),
                     requirements.labels.end()))
    return Fit::kNo;
  const std::string& platform =
      offer.platform.empty() && !offer.remote ? options_.platform : offer.platform;
  if (requirements.platform.empty() || requirements.platform == platform ||
      requirements.platform == sandbox::narrow_platform_of(platform))
    return Fit::kNative;
  const bool emulates = std::find(offer.emulates.begin(), offer.emulates.end(),
                                  requirements.platform) != offer.emulates.end();
  return emulates ? Fit::kEmulated : Fit::kNo;
}

void Choice::join(Class number, Runner& runner, Worker& worker) {
  Group& group = *classes_[number];
  const Fit how = fit(group.requirements, runner.offer);
  if (how == Fit::kNo) return;
  const bool emulated = how == Fit::kEmulated;
  const auto at = (emulated ? group.emulated : group.native)
                      .insert({Fleet::left(runner, group.action, 0), &runner})
                      .first;
  worker.classes.push_back({number, emulated, at});
}

void Choice::join_all(Runner& runner, Worker& worker) {
  worker.joined = true;
  for (Class number = 0; number < classes_.size(); ++number) join(number, runner, worker);
}

Choice::Class Choice::class_of(const Requirements& requirements, Action action) {
  const auto [found, is_new] = numbers_.try_emplace({requirements, action}, classes_.size());
  if (!is_new) return found->second;
  classes_.push_back(std::make_unique<Group>(Group{requirements, action, {}, {}}));
  for (const auto& [instance, runner] : fleet_.known()) {
    if (Worker& known = worker(*runner); known.joined) join(found->second, *runner, known);
  }
  return found->second;
}

bool Choice::fits(Class number) const {
  const Group& group = *classes_[number];
  // The session's own runner is started when there is something to do for it.
  return !group.who().empty() || (own() == 0 && fit(group.requirements, Offer{}) != Fit::kNo);
}

bool Choice::fits_another(Class number, const Runner& than) const {
  const Places& who = classes_[number]->who();
  return who.size() > 1 || (who.size() == 1 && who.begin()->runner != &than) ||
         (own() == 0 && fit(classes_[number]->requirements, Offer{}) != Fit::kNo);
}

// ---- The choice ------------------------------------------------------------------

bool Choice::any(Class number, const Credit& credit) const {
  const Group& group = *classes_[number];
  std::size_t looked = 0;
  for (const Place& place : group.who()) {
    if (++looked > kLook || Fleet::left(*place.runner, group.action, credit.limit) <= 0) break;
    if (credit.own || place.runner->offer.remote) return true;
  }
  return false;
}

Runner* Choice::choose(Class number, const Credit& credit,
                       std::span<const model::ArtifactRef> inputs, bool critical,
                       const Machines& lost_with) const {
  const Group& group = *classes_[number];
  const std::size_t resource = index(resource_of(group.action));
  std::array<Runner*, kLook> candidates{};
  std::size_t count = 0;
  const auto consider = [&](Runner* runner) {
    if (count == kLook || (!credit.own && !runner->offer.remote) ||
        std::find(candidates.begin(), candidates.begin() + count, runner) !=
            candidates.begin() + count)
      return;
    candidates[count++] = runner;
  };
  std::size_t looked = 0;
  const std::size_t by_credit = inputs.empty() ? kLook : kLook - kHoldersLookedAt;
  for (const Place& place : group.who()) {
    if (++looked > by_credit || Fleet::left(*place.runner, group.action, credit.limit) <= 0) break;
    consider(place.runner);
  }
  if (count == 0) return nullptr;
  // With all of them looked at, nobody who holds something is left.
  if (!inputs.empty() && group.who().size() > by_credit) {
    std::vector<std::pair<std::uint64_t, Artifact>> largest;
    for (const model::ArtifactRef& input : inputs) {
      if (const auto number_of = known(input.files))
        largest.emplace_back(size(*number_of), *number_of);
    }
    const std::size_t few = std::min(largest.size(), kHoldersLookedAt);
    std::partial_sort(largest.begin(), largest.begin() + static_cast<std::ptrdiff_t>(few),
                      largest.end(), std::greater<>());
    for (std::size_t i = 0; i < few && count < kLook; ++i) {
      for (Runner* const runner : holders_[largest[i].second]) {
        const Worker* const known_of = find(*runner);
        const bool member =
            runner->known && known_of != nullptr &&
            std::any_of(known_of->classes.begin(), known_of->classes.end(),
                        [&](const Membership& each) {
                          return each.number == number && each.emulated == group.native.empty();
                        });
        if (member && Fleet::left(*runner, group.action, credit.limit) > 0) consider(runner);
      }
    }
  }
  // Whoever lost it may well do so again: his slots are free for it, and its inputs are there.
  const auto has_lost = [&](const Runner* each) { return is_of(*each, lost_with.again); };
  const auto last = candidates.begin() + count;
  if (!lost_with.again.empty() && !std::all_of(candidates.begin(), last, has_lost))
    count = static_cast<std::size_t>(std::remove_if(candidates.begin(), last, has_lost) -
                                     candidates.begin());
  if (count == 1) return candidates[0];

  const auto load = [&](const Runner& runner) {
    return static_cast<double>(runner.given[resource]) / std::max(1u, at_once(runner));
  };
  double least = load(*candidates[0]);
  for (std::size_t i = 1; i < count; ++i) least = std::min(least, load(*candidates[i]));
  struct Score {
    bool later;  // it would wait for a slot
    bool lost;   // it was lost there
    int slower;
    std::uint64_t bytes;
    std::int64_t left;
    int slower_of_equals;
    auto operator<=>(const Score&) const = default;
  };
  Runner* best = nullptr;
  Score best_score{};
  for (std::size_t i = 0; i < count; ++i) {
    Runner* const runner = candidates[i];
    const bool later = load(*runner) >= 1;
    if (!critical && !later && load(*runner) >= least + kMuchMore) continue;
    const int slower = -speed_step(speed(*runner));
    const Score score{later,
                      is_of(*runner, lost_with.once),
                      critical ? slower : 0,
                      to_travel(*runner, inputs),
                      -Fleet::left(*runner, group.action, credit.limit),
                      slower};
    if (best != nullptr &&
        (best_score < score || (best_score == score && best->instance < runner->instance)))
      continue;
    best = runner;
    best_score = score;
  }
  return best;
}

std::uint64_t Choice::free_slots(Class number, const Credit& credit,
                                 const Machines& lost_with) const {
  const Group& group = *classes_[number];
  std::uint64_t free = 0, own = 0;
  std::size_t looked = 0;
  for (const Place& place : group.who()) {
    const Runner& runner = *place.runner;
    const std::int64_t left =
        Fleet::left(runner, group.action, credit.limit) - std::int64_t{kPrefill};
    if (++looked > kLook || left <= 0) break;
    if (is_of(runner, lost_with.again)) continue;
    if (runner.offer.remote) {
      free += static_cast<std::uint64_t>(left);
    } else if (const std::uint32_t given = runner.given[index(resource_of(group.action))];
               given < at_once(runner)) {
      own += at_once(runner) - given;
    }
  }
  return free + (credit.own ? std::min(own, credit.own_free) : 0);
}

// ---- What is learned -------------------------------------------------------------

std::optional<Choice::Artifact> Choice::known(const model::Digest& files) const {
  const auto found = artifacts_.find(files.hash);
  if (found == artifacts_.end()) return std::nullopt;
  return found->second;
}

Choice::Artifact Choice::artifact(const model::Digest& files) {
  const auto [found, is_new] =
      artifacts_.try_emplace(files.hash, static_cast<Artifact>(artifacts_.size()));
  if (is_new) {
    sizes_.push_back(0);
    holders_.emplace_back();
  }
  return found->second;
}

bool Choice::holds(const Worker& worker, Artifact artifact) {
  return artifact / 64 < worker.holds.size() &&
         (worker.holds[artifact / 64] >> (artifact % 64) & 1) != 0;
}

void Choice::hold(const Runner& runner, Artifact artifact) {
  Worker& known_of = worker(runner);
  if (holds(known_of, artifact)) return;
  if (known_of.holds.size() <= artifact / 64) known_of.holds.resize(artifact / 64 + 1, 0);
  known_of.holds[artifact / 64] |= std::uint64_t{1} << (artifact % 64);
  std::vector<Runner*>& holders = holders_[artifact];
  Runner* const holder = fleet_.find(runner.instance);
  if (holder == nullptr || std::find(holders.begin(), holders.end(), holder) != holders.end())
    return;
  // The newest take the place of the oldest.
  if (holders.size() == kHolders) holders.erase(holders.begin());
  holders.push_back(holder);
}

std::uint64_t Choice::size(Artifact artifact) const {
  if (sizes_[artifact] != 0) return sizes_[artifact];
  return sizes_known_ == 0 ? 1 : std::max<std::uint64_t>(1, sizes_sum_ / sizes_known_);
}

void Choice::set_size(Artifact artifact, std::uint64_t bytes) {
  if (bytes == 0 || sizes_[artifact] != 0) return;
  sizes_[artifact] = bytes;
  sizes_sum_ += bytes;
  ++sizes_known_;
}

std::uint64_t Choice::to_travel(const Runner& runner,
                                std::span<const model::ArtifactRef> inputs) const {
  if (!runner.offer.remote) return 0;  // its store is the session's
  const Worker* const known_of = find(runner);
  const std::uint64_t average =
      sizes_known_ == 0 ? 1 : std::max<std::uint64_t>(1, sizes_sum_ / sizes_known_);
  std::uint64_t bytes = 0;
  for (const model::ArtifactRef& input : inputs) {
    const auto number = known(input.files);
    if (number && known_of != nullptr && holds(*known_of, *number)) continue;
    bytes += number ? size(*number) : average;
  }
  return bytes;
}

void Choice::gives(const Runner& runner, std::span<const model::ArtifactRef> inputs) {
  if (!runner.offer.remote) return;
  for (const model::ArtifactRef& input : inputs) hold(runner, artifact(input.files));
}

void Choice::loses(const Runner& runner, std::span<const model::Digest> files) {
  Worker& known_of = worker(runner);
  for (const model::Digest& each : files) {
    const auto number = known(each);
    if (number && holds(known_of, *number))
      known_of.holds[*number / 64] &= ~(std::uint64_t{1} << (*number % 64));
  }
}

bool lacks_room(const wire::JobResult& result) {
  if (result.status != model::Outcome::kError || !result.error) return false;
  const std::string &domain = result.error->domain, &reason = result.error->reason;
  return (domain == "cas" || domain == "util" || domain == "remote") &&
         (reason == "cache-too-full" || reason == "enospc" || reason == "edquot");
}

void Choice::ended(const Runner& runner, const wire::JobResult& result, std::int64_t expected,
                   bool theirs) {
  Worker& known_of = worker(runner);
  if (result.status == model::Outcome::kKilled) return;
  const bool error = result.status == model::Outcome::kError;
  if (error && !theirs) return;
  if (error && known_of.errors == known_of.done + known_of.failed) ++known_of.errors;
  known_of.no_room = lacks_room(result) ? known_of.no_room + 1 : 0;
  ++(error || result.status == model::Outcome::kFailure ? known_of.failed : known_of.done);
  known_of.fetched += result.fetched;
  known_of.uploaded += result.uploaded;
  known_of.storage_fetched += result.storage_fetched;
  known_of.storage_uploaded += result.storage_uploaded;
  if (result.status != model::Outcome::kSuccess) return;
  if (result.artifact && runner.offer.remote) {
    const Artifact made = artifact(result.artifact->files);
    set_size(made, result.uploaded);
    hold(runner, made);
  }
  if (expected <= 0 || result.elapsed <= 0) return;
  const double pace = std::clamp(
      static_cast<double>(result.elapsed) / static_cast<double>(expected), 1.0 / 64, 64.0);
  known_of.pace = known_of.paces == 0 ? pace : (1 - kNewest) * known_of.pace + kNewest * pace;
  ++known_of.paces;
}

double Choice::speed(const Runner& runner) const {
  const Worker* const known_of = find(runner);
  return known_of == nullptr ? 1 : 1 / known_of->pace;
}

bool Choice::unproven(const Runner& runner) const {
  const Worker* const known_of = find(runner);
  return known_of == nullptr || known_of->errors == known_of->done + known_of->failed;
}

bool Choice::wants_quarantine(const Runner& runner) const {
  const Worker* const known_of = find(runner);
  return runner.offer.remote && known_of != nullptr && known_of->quarantined.empty() &&
         (known_of->errors >= kFirstJobs || known_of->no_room >= kFirstJobs);
}

void Choice::quarantine(Runner& runner, std::string why) {
  worker(runner).quarantined = std::move(why);
  fleet_.set_resting(runner, true);
}

const std::string& Choice::quarantined(const Runner& runner) const {
  static const std::string none;
  const Worker* const known_of = find(runner);
  return known_of == nullptr ? none : known_of->quarantined;
}

// ---- For people ------------------------------------------------------------------

std::string Choice::offers() const {
  std::string out;
  std::size_t shown = 0;
  for (const auto& [instance, runner] : fleet_.known()) {
    if (++shown > kOffersShown) {
      out += fmt::format("and {} more\n", fleet_.size() - kOffersShown);
      break;
    }
    const Offer& offer = runner->offer;
    const std::string& platform =
        offer.platform.empty() && !offer.remote ? options_.platform : offer.platform;
    out += fmt::format("{}: {}{}{}{}\n", instance, platform.empty() ? "no platform" : platform,
                       offer.emulates.empty()
                           ? ""
                           : fmt::format(" (emulated: {})", fmt::join(offer.emulates, ", ")),
                       labels_text(offer.labels),
                       !quarantined(*runner).empty() ? ", in quarantine"
                       : runner->resting             ? ", takes no more jobs"
                                                     : "");
  }
  return out.empty() ? "There is no runner\n" : out;
}

wire::RunnerInfo Choice::info(const Runner& runner, Duration now) const {
  const Offer& offer = runner.offer;
  wire::RunnerInfo info;
  info.name = runner.instance;
  info.host = runner.host;
  info.machine = offer.machine;
  info.platform = offer.platform.empty() && !offer.remote ? options_.platform : offer.platform;
  info.emulates = offer.emulates;
  info.labels = offer.labels;
  info.slots = runner.slots;
  info.processors = offer.processors;
  for (const auto& [job, lease] : runner.leases) ++(lease.started ? info.running : info.waiting);
  info.remote = offer.remote;
  info.remaining_s = offer.remaining_s;
  info.silent = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now - runner.heard).count());
  info.draining = runner.resting;
  if (const Worker* const known_of = find(runner)) {
    info.quarantined = known_of->quarantined;
    info.draining = runner.resting && info.quarantined.empty();
    info.done = known_of->done;
    info.failed = known_of->failed;
    info.fetched = known_of->fetched;
    info.uploaded = known_of->uploaded;
    info.storage_fetched = known_of->storage_fetched;
    info.storage_uploaded = known_of->storage_uploaded;
  }
  return info;
}

// What a runner holds, and how fast it is, change nothing but the place and the time. They are left
// out, as are counts that are only told.
void Choice::add_to(StateDigest& digest) const {
  digest.add(remote_);
  std::map<std::string_view, const Worker*> sorted;
  for (const auto& [runner, worker] : workers_) {
    if (runner->offer.remote) sorted.emplace(runner->instance, &worker);
  }
  for (const auto& [instance, worker] : sorted) {
    digest.add(instance);
    digest.add(worker->errors);
    digest.add(worker->no_room);
    digest.add(worker->errors == worker->done + worker->failed);
    digest.add(!worker->quarantined.empty());
  }
  digest.add(vanished_.size());
}

}  // namespace sluice::scheduler
