#include "cli/log_plan.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "base/try.h"
#include "cli/past.h"
#include "cli/place.h"
#include "model/actions.h"
#include "model/states.h"

namespace sluice::cli {

namespace {

Result<std::optional<SessionInfo>> session_of(const Invocation& invocation, const std::string& id) {
  if (!id.empty()) return std::optional(TRY(past_session(invocation, id)));
  const std::string project = find_project(load_arguments(invocation.global).what.directory);
  std::optional<SessionInfo> chosen;
  for (const SessionInfo& session : list_sessions()) {
    if (!project.empty() && find_project(session.project) != project) continue;
    if (!chosen || session.alive || !chosen->alive) chosen = session;
  }
  return chosen;
}

bool makes_artifacts(const std::string& action) {
  return std::any_of(model::kActions.begin(), model::kActions.end(), [&](const auto& one) {
    return one.name == action && one.yields == model::Yields::kArtifact;
  });
}

// Of an element's jobs the one that runs, else the last that has built it, else the last.
std::optional<history::Job> job_of(const history::History& history, const std::string& name) {
  const history::Job* best = nullptr;
  for (const history::Job& job : history.jobs) {
    if (job.log_file.empty() || job.element == history::kNone ||
        history.runs[job.run].elements[job.element].name != name)
      continue;
    const bool better =
        best == nullptr || job.running() ||
        (!best->running() && (makes_artifacts(job.action) || !makes_artifacts(best->action)));
    if (better) best = &job;
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

}  // namespace

std::vector<std::string> LogPlan::without_job() const {
  std::vector<std::string> out;
  for (const Element& element : elements) {
    if (!element.job && !element.follows) out.push_back(element.name);
  }
  return out;
}

Result<LogPlan> plan_logs(const Invocation& invocation, const ElementLogCommand& command) {
  LogPlan plan;
  plan.session = TRY(session_of(invocation, command.id));
  history::History history;
  if (plan.session) history = TRY(read_history(*plan.session));
  const bool runs = plan.session && plan.session->alive && !history.runs.empty() &&
                    history.runs.back().ended == 0;
  for (const std::string& name : command.elements) {
    if (std::any_of(plan.elements.begin(), plan.elements.end(),
                    [&](const LogPlan::Element& one) { return one.name == name; }))
      continue;
    LogPlan::Element element{name, job_of(history, name), false, {}};
    // Of a file that is gone, or where the session was, there may be an artifact still.
    if (element.job && !element.job->running() && !plan.session->place &&
        !path_exists(element.job->log_file)) {
      element.gone = element.job->log_file;
      element.job.reset();
    }
    if (plan.session && plan.session->alive) {
      element.follows = element.job && (element.job->running() || plan.session->place);
      if (command.follow && runs) {
        const auto& elements = history.runs.back().elements;
        const auto found =
            std::find_if(elements.begin(), elements.end(),
                         [&](const history::Element& one) { return one.name == name; });
        // One that was there before the run, and that nobody works on, has no further job.
        const bool may_come =
            found != elements.end() &&
            (!found->jobs.empty() || found->state != text_of(model::ElementState::kCached));
        element.follows = element.follows || may_come;
      }
    }
    plan.elements.push_back(std::move(element));
  }
  return plan;
}

std::string log_prefix(const ElementLogCommand& command, const std::string& name) {
  std::size_t widest = 0;
  bool several = false;
  for (const std::string& one : command.elements) {
    widest = std::max(widest, one.size());
    several = several || one != name;
  }
  return several ? pad_right(name, widest) + " | " : "";
}

}  // namespace sluice::cli
