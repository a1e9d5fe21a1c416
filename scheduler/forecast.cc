#include "scheduler/forecast.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

namespace sluice::scheduler {

namespace {

// A job that takes longer than it was to take is expected to end any time.
constexpr std::int64_t kLate = 20;  // a twentieth of what it was to take
constexpr std::int64_t kShortest = 1'000'000;
// Jobs of this run must have been to take so long together before they say how this machine
// compares with the last time.
constexpr double kTelling = 2e9;
constexpr double kLeastRatio = 0.25, kMostRatio = 4;
// How uncertain an estimate is as such, and how much more for what was never built.
constexpr double kSpread = 0.15, kSpreadUnknown = 0.5;
constexpr Duration kAgain = std::chrono::seconds(1);
constexpr std::int64_t kStale = 5'000'000'000;
constexpr int kShare = 100;  // of the thread's time, at most one part of so many

}  // namespace

std::int64_t Forecast::OfAction::average() const {
  if (jobs > 0 && count == 0) return static_cast<std::int64_t>(taken / jobs);
  return count == 0 ? 0 : static_cast<std::int64_t>(sum / count);
}

void Forecast::run_started() {
  of_ = {};
  planned_.clear();
  last_.reset();
  not_before_ = {};
}

std::int64_t Forecast::known(ElementIndex e, Action action) const {
  const auto& known = of(action).known;
  return e < known.size() ? known[e] : 0;
}

// What has never been done takes as long as what has, on average.
bool Forecast::take(const Run& run, const KnownSnapshot& loaded,
                    const std::vector<JobDuration>& jobs) {
  std::unordered_map<std::string, std::int64_t> times;
  const auto name = [](Action action, std::string_view project, std::string_view element) {
    return fmt::format("{}:{}:{}", static_cast<unsigned>(action), project, element);
  };
  for (const JobDuration& job : jobs) times[name(job.action, job.project, job.element)] = job.time;
  planned_.assign(loaded.size(), 0);
  for (std::size_t q = 0; q < run.queues(); ++q) {
    const QueueType& type = run.type(q);
    if (type.to_do == nullptr) continue;
    OfAction& action = of(type.action);
    action.known.assign(loaded.size(), 0);
    std::vector<ElementIndex> unknown;
    for (const ElementIndex e : run.plan()) {
      const auto found =
          times.find(name(type.action, loaded.project(e).name, loaded.element(e).name));
      if (found != times.end()) action.known[e] = found->second;
      if (!type.to_do(run, e)) continue;
      if (found == times.end()) {
        unknown.push_back(e);
        continue;
      }
      planned_[e] += found->second;
      action.sum += static_cast<double>(found->second);
      ++action.count;
    }
    for (const ElementIndex e : unknown) planned_[e] += action.average();
  }
  last_.reset();
  if (std::none_of(planned_.begin(), planned_.end(), [](std::int64_t time) { return time > 0; }))
    return false;
  run.order_by(planned_);
  return true;
}

void Forecast::worked(ElementIndex e, Action action, std::int64_t took) {
  OfAction& jobs = of(action);
  ++jobs.jobs;
  jobs.taken += static_cast<double>(took);
  if (const std::int64_t expected = known(e, action); expected > 0) {
    jobs.taken_of_known += static_cast<double>(took);
    jobs.expected_of_known += static_cast<double>(expected);
  }
}

std::vector<std::int64_t> Forecast::planned(const Run& run) const {
  std::vector<std::int64_t> out;
  out.reserve(run.pipeline().size());
  for (const ElementIndex e : run.pipeline()) out.push_back(e < planned_.size() ? planned_[e] : 0);
  return out;
}

std::optional<double> Forecast::ratio() const {
  double taken = 0, expected = 0;
  for (const OfAction& action : of_) {
    taken += action.taken_of_known;
    expected += action.expected_of_known;
  }
  if (expected < kTelling) return std::nullopt;
  return std::clamp(taken / expected, kLeastRatio, kMostRatio);
}

wire::EstimateSection Forecast::compute(const Session& session, std::int64_t elapsed,
                                        const Slots& slots) const {
  const Run& run = *session.run;
  const double by = ratio().value_or(1);
  std::unordered_map<ElementIndex, std::int64_t> began;
  for (const auto& [id, attempt] : session.attempts) {
    if (attempt.started) began[attempt.element] = attempt.began;
  }
  wire::EstimateSection estimate;
  double work = 0, guessed = 0;
  const auto cost = [&](std::size_t queue, ElementIndex e) -> std::int64_t {
    const QueueType& type = run.type(queue);
    const bool needed = type.to_do != nullptr          ? type.to_do(run, e)
                        : type.action == Action::kPull ? run.pull_pending(e)
                                                       : run.is_entered(e);
    if (!needed) return 0;
    const std::int64_t last = known(e, type.action);
    // What this run's jobs of the kind have taken is no guess that the ratio would change.
    const std::int64_t takes = last > 0 ? static_cast<std::int64_t>(static_cast<double>(last) * by)
                                        : of(type.action).average();
    if (takes == 0) return 0;
    const auto active = began.find(e);
    if (active == began.end() || run.queue_of(e) != queue) return std::max(takes, kShortest);
    return std::max({takes - (elapsed - active->second), takes / kLate, kShortest});
  };
  std::array<std::int64_t, kResources> limited{}, unlimited{};
  for (std::size_t resource = 0; resource < kResources; ++resource) {
    limited[resource] = std::max(1u, slots[resource]);
    unlimited[resource] = std::int64_t{1} << 40;
  }
  std::array<std::int64_t, kResources> sums{};
  for (const ElementIndex e : run.plan()) {
    if (!run.is_waiting(e) && !run.is_active(e)) continue;
    for (std::size_t queue = run.queue_of(e); queue < run.queues(); ++queue) {
      const QueueType& type = run.type(queue);
      const std::int64_t takes = cost(queue, e);
      if (takes == 0) continue;
      sums[static_cast<std::size_t>(type.traits().resource)] += takes;
      work += static_cast<double>(takes);
      if (known(e, type.action) != 0) continue;
      guessed += static_cast<double>(takes);
      if (type.traits().needs == model::Needs::kInputs) ++estimate.guessed;
    }
  }
  const auto runs = [&](ElementIndex e) { return began.contains(e); };
  estimate.remaining = run.time_left(cost, runs, limited);
  estimate.critical = run.time_left(cost, runs, unlimited);
  std::int64_t least = estimate.critical;
  for (std::size_t resource = 0; resource < kResources; ++resource)
    least = std::max(least, sums[resource] / limited[resource]);
  const double spread = kSpread + (work > 0 ? kSpreadUnknown * guessed / work : 0);
  estimate.low = static_cast<std::int64_t>(static_cast<double>(least) * (1 - spread));
  estimate.high = static_cast<std::int64_t>(static_cast<double>(estimate.remaining) * (1 + spread));
  return estimate;
}

std::optional<wire::EstimateSection> Forecast::estimate(const Session& session,
                                                        std::uint64_t version, std::int64_t elapsed,
                                                        const Slots& slots) {
  if (!session.run || session.run->measures()) return std::nullopt;
  const bool known = std::any_of(of_.begin(), of_.end(),
                                 [](const OfAction& of) { return of.count > 0 || of.jobs > 0; });
  if (!known) return std::nullopt;
  const Duration begins = clock_.monotonic();
  const bool stale = !last_ || version != last_version_ || elapsed - last_elapsed_ > kStale;
  if (stale && begins >= not_before_) {
    last_ = compute(session, elapsed, slots);
    last_version_ = version;
    last_elapsed_ = elapsed;
    const Duration ends = clock_.monotonic();
    not_before_ = ends + std::max(kAgain, (ends - begins) * kShare);
  }
  if (!last_) return std::nullopt;
  wire::EstimateSection now = *last_;
  const std::int64_t since = std::max<std::int64_t>(0, elapsed - last_elapsed_);
  for (std::int64_t* const time : {&now.remaining, &now.low, &now.high, &now.critical})
    *time = std::max<std::int64_t>(0, *time - since);
  return now;
}

}  // namespace sluice::scheduler
