#include "cli/slurm_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr unsigned kMostFailures = 3;
constexpr Duration kFirstPause = std::chrono::minutes(1);
constexpr Duration kLongestPause = std::chrono::minutes(16);

// A job that Slurm doesn't speak of for so long, though it answers, isn't on its way any more: it
// is on a cluster that isn't asked, or had ended and was forgotten before it was asked for.
constexpr Duration kUnseen = std::chrono::seconds(60);
// So much of it counts for each answer, since none came for as long perhaps.
constexpr Duration kBetweenAnswers = std::chrono::seconds(15);
constexpr const char* kFormat = "%i|%T|%M|%l|%N|%r";
// Comes before the jobs of each cluster, where some were named.
constexpr std::string_view kCluster = "CLUSTER: ";

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
  std::string cluster;
  for (std::string_view line : split_lines(text)) {
    while (line.ends_with('\n') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (line.starts_with(kCluster)) {
      cluster = line.substr(kCluster.size());
      continue;
    }
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
                    std::string(parts[4]), std::string(parts[5]), cluster});
  }
  return jobs;
}

std::vector<std::string> squeue_command(const std::string& job_name,
                                        const std::vector<SlurmJob>& jobs) {
  std::vector<std::string> argv{
      "squeue",       "--noheader",         "--me",
      "--states=all", "--name=" + job_name, fmt::format("--format={}", kFormat)};
  std::set<std::string> clusters;
  for (const SlurmJob& job : jobs) {
    if (!job.cluster.empty()) clusters.insert(job.cluster);
  }
  if (!clusters.empty()) argv.push_back(fmt::format("--clusters={}", fmt::join(clusters, ",")));
  return argv;
}

std::vector<std::vector<std::string>> scancel_commands(const std::vector<SlurmJob>& jobs,
                                                       const std::vector<std::string>& options) {
  std::map<std::string, std::vector<std::string>> commands;
  for (const SlurmJob& job : jobs) {
    std::vector<std::string>& argv = commands[job.cluster];
    if (argv.empty()) {
      argv.emplace_back("scancel");
      if (!job.cluster.empty()) argv.push_back("--clusters=" + job.cluster);
      argv.insert(argv.end(), options.begin(), options.end());
    }
    argv.push_back(std::to_string(job.id));
  }
  std::vector<std::vector<std::string>> out;
  for (auto& [cluster, argv] : commands) out.push_back(std::move(argv));
  return out;
}

Result<SlurmJob> read_sbatch(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  const auto semicolon = text.find(';');
  const auto id = number_of(text.substr(0, semicolon));
  if (!id) return fail("slurm", "bad-answer", fmt::format("no job id in '{}'", text));
  SlurmJob job;
  job.id = *id;
  if (semicolon != std::string_view::npos) job.cluster = text.substr(semicolon + 1);
  return job;
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
  const Duration since =
      looked_ == Duration::zero() ? Duration::zero() : std::min(now - looked_, kBetweenAnswers);
  looked_ = now;
  for (auto known = jobs_.begin(); known != jobs_.end();) {
    Known& job = known->second;
    const auto found = std::find_if(jobs.begin(), jobs.end(), [&](const SlurmJob& each) {
      return each.id == known->first &&
             (each.cluster.empty() || job.last.cluster.empty() || each.cluster == job.last.cluster);
    });
    // A runner that has joined was there, whatever Slurm says, and is in nobody's way.
    const bool has_joined = joined.contains(slurm_runner(known->first));
    if (found == jobs.end() && !has_joined) job.unseen += since;
    if (found != jobs.end()) {
      std::string cluster = std::move(job.last.cluster);
      job.last = *found;
      job.last.cluster = std::move(cluster);
    } else if (!job.last.state.empty() || job.unseen >= kUnseen) {
      // Slurm forgets what has ended, some time later.
      job.last.state = "gone";
    }
    if (!job.joined && has_joined) {
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
  step.submit = !on_its_way && jobs_.size() < wanted_ && now >= pause_until_;
  return step;
}

void SlurmPlan::submitted(std::uint64_t id, const std::string& cluster) {
  Known known;
  known.last.id = id;
  known.last.cluster = cluster;
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
