#include "renderer/trace/spans.h"

#include <algorithm>

namespace sluice::trace {

namespace {

JobName name_of(const wire::JobSection& job) { return {job.id, job.attempt}; }

}  // namespace

// The scheduler says the session's own time itself; what others say bears what they were told.
Moment Spans::moment(const wire::Event& event) const {
  if (event.src != "scheduler" || !event.session) return {event.time, active_at(event.time)};
  return {event.time, event.session->elapsed};
}

std::int64_t Spans::active_at(std::int64_t wall) const {
  std::int64_t active = wall - session_.session.started;
  const auto leave_out = [&](std::int64_t from, std::int64_t to) {
    active -= std::max<std::int64_t>(0, std::min(wall, to) - from);
  };
  for (const auto& [from, to] : session_.suspensions) leave_out(from, to);
  if (suspended_since_) leave_out(*suspended_since_, wall);
  return std::max<std::int64_t>(0, active);
}

void Spans::take(const wire::Event& event) {
  if (event.session && event.src == "scheduler") {
    if (!began_) session_.interval.begin = {event.session->started, 0};
    began_ = true;
    session_.session = *event.session;
  }
  const Moment now = moment(event);
  if (now.wall >= last_.wall) last_ = now;
  if (event.type == "session.suspended") {
    if (!suspended_since_) suspended_since_ = event.time;
  } else if (event.type == "session.resumed") {
    if (suspended_since_) session_.suspensions.emplace_back(*suspended_since_, event.time);
    suspended_since_.reset();
  } else if (event.type == "session.ended") {
    session_.ended = true;
    session_.interval.end = now;
    if (callbacks_.on_session) callbacks_.on_session(session_);
  } else if (event.type == "run.started") {
    run_started(event);
  } else if (event.type == "run.finished") {
    run_finished(event);
  } else if (event.type == "job.started" && event.job) {
    job_started(event);
  } else if (event.type == "job.message" && event.job) {
    job_said(event);
  } else if (event.type == "job.finished" && event.job) {
    job_finished(event);
  }
}

void Spans::run_started(const wire::Event& event) {
  run_.emplace();
  run_->interval.begin = moment(event);
  if (event.run) {
    run_->number = event.run->number;
    run_->verb = event.run->verb;
    run_->interval.begin.active -= event.run->elapsed;
    run_->interval.begin.wall -= event.run->elapsed;
  }
  if (event.heading) run_->targets = event.heading->targets;
  dependencies_.clear();
  if (!event.plan || !event.elements) return;
  const auto& elements = *event.elements;
  const std::size_t count = std::min(elements.size(), event.plan->dependencies.size());
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::uint32_t index : event.plan->dependencies[i]) {
      if (index < elements.size()) dependencies_[elements[i].name].push_back(elements[index].name);
    }
  }
}

void Spans::run_finished(const wire::Event& event) {
  if (!run_) return;
  run_->interval.end = moment(event);
  run_->outcome = event.outcome;
  if (event.failures) run_->failures = *event.failures;
  if (callbacks_.on_run) callbacks_.on_run(*run_);
  run_.reset();
}

std::vector<JobName> Spans::needs_of(const std::string& element) const {
  std::vector<JobName> needs;
  const auto add = [&](const std::string& name) {
    if (const auto found = last_of_.find(name); found != last_of_.end())
      needs.push_back(found->second);
  };
  add(element);
  if (const auto found = dependencies_.find(element); found != dependencies_.end()) {
    for (const std::string& name : found->second) add(name);
  }
  return needs;
}

void Spans::job_started(const wire::Event& event) {
  const JobName name = name_of(*event.job);
  // A scheduler that was killed says what it isn't sure of again.
  if (finished_.contains(name) || running_.contains(name)) return;
  // No record says that an attempt before it, which was lost with its runner, has ended.
  for (auto lost = running_.lower_bound({name.first, 0});
       lost != running_.end() && lost->first < name; lost = running_.erase(lost)) {
    lost->second.interval.end = moment(event);
    lost->second.outcome = "lost";
    finished_.insert(lost->first);
    deliver(lost->second);
  }
  JobSpan& span = running_[name];
  span.job = *event.job;
  span.interval.begin = moment(event);
  if (event.element) span.element = *event.element;
  if (event.run) span.run = event.run->number;
  span.needs = needs_of(span.element.name);
}

void Spans::job_said(const wire::Event& event) {
  const auto found = running_.find(name_of(*event.job));
  if (found == running_.end()) return;
  JobSpan& span = found->second;
  const bool end = event.level == "success" || event.level == "failure" || event.level == "skipped";
  if (!end || event.elapsed <= 0) return;
  Step step{event.text, event.level, event.detail, {}};
  step.interval.end = moment(event);
  step.interval.begin = {event.time - event.elapsed, step.interval.end.active - event.elapsed};
  span.steps.push_back(std::move(step));
}

void Spans::job_finished(const wire::Event& event) {
  const JobName name = name_of(*event.job);
  if (!finished_.insert(name).second) return;
  JobSpan span;
  if (const auto found = running_.find(name); found != running_.end()) {
    span = std::move(found->second);
    running_.erase(found);
  } else {
    // It ended before it started: what was given to nobody.
    span.interval.begin = moment(event);
    if (event.run) span.run = event.run->number;
  }
  const std::uint32_t slot = span.job.slot;
  span.job = *event.job;
  if (span.job.slot == 0) span.job.slot = slot;
  if (event.element) span.element = *event.element;
  span.interval.end = moment(event);
  span.outcome = event.outcome;
  span.origin = event.origin;
  span.text = event.text;
  span.detail = event.detail;
  span.error = event.error;
  if (event.usage) span.usage = *event.usage;
  if (event.outcome == "success") last_of_[span.element.name] = name;
  deliver(span);
}

// Steps lie within their job, and each within the one that it is part of, whatever the clock of the
// job's machine says.
void Spans::deliver(JobSpan& span) {
  const Interval& job = span.interval;
  const auto fit = [](Interval& inner, const Interval& outer) {
    inner.begin.wall = std::clamp(inner.begin.wall, outer.begin.wall, outer.end.wall);
    inner.end.wall = std::clamp(inner.end.wall, inner.begin.wall, outer.end.wall);
    inner.begin.active = std::clamp(inner.begin.active, outer.begin.active, outer.end.active);
    inner.end.active = std::clamp(inner.end.active, inner.begin.active, outer.end.active);
  };
  span.interval.end.wall = std::max(job.begin.wall, job.end.wall);
  span.interval.end.active = std::max(job.begin.active, job.end.active);
  for (Step& step : span.steps) fit(step.interval, job);
  std::stable_sort(span.steps.begin(), span.steps.end(), [](const Step& a, const Step& b) {
    return a.interval.begin.active != b.interval.begin.active
               ? a.interval.begin.active < b.interval.begin.active
               : a.interval.end.active > b.interval.end.active;
  });
  std::vector<Interval> around;
  for (Step& step : span.steps) {
    while (!around.empty() && around.back().end.active <= step.interval.begin.active)
      around.pop_back();
    if (!around.empty()) fit(step.interval, around.back());
    around.push_back(step.interval);
  }
  if (callbacks_.on_job) callbacks_.on_job(span);
}

void Spans::finish() {
  for (auto& [name, span] : running_) {
    span.interval.end = last_;
    deliver(span);
  }
  running_.clear();
  if (run_) {
    run_->interval.end = last_;
    if (callbacks_.on_run) callbacks_.on_run(*run_);
    run_.reset();
  }
  if (session_.ended || !began_) return;
  if (suspended_since_) session_.suspensions.emplace_back(*suspended_since_, last_.wall);
  suspended_since_.reset();
  session_.interval.end = last_;
  if (callbacks_.on_session) callbacks_.on_session(session_);
}

}  // namespace sluice::trace
