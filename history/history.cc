#include "history/history.h"

#include <algorithm>

#include "base/try.h"
#include "wire/codec.h"
#include "wire/record_file.h"

namespace sluice::history {

namespace {

constexpr std::string_view kScheduler = "scheduler";

// What note_time() and note_run() take of a job.message when nobody wants steps: nine of ten
// records are such, and decoding all of one takes far longer.
struct Context {
  wire::Event event;
};
template <typename C>
void fields(C& c, Context& m) {
  c("type", m.event.type);
  c.optional("src", m.event.src);
  c.optional("epoch", m.event.epoch);
  c("time", m.event.time);
  c.optional("session", m.event.session);
  c.optional("run", m.event.run);
  c.optional("queues", m.event.queues);
  c.optional("limits", m.event.limits);
}

std::optional<Context> message_context(std::string_view packed) {
  if (packed.find("job.message") == packed.npos) return std::nullopt;
  auto context = wire::decode<Context>(packed);
  if (!context || context->event.type != "job.message") return std::nullopt;
  return std::move(*context);
}

bool is_warning(std::string_view level) {
  return level == "warn" || level == "error" || level == "bug";
}

}  // namespace

std::string History::outcome() const {
  if (!runs.empty()) {
    const Run& last = runs.back();
    if (!last.outcome.empty() || !over) return last.outcome;
    return ended != 0 ? "failure" : "died";
  }
  if (over && ended == 0) return "died";
  const bool failed = std::any_of(notes.begin(), notes.end(),
                                  [](const Note& note) { return note.error.has_value(); });
  return failed ? "failure" : ended != 0 ? "success" : "";
}

std::int64_t History::paused_between(std::int64_t from, std::int64_t to) const {
  std::int64_t sum = 0;
  for (const Pause& pause : pauses) {
    const std::int64_t begin = std::max(from, pause.began);
    const std::int64_t end = std::min(to, pause.ended == 0 ? to : pause.ended);
    if (end > begin) sum += end - begin;
  }
  return sum;
}

Status Gatherer::add(std::string_view packed) {
  if (!wanted_.steps) {
    if (const auto context = message_context(packed)) {
      add(context->event);
      return {};
    }
  }
  auto event = wire::decode_event(packed);
  if (!event) {
    ++history_.records;
    ++history_.malformed;
    return forward(event);
  }
  add(*event);
  return {};
}

void Gatherer::add(const wire::Event& event) {
  ++history_.records;
  note_time(event);
  if (event.type == "session.started" && history_.started == 0) {
    history_.started =
        event.session && event.session->started != 0 ? event.session->started : event.time;
  } else if (event.type == "session.suspended") {
    paused(event.time, false);
  } else if (event.type == "session.resumed") {
    resumed(event.time);
  } else if (event.type == "session.ended") {
    resumed(event.time);
    history_.ended = event.time;
    history_.state = "ended";
  } else if (event.type.starts_with("runner.")) {
    runner_is(event);
  }
  note_run(event);
}

void Gatherer::note_time(const wire::Event& event) {
  // A scheduler that takes the session up again: what was between counts for nothing.
  if (event.src == kScheduler && event.epoch != scheduler_epoch_) {
    if (scheduler_epoch_ != 0 && event.time > history_.newest) {
      paused(history_.newest, true);
      resumed(event.time);
    }
    scheduler_epoch_ = event.epoch;
    history_.ended = 0;
  }
  history_.newest = std::max(history_.newest, event.time);
  if (!event.session) return;
  history_.session = event.session->id;
  if (!event.session->project.empty()) history_.project = event.session->project;
  history_.verb = event.session->verb;
  history_.state = event.session->state;
  history_.elapsed = std::max(history_.elapsed, event.session->elapsed);
}

void Gatherer::note_run(const wire::Event& event) {
  Run* const run = run_of(event);
  const bool of_job = event.job.has_value();
  if (run != nullptr) {
    run->duration = std::max(run->duration, event.run->elapsed);
    if (event.queues) run->queues = *event.queues;
    if (event.limits && event.limits->builders != 0) run->builders = event.limits->builders;
    if (event.element && event.type != "job.message" && event.type != "message") {
      Element& element = run->elements[element_of(*run, *event.element)];
      element.state = event.element->state;
      if (!event.element->key.empty()) {
        element.key = event.element->key;
        element.brief = event.element->brief;
      }
    }
    if (event.type == "run.started") run_started(event, *run);
    if (event.plan && !event.plan->expected.empty()) {
      for (std::size_t i = 0; i < std::min(event.plan->expected.size(), run->elements.size()); ++i)
        run->elements[i].expected = event.plan->expected[i];
    }
    if (event.type == "job.started" && of_job) job_started(event, *run);
    if (event.type == "job.finished" && of_job) job_finished(event, *run);
    if (event.type == "job.message" && of_job) job_message(event, *run);
    if (event.type == "run.finished") {
      run->ended = event.time;
      run->outcome = event.outcome;
      run->progress = event.progress;
      if (event.elapsed != 0) run->duration = event.elapsed;
      run->suspended = history_.paused_between(run->started, run->ended);
    }
  }
  // The error of a job was told by the job, that of a run by its outcome.
  const bool main = event.type == "error" && event.error && event.error->scope != "task" &&
                    event.error->domain != "stream";
  const bool warning = event.type == "message" && is_warning(event.level);
  if (!main && !warning) return;
  history_.notes.push_back(
      {event.time, main ? "error" : event.level, event.element ? event.element->name : "",
       main ? event.error->message : event.text, event.detail, main ? event.error : std::nullopt});
}

// A run is known from its first event on, which may be a message before "run.started".
Run* Gatherer::run_of(const wire::Event& event) {
  if (!event.run || event.run->number == 0) return nullptr;
  if (!history_.runs.empty() && history_.runs.back().number == event.run->number)
    return &history_.runs.back();
  // What comes late of an earlier one.
  const auto found = std::find_if(history_.runs.begin(), history_.runs.end(),
                                  [&](const Run& run) { return run.number == event.run->number; });
  if (found != history_.runs.end()) return nullptr;
  Run& run = history_.runs.emplace_back();
  run.number = event.run->number;
  run.verb = event.run->verb;
  run.started = event.time;
  elements_.clear();
  return &run;
}

std::size_t Gatherer::element_of(Run& run, const wire::ElementSection& section) {
  const auto [place, is_new] = elements_.try_emplace(section.name, run.elements.size());
  if (is_new) {
    run.elements.push_back({section.project,
                            section.name,
                            section.kind,
                            section.key,
                            section.brief,
                            section.state,
                            section.state,
                            {},
                            0,
                            {}});
  }
  return place->second;
}

void Gatherer::run_started(const wire::Event& event, Run& run) {
  run.started = event.time;
  if (event.heading) {
    run.heading = event.heading;
    run.targets = event.heading->targets;
    if (run.builders == 0) run.builders = event.heading->builders;
  }
  if (!event.elements) return;
  std::vector<std::size_t> places;
  places.reserve(event.elements->size());
  for (const wire::ElementSection& section : *event.elements)
    places.push_back(element_of(run, section));
  if (!event.plan || event.plan->dependencies.size() != places.size()) return;
  run.has_dependencies = true;
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (const std::uint32_t on : event.plan->dependencies[i]) {
      if (on < places.size() && on != i) run.elements[places[i]].dependencies.push_back(places[on]);
    }
  }
}

// The attempt that an event is about; made when it is heard of for the first time.
Job& Gatherer::job_of(const wire::Event& event, Run& run) {
  const auto [place, is_new] =
      jobs_.try_emplace({event.job->id, event.job->attempt}, history_.jobs.size());
  if (is_new) {
    Job& job = history_.jobs.emplace_back();
    job.id = event.job->id;
    job.attempt = event.job->attempt;
    job.run = static_cast<std::size_t>(&run - history_.runs.data());
    run.jobs.push_back(place->second);
    if (event.element) {
      job.element = element_of(run, *event.element);
      run.elements[job.element].jobs.push_back(place->second);
    }
  }
  Job& job = history_.jobs[place->second];
  job.action = event.job->action;
  if (event.element && !event.element->key.empty()) job.key = event.element->key;
  if (!event.job->runner.empty()) job.runner = event.job->runner;
  if (!event.job->host.empty()) job.host = event.job->host;
  if (!event.job->log_file.empty()) job.log_file = event.job->log_file;
  if (event.job->started != 0) {
    job.started = event.job->started;
    job.slot = event.job->slot;
  }
  return job;
}

void Gatherer::job_started(const wire::Event& event, Run& run) {
  // Attempts before this one that were never said to have ended.
  for (auto earlier = jobs_.lower_bound({event.job->id, 0});
       earlier != jobs_.end() && earlier->first.first == event.job->id &&
       earlier->first.second < event.job->attempt;
       ++earlier) {
    Job& lost = history_.jobs[earlier->second];
    if (!lost.running()) continue;
    lost.outcome = "lost";
    lost.ended = event.time;
    lost.duration = active_between(lost.started, event.time);
  }
  Job& job = job_of(event, run);
  if (job.started == 0) job.started = event.time;
  job.slot = event.job->slot;
}

void Gatherer::job_finished(const wire::Event& event, Run& run) {
  Job& job = job_of(event, run);
  job.ended = event.time;
  job.duration = event.elapsed != 0 ? event.elapsed : event.job->elapsed;
  if (job.started == 0) job.started = event.time - job.duration;
  job.outcome = event.outcome;
  job.origin = event.origin;
  job.text = event.text;
  job.detail = event.detail;
  job.log_tail = event.log_tail;
  job.error = event.error;
  if (event.usage) job.usage = *event.usage;
}

// A job's messages may come before it is said that it has started.
void Gatherer::job_message(const wire::Event& event, Run& run) {
  if (!wanted_.steps) return;
  Job& job = job_of(event, run);
  if (event.level == "start") {
    job.steps.push_back({event.text, event.time, 0, 0, ""});
  } else if (event.level == "success" || event.level == "failure" || event.level == "skipped") {
    const auto open = std::find_if(job.steps.rbegin(), job.steps.rend(), [&](const Step& step) {
      return step.level.empty() && step.text == event.text;
    });
    if (open == job.steps.rend()) return;
    open->ended = event.time;
    open->duration = event.elapsed;
    open->level = event.level;
  }
}

void Gatherer::runner_is(const wire::Event& event) {
  if (!event.runner) return;
  const auto known = std::find_if(
      history_.runners.rbegin(), history_.runners.rend(),
      [&](const Runner& runner) { return runner.name == event.runner->name && runner.left == 0; });
  if (event.type == "runner.joined") {
    if (known != history_.runners.rend()) return;
    history_.runners.push_back({event.runner->name, event.runner->host, event.runner->platform,
                                event.runner->slots, event.time, 0, ""});
  } else if (known != history_.runners.rend()) {
    known->why = event.runner->why;
    if (event.type == "runner.left") known->left = event.time;
  }
}

// Of something that hasn't started it is nothing.
std::int64_t Gatherer::active_between(std::int64_t from, std::int64_t to) const {
  if (from == 0 || to <= from) return 0;
  return to - from - history_.paused_between(from, to);
}

void Gatherer::paused(std::int64_t time, bool dead) {
  if (!history_.pauses.empty() && history_.pauses.back().ended == 0) return;
  history_.pauses.push_back({time, 0, dead});
}

void Gatherer::resumed(std::int64_t time) {
  if (!history_.pauses.empty() && history_.pauses.back().ended == 0)
    history_.pauses.back().ended = std::max(time, history_.pauses.back().began);
}

void Gatherer::settle(bool over) {
  history_.over = over;
  for (Run& run : history_.runs) {
    if (run.ended == 0) run.suspended = history_.paused_between(run.started, history_.newest);
  }
  for (Job& job : history_.jobs) {
    if (!job.running()) continue;
    job.duration = active_between(job.started, history_.newest);
    if (!over) continue;
    job.outcome = "lost";
    job.ended = history_.newest;
  }
}

Result<History> read(const wire::SessionPaths& paths, Gatherer::Wanted wanted) {
  Gatherer gatherer(wanted);
  TRY(wire::read_records(paths, 1, [&](std::string_view packed) {
    (void)gatherer.add(packed);  // counted in the history
    return true;
  }));
  gatherer.settle(!paths.lives());
  return gatherer.take();
}

}  // namespace sluice::history
