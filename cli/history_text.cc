#include "cli/history_text.h"

#include <algorithm>
#include <ctime>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/glob.h"
#include "base/tail.h"
#include "base/text.h"
#include "cli/table.h"
#include "history/measures.h"

namespace sluice::cli {

using history::Fate;
using history::History;
using history::Job;
using history::Run;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kBrief = 8;  // characters of a key
// Jobs of the critical path that are named; the longest ones, in their order.
constexpr std::size_t kNamed = 5;
// Targets that have room in a line; the others are counted.
constexpr std::size_t kTargetColumns = 60;

const history::Element& element_of(const History& history, const Job& job) {
  return history.runs[job.run].elements[job.element];
}

bool has_element(const Job& job) {
  return job.run != history::kNone && job.element != history::kNone;
}

std::string name_of(const History& history, const Job& job) {
  return has_element(job) ? element_of(history, job).name : "-";
}

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

std::string outcome_of(const Job& job) {
  return job.running() ? job.started == 0 ? "given" : "running" : job.outcome;
}

std::string named(const History& history, const Job& job) {
  return fmt::format("{} {}", job.action, name_of(history, job));
}

}  // namespace

std::string short_duration(std::int64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds) / kSecond;
  if (seconds < 0.9995) return fmt::format("{:.2f}s", seconds);
  if (seconds < 59.95) return fmt::format("{:.1f}s", seconds);
  const std::int64_t whole = (nanoseconds + kSecond / 2) / kSecond;
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string local_date(std::int64_t nanoseconds) {
  if (nanoseconds == 0) return "-";
  const std::time_t when = nanoseconds / kSecond;
  std::tm parts{};
  ::localtime_r(&when, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::vector<std::size_t> choose_jobs(const History& history, const JobFilter& filter) {
  std::vector<Glob> patterns;
  for (const std::string& pattern : filter.elements) patterns.emplace_back(pattern);
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < history.jobs.size(); ++i) {
    const Job& job = history.jobs[i];
    if (filter.run != 0 && history.runs[job.run].number != filter.run) continue;
    if (!filter.actions.empty() &&
        std::find(filter.actions.begin(), filter.actions.end(), job.action) == filter.actions.end())
      continue;
    const std::string name = name_of(history, job);
    if (!patterns.empty() && std::none_of(patterns.begin(), patterns.end(),
                                          [&](const Glob& one) { return one.matches(name); }))
      continue;
    out.push_back(i);
  }
  const auto by = [&](auto less) {
    std::stable_sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
      return less(history.jobs[a], history.jobs[b]);
    });
  };
  if (filter.sort == "duration") {
    by([](const Job& a, const Job& b) { return a.duration > b.duration; });
  } else if (filter.sort == "element") {
    by([&](const Job& a, const Job& b) { return name_of(history, a) < name_of(history, b); });
  } else if (filter.sort == "cpu") {
    by([](const Job& a, const Job& b) { return a.usage.cpu > b.usage.cpu; });
  } else if (filter.sort == "memory") {
    by([](const Job& a, const Job& b) { return a.usage.memory > b.usage.memory; });
  } else {
    by([](const Job& a, const Job& b) { return a.started < b.started; });
  }
  return out;
}

std::string what_ran_text(const History& history, const std::vector<std::size_t>& jobs) {
  if (jobs.empty()) return {};
  std::vector<std::array<std::string, 12>> rows{{"ACTION", "ELEMENT", "KEY", "RUNNER", "SLOT",
                                                 "STARTED", "DURATION", "OUTCOME", "ORIGIN", "CPU",
                                                 "MEMORY", "LOG"}};
  for (const std::size_t index : jobs) {
    const Job& job = history.jobs[index];
    rows.push_back({job.action, name_of(history, job), or_dash(job.key.substr(0, kBrief)),
                    or_dash(job.runner), job.started == 0 ? "-" : std::to_string(job.slot),
                    local_date(job.started), short_duration(job.duration),
                    job.attempt == 1 ? outcome_of(job)
                                     : fmt::format("{}, attempt {}", outcome_of(job), job.attempt),
                    or_dash(job.origin), job.usage.cpu == 0 ? "-" : short_duration(job.usage.cpu),
                    job.usage.memory == 0 ? "-" : pretty_size(job.usage.memory),
                    or_dash(job.log_file)});
  }
  return table(rows);
}

std::vector<ShownFailure> shown_failures(const History& history, std::uint32_t lines) {
  std::vector<ShownFailure> out;
  for (std::size_t r = 0; r < history.runs.size(); ++r) {
    const Run& run = history.runs[r];
    // What a later run has made of an element counts.
    const std::vector<Fate> fates = history::fates(history, run);
    if (!out.empty()) {
      std::unordered_map<std::string_view, Fate> now;
      for (std::size_t e = 0; e < run.elements.size(); ++e)
        now.try_emplace(run.elements[e].name, fates[e]);
      std::erase_if(out, [&](const ShownFailure& earlier) {
        const auto fate = now.find(history.runs[earlier.run].elements[earlier.element].name);
        return fate != now.end() && fate->second != Fate::kNotReached &&
               fate->second != Fate::kNotNeeded;
      });
    }
    for (const history::Failure& failure : history::failures(history, run, fates)) {
      const Job& job = history.jobs[failure.job];
      std::string tail = job.log_tail;
      if (tail.empty() && !job.log_file.empty()) tail = tail_of(job.log_file, lines);
      const auto all = split_lines(tail);
      std::string last;
      for (std::size_t i = all.size() - std::min<std::size_t>(all.size(), lines); i < all.size();
           ++i)
        last += all[i];
      out.push_back({r, failure.element, failure.job, failure.attempts, std::move(last)});
    }
  }
  return out;
}

namespace {

std::string message_of(const Job& job) {
  if (!job.text.empty()) return job.text;
  return job.error ? job.error->message : job.outcome;
}

void add_failure(std::string& out, const History& history, const ShownFailure& failure,
                 std::string_view indentation) {
  const Job& job = history.jobs[failure.job];
  out += fmt::format("{}{}: {}\n", indentation, named(history, job), message_of(job));
  const std::string deeper = std::string(indentation) + "    ";
  std::string how = fmt::format("after {}", short_duration(job.duration));
  if (!job.runner.empty()) how += fmt::format(", by {} on {}", job.runner, or_dash(job.host));
  if (failure.attempts > 1) how += fmt::format(", attempt {}", failure.attempts);
  out += deeper + how + "\n";
  if (!job.detail.empty())
    out += indent(job.detail, deeper) + (job.detail.ends_with('\n') ? "" : "\n");
  if (!job.log_file.empty()) out += fmt::format("{}log: {}\n", deeper, job.log_file);
}

bool is_error(const history::Note& note) { return note.error.has_value(); }

std::string place_of(const wire::ErrorSection& error) {
  if (error.file.empty()) return {};
  if (error.line == 0) return error.file + ": ";
  return fmt::format("{} [line {} column {}]: ", error.file, error.line, error.column);
}

}  // namespace

std::string what_failed_text(const History& history, const std::vector<ShownFailure>& failures) {
  std::string out;
  for (const ShownFailure& failure : failures) {
    if (!out.empty()) out += "\n";
    add_failure(out, history, failure, "");
    if (failure.log_tail.empty()) continue;
    out += "\n" + indent(failure.log_tail, "    | ");
    if (!failure.log_tail.ends_with('\n')) out += "\n";
  }
  for (const history::Note& note : history.notes) {
    if (!is_error(note)) continue;
    if (!out.empty()) out += "\n";
    out += place_of(*note.error) + note.text + "\n";
    if (!note.detail.empty()) out += indent(note.detail, "    ") + "\n";
  }
  return out;
}

namespace {

// Rows of "Name  value".
class Rows {
 public:
  void add(std::string_view name, const std::string& value) {
    out += fmt::format("  {:<14}{}\n", name, value);
  }
  std::string out;
};

std::string counts_text(const history::Summary& summary) {
  std::vector<std::string> parts;
  for (const auto& [count, what] : summary.told())
    parts.push_back(fmt::format("{} {}", count, what));
  return fmt::format("{}{}{}", summary.elements, parts.empty() ? "" : ": ", fmt::join(parts, ", "));
}

std::string path_text(const History& history, const history::CriticalPath& path) {
  // Of a long path the jobs that take most.
  std::vector<std::size_t> longest = path.jobs;
  std::stable_sort(longest.begin(), longest.end(), [&](std::size_t a, std::size_t b) {
    return history.jobs[a].duration > history.jobs[b].duration;
  });
  if (longest.size() > kNamed) longest.resize(kNamed);
  std::vector<std::string> names;
  bool gap = false;
  for (const std::size_t index : path.jobs) {
    if (std::find(longest.begin(), longest.end(), index) == longest.end()) {
      if (!std::exchange(gap, true)) names.emplace_back("...");
      continue;
    }
    gap = false;
    const Job& job = history.jobs[index];
    names.push_back(fmt::format("{} {}", named(history, job), short_duration(job.duration)));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void add_slowest(std::string& out, const History& history, const history::Summary& summary) {
  if (summary.slowest.empty()) return;
  out += "\nSlowest\n";
  for (const std::size_t index : summary.slowest) {
    const Job& job = history.jobs[index];
    out += fmt::format("  {:>8}  {}\n", short_duration(job.duration), named(history, job));
  }
}

void add_runners(std::string& out, const history::Summary& summary) {
  if (summary.runners.empty()) return;
  out += "\nRunners\n";
  for (const auto& runner : summary.runners) {
    std::string line =
        fmt::format("  {:>8}  {} on {}: {} job{}", short_duration(runner.busy), runner.name,
                    or_dash(runner.host), runner.jobs, runner.jobs == 1 ? "" : "s");
    if (runner.failed > 0) line += fmt::format(", {} failed", runner.failed);
    if (runner.lost > 0) line += fmt::format(", {} lost", runner.lost);
    out += line + "\n";
  }
}

// "build a.bst b.bst and 3 more"
std::string command_text(const Run& run) {
  std::string out = run.verb;
  std::size_t columns = 0;
  for (std::size_t i = 0; i < run.targets.size(); ++i) {
    columns += 1 + display_width(run.targets[i]);
    if (i > 0 && columns > kTargetColumns)
      return out + fmt::format(" and {} more", run.targets.size() - i);
    out += " " + run.targets[i];
  }
  return out;
}

std::string outcome_text(const std::string& outcome) {
  return outcome.empty() ? "goes on" : outcome;
}

}  // namespace

std::string summary_text(const History& history, std::size_t run_index,
                         const std::vector<ShownFailure>& failures) {
  std::string out = fmt::format("Session {} of {}\n", history.session, or_dash(history.project));
  Rows rows;
  if (run_index == history::kNone) {
    rows.add("Outcome", outcome_text(history.outcome()));
    rows.add("Started", local_date(history.started));
    rows.add("Elements", "nothing has run");
    out += rows.out;
    const std::string failed = what_failed_text(history, failures);
    return failed.empty() ? out : out + "\nFailed\n" + indent(failed, "  ");
  }
  const Run& run = history.runs[run_index];
  const history::Summary summary = history::summarise(history, run);
  const std::string outcome = run.outcome.empty() && history.over ? history.outcome() : run.outcome;
  rows.add("Command", command_text(run));
  std::string took = fmt::format("{}, {} {}", outcome_text(outcome),
                                 outcome.empty() ? "for" : "after", short_duration(run.duration));
  if (run.suspended > 0) took += fmt::format(" (and {} suspended)", short_duration(run.suspended));
  rows.add("Outcome", took);
  rows.add("Started", local_date(run.started));
  rows.add("Elements", counts_text(summary));
  if (summary.hit_rate() >= 0)
    rows.add("Hit rate",
             fmt::format("{:.0f} % of {} artifacts were not built", 100 * summary.hit_rate(),
                         summary.count(Fate::kCached) + summary.count(Fate::kPulled) +
                             summary.count(Fate::kBuilt)));
  if (!summary.path.jobs.empty()) {
    rows.add("Critical path",
             fmt::format("{} of {} ({:.0f} %)", short_duration(summary.path.duration),
                         short_duration(run.duration),
                         100.0 * static_cast<double>(summary.path.duration) /
                             static_cast<double>(std::max<std::int64_t>(run.duration, 1))));
    rows.add("", path_text(history, summary.path));
  }
  if (summary.load.busy > 0) {
    std::string load = fmt::format("{:.1f}", summary.load.average);
    if (summary.load.builders > 0) load += fmt::format(" of {}", summary.load.builders);
    rows.add("Builders", fmt::format("{} busy on average, {} at most", load, summary.load.peak));
  }
  if (summary.cpu > 0) rows.add("Processors", short_duration(summary.cpu) + " of their time");
  if (summary.largest != history::kNone)
    rows.add("Memory", fmt::format("{} at most, {}", pretty_size(summary.memory),
                                   named(history, history.jobs[summary.largest])));
  if (summary.fetched > 0 || summary.uploaded > 0)
    rows.add("Network", fmt::format("{} fetched, {} uploaded", pretty_size(summary.fetched),
                                    pretty_size(summary.uploaded)));
  out += rows.out;
  add_slowest(out, history, summary);
  add_runners(out, summary);
  std::string failed;
  for (const ShownFailure& failure : failures) {
    if (failure.run == run_index) add_failure(failed, history, failure, "  ");
  }
  if (!failed.empty()) out += "\nFailed\n" + failed;
  return out;
}

}  // namespace sluice::cli
