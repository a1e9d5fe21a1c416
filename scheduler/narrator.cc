#include "scheduler/narrator.h"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::scheduler {

// BuildStream's name of the session's main activity.
std::string_view Narrator::verb_text() const {
  if (!model()->run) return {};
  return model::traits(model()->run->verb()).activity;
}

std::string Narrator::session_part() const {
  wire::SessionSection section;
  section.id = options_.session;
  section.project = project_;
  section.verb = options_.verb;
  section.started = model()->began;
  section.elapsed = changes_.elapsed();
  section.state = state();
  return wire::pack_section("session", section);
}

std::string Narrator::run_part(std::optional<ElementIndex> e) const {
  if (!model()->run) return {};
  wire::RunSection section;
  section.number = model()->run->number();
  section.verb = text_of(model()->run->verb());
  section.elapsed = changes_.elapsed() - model()->run_began;
  section.position = e ? model()->run->position(*e) : 0;
  section.elements = model()->run->entered();
  section.total = static_cast<std::uint32_t>(model()->run->pipeline().size());
  return wire::pack_section("run", section);
}

std::string Narrator::queues_part() const {
  if (!model()->run) return {};
  return wire::pack_section("queues", model()->run->all_counts());
}

void Narrator::publish(const wire::EventHead& head, std::vector<std::string> sections,
                       std::optional<ElementIndex> e) {
  if (changes_.known()) return;
  sections.insert(sections.begin(), {session_part(), run_part(e)});
  const std::vector<std::string_view> parts(sections.begin(), sections.end());
  changes_.publish(head.type, wire::pack_event(head, parts));
}

void Narrator::say(std::string_view level, std::string_view text, std::int64_t elapsed,
                   std::string_view detail) {
  publish({.type = "message",
           .time = time(),
           .level = level,
           .text = text,
           .detail = detail,
           .elapsed = elapsed},
          {});
}

void Narrator::say_job(const Attempt& attempt, const wire::EventHead& head,
                       std::vector<std::string> more) {
  if (changes_.known()) return;
  more.push_back(element_part(attempt.element));
  more.push_back(job_part(attempt));
  more.push_back(queues_part());
  publish(head, std::move(more), attempt.element);
}

void Narrator::elements_changed(const std::vector<ElementIndex>& elements) {
  if (changes_.known()) return;
  for (const ElementIndex e : elements)
    publish({.type = "element.state", .time = time()}, {element_part(e), queues_part()}, e);
}

// As long as a job has not started, its host is that of the runner that has it.
std::string Narrator::job_part(const Attempt& attempt) const {
  if (!attempt.section.host.empty()) return wire::pack_section("job", attempt.section);
  wire::JobSection section = attempt.section;
  if (const Runner* const runner = fleet_.find(attempt.runner)) section.host = runner->host;
  return wire::pack_section("job", section);
}

void Narrator::job_started(const Attempt& attempt) {
  say_job(
      attempt,
      {.type = "job.started", .time = time(), .level = "start", .text = attempt.traits().title});
}

void Narrator::job_says(const Attempt& attempt, std::string_view level, std::string_view text,
                        std::string_view detail) {
  say_job(attempt,
          {.type = "job.message", .time = time(), .level = level, .text = text, .detail = detail});
}

void Narrator::job_terminates(const Attempt& attempt, std::int64_t time) {
  say_job(attempt, {.type = "job.message",
                    .time = time,
                    .level = "status",
                    .text = fmt::format("{} terminating", attempt.traits().title)});
}

void Narrator::job_finished(const Attempt& attempt, const JobEnd& end) {
  if (changes_.known()) return;
  const wire::EventHead head{.type = "job.finished",
                             .time = time(),
                             .level = end.level,
                             .text = end.text,
                             .detail = end.detail,
                             .outcome = end.outcome,
                             .elapsed = end.elapsed,
                             .origin = end.origin};
  std::vector<std::string> more;
  if (end.result != nullptr && !attempt.traits().brief) {
    const wire::JobResult& result = *end.result;
    more.push_back(wire::pack_section(
        "usage", wire::UsageSection{.cpu = result.cpu,
                                    .memory = result.memory,
                                    .bytes = result.bytes,
                                    .fetched = result.fetched + result.storage_fetched,
                                    .uploaded = result.uploaded + result.storage_uploaded}));
  }
  if (end.error == nullptr) return say_job(attempt, head, std::move(more));
  const std::string section = wire::pack_section("error", *end.error);
  more.push_back(section);
  more.push_back(wire::pack_section("log_tail", end.log_tail));
  say_job(attempt, head, std::move(more));
  say_job(attempt, {.type = "error", .time = time(), .detail = end.detail}, {section});
}

void Narrator::session_is(std::string_view type) {
  if (type == "session.limits") return publish({.type = type, .time = time()}, {limits_part()});
  publish({.type = type, .time = time()}, {});
}

void Narrator::say_prompt(std::string_view type, const Prompt& prompt) {
  publish({.type = type, .time = time()}, {wire::pack_section("prompt", prompt.section)},
          prompt.element);
}

// The context that a job's own messages bear.
std::string Narrator::context(const Attempt& attempt) const {
  const std::string parts[] = {session_part(), run_part(attempt.element),
                               element_part(attempt.element), job_part(attempt), queues_part()};
  return wire::join_maps({parts[0], parts[1], parts[2], parts[3], parts[4]});
}

void Narrator::run_started(const RunStarted& change) {
  if (changes_.known()) return;
  say("start", verb_text(), 0);
  say("start", "Query cache", 0);
  for (const auto& [e, key] : change.discarded) {
    if (e >= model()->loaded->size()) continue;
    publish({.type = "message",
             .time = time(),
             .level = "info",
             .text = "Discarded failed build",
             .detail = model()->run->discarded_text(key)},
            {element_part(e)});
  }
  say("success", "Query cache", change.query,
      wire::subtasks_processed(model()->run->pipeline().size(), true, change.query));
  for (const std::string& warning : change.arguments.warnings) say("warn", warning, 0);

  const model::Settings& settings = model()->loaded->snapshot.settings;
  wire::HeadingSection heading;
  heading.directory = model()->loaded->snapshot.projects[0].directory;
  for (const ElementIndex target : model()->loaded->snapshot.targets)
    heading.targets.push_back(model()->loaded->element(target).full_name);
  heading.config_file = settings.config_file;
  heading.cachedir = settings.cachedir;
  heading.logdir = settings.logdir;
  heading.sourcedir = settings.sourcedir;
  heading.builddir = settings.builddir;
  heading.strict = settings.strict;
  heading.fetchers = settings.fetchers;
  heading.builders = settings.builders;
  heading.pushers = settings.pushers;
  heading.network_retries = settings.network_retries;
  for (const model::Project& project : model()->loaded->snapshot.projects) {
    heading.projects.push_back({project.name, project.junction, project.loaded_by, project.options,
                                project.element_plugins, project.source_plugins});
  }
  std::vector<wire::ElementSection> elements;
  elements.reserve(model()->run->pipeline().size());
  for (const ElementIndex e : model()->run->pipeline())
    elements.push_back(element_section(*model(), e));
  publish({.type = "run.started", .time = time()},
          {wire::pack_section("heading", heading), wire::pack_section("elements", elements),
           plan_part(), queues_part()});
}

// The elements whose keys are others now, by name.
std::vector<wire::ElementSection> Narrator::resolved() const {
  std::vector<wire::ElementSection> out;
  if (!model()->next) return out;
  std::unordered_map<std::string_view, const model::Element*> now;
  for (const model::Element& element : model()->next->snapshot.elements)
    now.emplace(element.full_name, &element);
  for (const ElementIndex e : model()->run->pipeline()) {
    const auto found = now.find(model()->loaded->element(e).full_name);
    if (found == now.end() || found->second->keys.full == model()->loaded->element(e).keys.full)
      continue;
    const model::Element& element = *found->second;
    wire::ElementSection section = element_section(*model(), e);
    section.key = element.keys.full;
    section.brief = element.keys.full.substr(0, model()->loaded->snapshot.settings.key_length);
    section.strict = element.keys.full == element.keys.strict;
    // Nobody has asked the store about it under its new key.
    const auto state = state_of(facts_of(element, model()->next->snapshot.settings.strict));
    section.state = text_of(state.value_or(ElementState::kWaiting));
    out.push_back(std::move(section));
  }
  // As BuildStream compares elements: by the names that they have in their own projects.
  const auto own = [](const wire::ElementSection& section) {
    return std::string_view(section.name).substr(section.name.rfind(':') + 1);
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const auto& a, const auto& b) { return own(a) < own(b); });
  return out;
}

void Narrator::run_finishes(const RunFinished& change) {
  if (changes_.known()) return;
  const std::int64_t took = change.at.elapsed - model()->run_began;
  std::vector<wire::FailureSection> failures;
  std::vector<wire::ElementSection> elements;
  for (const Failure& failure : model()->failures) {
    failures.push_back(failure.section);
    elements.push_back(failure.section.element);
  }
  if (change.outcome == "failure") {
    say("failure", verb_text(), took);
  } else if (change.outcome == "terminated") {
    say("warn", std::string(verb_text()) + " Terminated", took);
  } else {
    say("success", verb_text(), took);
  }
  if (change.outcome == "failure" || change.outcome == "terminated") {
    std::string names;
    for (const auto& element : elements) names += (names.empty() ? "" : ", ") + element.name;
    wire::ErrorSection error{.scope = "main",
                             .domain = "stream",
                             .reason = change.outcome == "failure" ? "" : "terminated"};
    error.message = change.outcome == "failure" ? fmt::format("{} failed: {}", verb_text(), names)
                                                : fmt::format("{} terminated", verb_text());
    publish({.type = "error", .time = time()}, {wire::pack_section("error", error)});
  }
  publish({.type = "run.finished", .time = time(), .outcome = change.outcome, .elapsed = took},
          {queues_part(), wire::pack_section("progress", model()->run->progress()),
           wire::pack_section("elements", elements), wire::pack_section("failures", failures),
           wire::pack_section("resolved", resolved())});
}

void Narrator::error(const Error& error, std::int64_t time) {
  wire::ErrorSection section{.scope = "main",
                             .domain = error.domain,
                             .reason = error.reason,
                             .message = error.message,
                             .file = error.provenance.file,
                             .line = error.provenance.line,
                             .column = error.provenance.column};
  publish({.type = "error", .time = time, .detail = error.detail},
          {wire::pack_section("error", section)});
}

std::string Narrator::prompts_part() const {
  if (model()->prompts.empty()) return {};
  std::vector<wire::PromptSection> open;
  for (const auto& [id, prompt] : model()->prompts) {
    if (open.size() == kPromptsShown) break;
    open.push_back(prompt.section);
  }
  return wire::pack_section("prompts", open);
}

// Of each element of the pipeline the places there of those that it is built with or needs to run.
std::string Narrator::plan_part() const {
  const auto& pipeline = model()->run->pipeline();
  const Graph& graph = model()->loaded->graph;
  constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
  std::vector<std::uint32_t> place(model()->loaded->size(), kNowhere);
  for (std::uint32_t i = 0; i < pipeline.size(); ++i) place[pipeline[i]] = i;
  wire::PlanSection plan;
  plan.dependencies.reserve(pipeline.size());
  for (const ElementIndex e : pipeline) {
    auto& needed = plan.dependencies.emplace_back();
    for (const auto of : {graph.build(e), graph.runtime(e)}) {
      for (const ElementIndex d : of) {
        if (place[d] != kNowhere) needed.push_back(place[d]);
      }
    }
    std::sort(needed.begin(), needed.end());
    needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
  }
  return wire::pack_section("plan", plan);
}

void Narrator::run_planned(std::vector<std::int64_t> expected) {
  wire::PlanSection plan;
  plan.expected = std::move(expected);
  publish({.type = "run.planned", .time = changes_.stamp().time},
          {wire::pack_section("plan", plan)});
}

std::string Narrator::limits_part() const {
  wire::LimitsSection section;
  section.builders = model()->limits[static_cast<std::size_t>(Resource::kProcess)];
  section.fetchers = model()->limits[static_cast<std::size_t>(Resource::kDownload)];
  section.changed = section.builders != 0 || section.fetchers != 0;
  if (model()->loaded) {
    section.builders = model()->limit(Resource::kProcess);
    section.fetchers = model()->limit(Resource::kDownload);
  }
  return wire::pack_section("limits", section);
}

std::string Narrator::active_part(StatusOf of) const {
  wire::ActiveSection active;
  active.total = static_cast<std::uint32_t>(model()->running.size());
  const std::int64_t now = changes_.elapsed();
  for (const std::uint64_t id : model()->running) {
    if (of != StatusOf::kFull && active.jobs.size() == kActiveShown) break;
    const Attempt& attempt = model()->attempts.at(id);
    wire::ActiveJob job;
    job.element = model()->loaded->element(attempt.element).full_name;
    job.key = display_key(*model()->loaded, attempt.element);
    job.action = attempt.section.action;
    job.job = id;
    job.elapsed = now - attempt.began;
    job.runner = attempt.runner;
    job.attempt = attempt.id.attempt;
    job.log_file = attempt.section.log_file;
    job.expected = forecast_.known(attempt.element, attempt.action);
    job.critical = model()->run && model()->run->is_critical(attempt.element);
    if (const wire::JobProgress* const says = watching_.of(attempt.id)) {
      job.step = says->step;
      if (of == StatusOf::kLines) job.line = says->line;
    }
    active.jobs.push_back(std::move(job));
  }
  return wire::pack_section("active", active);
}

// Why builders have nothing to do, as far as that can be seen from here; nothing when they have.
std::string Narrator::idle_part(const Now& now) const {
  const Session& session = *model();
  if (!session.run || session.run->measures() || session.suspended || session.ended) return {};
  const Run& run = *session.run;
  std::uint32_t builds = 0, others = 0, waiting = 0;
  std::vector<ElementIndex> building;
  for (std::size_t queue = 0; queue < run.queues(); ++queue) {
    const bool is_build = run.type(queue).traits().needs == model::Needs::kInputs;
    (is_build ? builds : others) += run.counts(queue).active;
    waiting += run.counts(queue).waiting;
  }
  if (run.verb() != Action::kBuild || builds >= now.builders) return {};
  for (const std::uint64_t id : session.running) {
    const Attempt& attempt = session.attempts.at(id);
    if (attempt.traits().needs == model::Needs::kInputs) building.push_back(attempt.element);
  }
  wire::IdleSection idle;
  idle.builders = now.builders - builds;
  if (session.stopping) {
    idle.why = "the run is told to end";
  } else if (!now.waiting.empty()) {
    idle.why = now.waiting;
  } else if (waiting == 0) {
    idle.why = builds == 0 ? "nothing is left to build" : "nothing else is left to build";
  } else if (!building.empty()) {
    // What the order of the run has first is what most of the rest waits for.
    const auto first =
        std::min_element(building.begin(), building.end(),
                         [&](ElementIndex a, ElementIndex b) { return run.rank(a) < run.rank(b); });
    idle.why = fmt::format("all else waits for {}", session.loaded->element(*first).full_name);
    if (building.size() > 1) idle.why += fmt::format(" and {} more", building.size() - 1);
  } else if (others > 0) {
    idle.why = fmt::format("builds wait for {} other job{}", others, others == 1 ? "" : "s");
  } else if (!session.prompts.empty()) {
    idle.why = "a failure waits for an answer";
  } else if (session.any_failed) {
    idle.why = "what is left waits for what has failed";
  }
  return wire::pack_section("idle", idle);
}

Narrator::Common Narrator::common(Now now) const {
  return {{session_part(), run_part(std::nullopt), queues_part()},
          {model()->run ? wire::pack_section("progress", model()->run->progress()) : std::string(),
           now.estimate ? wire::pack_section("estimate", *now.estimate) : std::string(),
           idle_part(now), now.cache ? wire::pack_section("cache", *now.cache) : std::string(),
           prompts_part(), limits_part()},
          std::move(now.waiting),
          now.time};
}

std::string Narrator::status(StatusOf of, const Common& common) const {
  const std::string active = active_part(of);
  std::vector<std::string_view> sections(common.before.begin(), common.before.end());
  sections.push_back(active);
  sections.insert(sections.end(), common.after.begin(), common.after.end());
  return wire::pack_event({.type = "status", .time = common.time, .text = common.waiting},
                          sections);
}

}  // namespace sluice::scheduler
