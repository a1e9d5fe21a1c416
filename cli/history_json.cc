// The JSON of `session what-ran`, `what-failed` and `summary`. Times are seconds, as numbers;
// moments are seconds since 1970; what isn't known is null.
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/history_text.h"
#include "history/measures.h"

namespace sluice::cli {

using history::Fate;
using history::History;
using history::Job;
using history::Run;
using nlohmann::ordered_json;

namespace {

constexpr double kSecond = 1e9;

ordered_json seconds(std::int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / kSecond;
}
ordered_json moment(std::int64_t nanoseconds) {
  return nanoseconds == 0 ? ordered_json() : seconds(nanoseconds);
}
ordered_json text(const std::string& value) {
  return value.empty() ? ordered_json() : ordered_json(value);
}
template <typename T>
ordered_json known(T value) {
  return value == 0 ? ordered_json() : ordered_json(value);
}

std::string dumped(const ordered_json& document) {
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json json_of(const wire::ErrorSection& error) {
  ordered_json out{{"domain", error.domain}, {"reason", error.reason}, {"message", error.message}};
  out["provenance"] =
      error.file.empty()
          ? ordered_json()
          : ordered_json{{"file", error.file}, {"line", error.line}, {"column", error.column}};
  return out;
}

ordered_json json_of(const History& history, const Job& job) {
  const history::Element* const element =
      job.element == history::kNone ? nullptr : &history.runs[job.run].elements[job.element];
  return {{"job", job.id},
          {"attempt", job.attempt},
          {"run", history.runs[job.run].number},
          {"action", job.action},
          {"element", element == nullptr ? ordered_json() : text(element->name)},
          {"key", text(job.key)},
          {"runner", text(job.runner)},
          {"host", text(job.host)},
          {"slot", job.slot},
          {"started", moment(job.started)},
          {"ended", moment(job.ended)},
          {"duration", seconds(job.duration)},
          {"outcome", text(job.outcome)},
          {"origin", text(job.origin)},
          {"cpu", job.usage.cpu == 0 ? ordered_json() : seconds(job.usage.cpu)},
          {"memory", known(job.usage.memory)},
          {"bytes", known(job.usage.bytes)},
          {"fetched", known(job.usage.fetched)},
          {"uploaded", known(job.usage.uploaded)},
          {"log", text(job.log_file)}};
}

ordered_json head(const History& history) {
  return {{"session", history.session},    {"project", history.project},
          {"verb", history.verb},          {"outcome", text(history.outcome())},
          {"over", history.over},          {"started", moment(history.started)},
          {"ended", moment(history.ended)}};
}

ordered_json json_of(const History& history, const ShownFailure& failure) {
  const Job& job = history.jobs[failure.job];
  ordered_json out = json_of(history, job);
  out["message"] = job.text.empty() && job.error ? job.error->message : job.text;
  out["detail"] = text(job.detail);
  out["error"] = job.error ? json_of(*job.error) : ordered_json();
  out["log-tail"] = text(failure.log_tail);
  return out;
}

ordered_json errors_of(const History& history) {
  ordered_json out = ordered_json::array();
  for (const history::Note& note : history.notes) {
    if (!note.error) continue;
    ordered_json one = json_of(*note.error);
    one["detail"] = text(note.detail);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string what_ran_json(const History& history, const std::vector<std::size_t>& jobs) {
  ordered_json out = head(history);
  out["jobs"] = ordered_json::array();
  for (const std::size_t index : jobs) out["jobs"].push_back(json_of(history, history.jobs[index]));
  return dumped(out);
}

std::string what_failed_json(const History& history, const std::vector<ShownFailure>& failures) {
  ordered_json out = head(history);
  out["failures"] = ordered_json::array();
  for (const ShownFailure& failure : failures) out["failures"].push_back(json_of(history, failure));
  out["errors"] = errors_of(history);
  return dumped(out);
}

std::string summary_json(const History& history, std::size_t run_index,
                         const std::vector<ShownFailure>& failures) {
  ordered_json out = head(history);
  out["run"] = ordered_json();
  if (run_index != history::kNone) {
    const Run& run = history.runs[run_index];
    const history::Summary summary = history::summarise(history, run);
    ordered_json counts;
    for (std::size_t i = 0; i < history::kFateNames.size(); ++i)
      counts[std::string(history::kFateNames[i])] = summary.counts[i];
    ordered_json slowest = ordered_json::array();
    for (const std::size_t index : summary.slowest)
      slowest.push_back(json_of(history, history.jobs[index]));
    ordered_json path = ordered_json::array();
    for (const std::size_t index : summary.path.jobs)
      path.push_back(json_of(history, history.jobs[index]));
    ordered_json runners = ordered_json::array();
    for (const auto& one : summary.runners) {
      runners.push_back({{"name", one.name},
                         {"host", text(one.host)},
                         {"jobs", one.jobs},
                         {"failed", one.failed},
                         {"lost", one.lost},
                         {"busy", seconds(one.busy)}});
    }
    out["run"] = {
        {"number", run.number},
        {"verb", run.verb},
        {"targets", run.targets},
        {"outcome", text(run.outcome)},
        {"started", moment(run.started)},
        {"ended", moment(run.ended)},
        {"duration", seconds(run.duration)},
        {"suspended", seconds(run.suspended)},
        {"elements", summary.elements},
        {"counts", counts},
        {"hit-rate", summary.hit_rate() < 0 ? ordered_json() : ordered_json(summary.hit_rate())},
        {"critical-path",
         run.has_dependencies
             ? ordered_json{{"duration", seconds(summary.path.duration)}, {"jobs", path}}
             : ordered_json()},
        {"builders",
         {{"limit", known(summary.load.builders)},
          {"average", summary.load.average},
          {"peak", summary.load.peak},
          {"busy", seconds(summary.load.busy)}}},
        {"cpu", summary.cpu == 0 ? ordered_json() : seconds(summary.cpu)},
        {"memory", known(summary.memory)},
        {"fetched", summary.fetched},
        {"uploaded", summary.uploaded},
        {"slowest", slowest},
        {"runners", runners}};
  }
  out["failures"] = ordered_json::array();
  for (const ShownFailure& failure : failures) {
    if (failure.run == run_index) out["failures"].push_back(json_of(history, failure));
  }
  out["errors"] = errors_of(history);
  return dumped(out);
}

}  // namespace sluice::cli
