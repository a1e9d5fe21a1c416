#include "cli/slurm_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr unsigned kMostFailures = 3;
constexpr Duration kFirstPause = std::chrono::minutes(1);
constexpr Duration kLongestPause = std::chrono::minutes(16);

// The states of a job that is to run, or does.
constexpr std::string_view kWaiting[] = {"PENDING",   "CONFIGURING",  "REQUEUED",
                                         "SUSPENDED", "REQUEUE_HOLD", "SPECIAL_EXIT"};
constexpr std::string_view kRunning[] = {"RUNNING",   "COMPLETING", "STAGE_OUT",
                                         "SIGNALING", "STOPPED",    "RESIZING"};

template <std::size_t N>
bool is_one_of(std::string_view state, const std::string_view (&states)[N]) {
  return std::find(std::begin(states), std::end(states), state) != std::end(states);
}

bool has_ended(const SlurmJob& job) {
  return !is_one_of(job.state, kWaiting) && !is_one_of(job.state, kRunning);
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string where(const SlurmJob& job) {
  return fmt::format("Slurm job {}{}{}", job.id, job.nodes.empty() ? "" : " on ", job.nodes);
}

}  // namespace

std::uint64_t slurm_seconds(std::string_view text) {
  std::uint64_t days = 0, seconds = 0;
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    days = number_of(text.substr(0, dash)).value_or(0);
    text.remove_prefix(dash + 1);
  }
  while (true) {
    const auto colon = text.find(':');
    const auto part = number_of(text.substr(0, colon));
    if (!part) return 0;
    seconds = seconds * 60 + *part;
    if (colon == std::string_view::npos) return days * 86400 + seconds;
    text.remove_prefix(colon + 1);
  }
}

Result<std::vector<SlurmJob>> read_squeue(std::string_view text) {
  std::vector<SlurmJob> jobs;
  for (std::string_view line : split_lines(text)) {
    while (line.ends_with('\n') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty()) continue;
    std::array<std::string_view, 6> parts;
    std::string_view rest = line;
    std::size_t count = 0;
    // The reason is last, and may have what separates the others.
    for (; count + 1 < parts.size(); ++count) {
      const auto bar = rest.find('|');
      if (bar == std::string_view::npos) break;
      parts[count] = rest.substr(0, bar);
      rest.remove_prefix(bar + 1);
    }
    parts.back() = rest;
    const auto id = number_of(parts[0]);
    if (count + 1 != parts.size() || !id || parts[1].empty())
      return fail("slurm", "bad-answer",
                  fmt::format("squeue's answer is not understood: {}", line));
    jobs.push_back({*id, std::string(parts[1]), slurm_seconds(parts[2]), slurm_seconds(parts[3]),
                    std::string(parts[4]), std::string(parts[5])});
  }
  return jobs;
}

std::string slurm_runner(std::uint64_t id) { return fmt::format("slurm-{}", id); }

void SlurmPlan::failed_start(Step& step, Duration now) {
  if (++failures_ < kMostFailures) return;
  failures_ = 0;
  pause_ = pause_ == Duration::zero() ? kFirstPause : std::min(2 * pause_, kLongestPause);
  pause_until_ = now + pause_;
  step.warnings.push_back(
      fmt::format("{} starts in a row have failed: the next is tried in {} minute{}", kMostFailures,
                  std::chrono::duration_cast<std::chrono::minutes>(pause_).count(),
                  pause_ == kFirstPause ? "" : "s"));
}

void SlurmPlan::ended(const Known& known, Step& step, Duration now) {
  const SlurmJob& job = known.last;
  const std::string reason =
      job.reason.empty() || job.reason == "None" ? "" : " (" + job.reason + ")";
  // The script takes nine tenths of the time at most for the runner's lifetime.
  const bool by_walltime =
      job.state == "TIMEOUT" || (job.limit_s != 0 && job.elapsed_s * 10 >= job.limit_s * 8);
  if (job.state == "COMPLETED" && !by_walltime) {
    // It was told to leave, or had nothing to do for as long as it was told to wait.
    if (wanted_ > 0) --wanted_;
    step.said.push_back(fmt::format("{}: its runner has left; no other is started", where(job)));
    return;
  }
  if (job.state == "CANCELLED") {
    if (wanted_ > 0) --wanted_;
    step.said.push_back(fmt::format("{} was cancelled; no other is started", where(job)));
    return;
  }
  if (by_walltime && known.joined) {
    step.said.push_back(
        fmt::format("{} has reached its walltime; another one takes its place", where(job)));
    return;
  }
  if (known.joined) {
    step.warnings.push_back(fmt::format("{} was lost: {}{}", where(job), job.state, reason));
    return;
  }
  step.warnings.push_back(fmt::format(
      "{} ended before its runner had joined: {}{}; its output says why (/tmp/slurm-{}.out there, "
      "unless --output or --chdir was given)",
      where(job), job.state, reason, job.id));
  failed_start(step, now);
}

SlurmPlan::Step SlurmPlan::look(const std::vector<SlurmJob>& jobs,
                                const std::set<std::string>& joined, Duration now) {
  Step step;
  for (auto known = jobs_.begin(); known != jobs_.end();) {
    const auto found = std::find_if(jobs.begin(), jobs.end(),
                                    [&](const SlurmJob& job) { return job.id == known->first; });
    Known& job = known->second;
    if (found != jobs.end()) {
      job.last = *found;
    } else if (!job.last.state.empty()) {
      // Slurm forgets what has ended, some time later.
      job.last.state = "gone";
    }
    if (!job.joined && joined.contains(slurm_runner(known->first))) {
      job.joined = true;
      failures_ = 0;
      pause_ = Duration::zero();
      step.said.push_back(fmt::format("{}: its runner has joined", where(job.last)));
    }
    if (job.last.state.empty() || !has_ended(job.last)) {
      ++known;
      continue;
    }
    ended(job, step, now);
    known = jobs_.erase(known);
  }
  const bool on_its_way = std::any_of(jobs_.begin(), jobs_.end(),
                                      [](const auto& entry) { return !entry.second.joined; });
  step.submit = !on_its_way && jobs_.size() < wanted_ && !paused(now);
  return step;
}

void SlurmPlan::submitted(std::uint64_t id) {
  Known known;
  known.last.id = id;
  jobs_.emplace(id, known);
}

SlurmPlan::Step SlurmPlan::refused(const std::string& why, Duration now) {
  Step step;
  step.warnings.push_back("sbatch: " + why);
  failed_start(step, now);
  return step;
}

std::vector<SlurmJob> SlurmPlan::live() const {
  std::vector<SlurmJob> jobs;
  for (const auto& [id, job] : jobs_) jobs.push_back(job.last);
  return jobs;
}

}  // namespace sluice::cli
