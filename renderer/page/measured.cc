#include "renderer/page/measured.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/try.h"
#include "history/measures.h"

namespace sluice::renderer {

namespace {

using Json = nlohmann::json;

std::int64_t ms(std::int64_t ns) { return ns / 1'000'000; }

// How long each job of the path waited for its turn after the one before it had ended.
Json path_json(const history::History& history, const history::Run& run,
               const history::CriticalPath& path) {
  Json jobs = Json::array();
  std::int64_t at = run.started;
  for (const std::size_t index : path.jobs) {
    const history::Job& job = history.jobs[index];
    const std::int64_t waited =
        job.started > at ? job.started - at - history.paused_between(at, job.started) : 0;
    jobs.push_back(
        {std::to_string(job.id) + "." + std::to_string(job.attempt), ms(job.duration), ms(waited)});
    at = std::max({at, job.started, job.ended});
  }
  return {{"ms", ms(path.duration)}, {"jobs", std::move(jobs)}};
}

}  // namespace

std::string measured_json(const history::History& history) {
  if (history.runs.empty()) return "null";
  // One that only asked, after one that has worked, has nothing to show.
  const auto worked = std::find_if(history.runs.rbegin(), history.runs.rend(),
                                   [](const history::Run& one) { return !one.jobs.empty(); });
  const history::Run& run = worked == history.runs.rend() ? history.runs.back() : *worked;
  const history::Summary summary = history::summarise(history, run);
  Json fates = Json::array();
  for (const history::Fate fate : history::fates(history, run))
    fates.push_back(history::text_of(fate));
  Json runners = Json::array();
  for (const history::RunnerUse& use : summary.runners)
    runners.push_back({use.name, use.host, use.jobs, use.failed, use.lost, ms(use.busy)});
  Json pauses = Json::array();
  for (const history::Pause& pause : history.pauses)
    pauses.push_back({ms(pause.began), ms(pause.ended)});
  const Json out = {{"run", run.number},
                    {"at", ms(history.newest)},
                    {"ms", ms(run.duration)},
                    {"suspended", ms(run.suspended)},
                    {"over", history.over || !run.outcome.empty()},
                    {"elements", summary.elements},
                    {"fates", std::move(fates)},
                    {"hit_rate", summary.hit_rate() < 0 ? Json() : Json(summary.hit_rate())},
                    {"path", run.has_dependencies ? path_json(history, run, summary.path) : Json()},
                    {"load",
                     {{"busy", ms(summary.load.busy)},
                      {"average", summary.load.average},
                      {"peak", summary.load.peak},
                      {"builders", summary.load.builders}}},
                    {"cpu", ms(summary.cpu)},
                    {"memory", summary.memory},
                    {"largest", summary.largest == history::kNone ||
                                        history.jobs[summary.largest].element == history::kNone
                                    ? ""
                                    : run.elements[history.jobs[summary.largest].element].name},
                    {"fetched", summary.fetched},
                    {"uploaded", summary.uploaded},
                    {"runners", std::move(runners)},
                    {"pauses", std::move(pauses)}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> measured_json(const wire::SessionPaths& paths) {
  return measured_json(TRY(history::read(paths)));
}

}  // namespace sluice::renderer
