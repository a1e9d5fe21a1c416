// What the scheduler says: records with their whole context as of now.

#include <algorithm>

#include <fmt/format.h>

#include "scheduler/core.h"

namespace sluice::scheduler {

std::string Core::display_key(ElementIndex e) const {
  const std::uint32_t length = loaded_->snapshot.settings.key_length;
  const std::string& key = loaded_->element(e).keys.full;
  return key.empty() ? std::string(std::min(length, 64u), '?') : key.substr(0, length);
}

// BuildStream's name of the session's main activity.
std::string_view Core::verb_text() const {
  if (!run_) return {};
  return model::traits(run_->verb()).activity;
}

std::string Core::session_part() const {
  wire::SessionSection section;
  section.id = options_.session;
  section.project = project_;
  section.verb = options_.verb;
  section.started = session_began_;
  section.elapsed = elapsed();
  section.state = session_state_;
  return wire::pack_section("session", section);
}

std::string Core::run_part(std::optional<ElementIndex> e) const {
  if (!run_) return {};
  wire::RunSection section;
  section.number = run_->number();
  section.verb = text_of(run_->verb());
  section.elapsed = elapsed() - run_began_;
  section.position = e ? run_->position(*e) : 0;
  section.elements = run_->entered();
  section.total = static_cast<std::uint32_t>(run_->pipeline().size());
  return wire::pack_section("run", section);
}

std::string Core::queues_part() const {
  if (!run_) return {};
  return wire::pack_section("queues", run_->all_counts());
}

wire::ElementSection Core::element_section(ElementIndex e) const {
  const model::Element& element = loaded_->element(e);
  wire::ElementSection section;
  section.project = loaded_->project(e).name;
  section.name = element.full_name;
  section.kind = element.kind;
  section.key = element.keys.full;
  section.brief = display_key(e);
  section.strict = element.keys.full == element.keys.strict;
  section.state = run_ ? std::string(run_->state(e)) : std::string();
  return section;
}

void Core::publish(const wire::EventHead& head, std::vector<std::string> sections, std::optional<ElementIndex> e) {
  if (replaying_ && ordinal_ <= published_) return;
  sections.insert(sections.begin(), {session_part(), run_part(e)});
  const std::vector<std::string_view> parts(sections.begin(), sections.end());
  effects_.push_back({Effect::Kind::kPublish, std::string(head.type), wire::pack_event(head, parts), {}, ordinal_});
}

void Core::publish_main(std::string_view level, std::string_view text, std::int64_t elapsed, std::string_view detail) {
  publish({.type = "message", .time = time_, .level = level, .text = text, .detail = detail, .elapsed = elapsed}, {});
}

void Core::publish_job(const Attempt& attempt, const wire::EventHead& head, std::vector<std::string> more) {
  if (replaying_ && ordinal_ <= published_) return;
  more.push_back(wire::pack_section("element", element_section(attempt.element)));
  more.push_back(wire::pack_section("job", attempt.section));
  more.push_back(queues_part());
  publish(head, std::move(more), attempt.element);
}

void Core::publish_element_states() {
  if (!run_) return;
  for (const ElementIndex e : run_->take_touched()) {
    if (replaying_ && ordinal_ <= published_) continue;
    publish({.type = "element.state", .time = time_}, {wire::pack_section("element", element_section(e)), queues_part()}, e);
  }
}

// The context that a job's own messages bear.
std::string Core::context(const Attempt& attempt) const {
  const std::string parts[] = {session_part(), run_part(attempt.element),
                               wire::pack_section("element", element_section(attempt.element)),
                               wire::pack_section("job", attempt.section), queues_part()};
  return wire::join_maps({parts[0], parts[1], parts[2], parts[3], parts[4]});
}

void Core::publish_run_started(const RunStarted& change) {
  if (replaying_ && ordinal_ <= published_) return;
  publish_main("start", verb_text(), 0);
  publish_main("start", "Query cache", 0);
  for (const auto& [e, key] : change.discarded) {
    if (e >= loaded_->size()) continue;
    publish({.type = "message", .time = time_, .level = "info", .text = "Discarded failed build", .detail = discarded_text(change.arguments, key)},
            {wire::pack_section("element", element_section(e))});
  }
  publish_main("success", "Query cache", change.query, wire::subtasks_processed(run_->pipeline().size(), true, change.query));
  for (const std::string& warning : change.arguments.warnings) publish_main("warn", warning, 0);

  const model::Settings& settings = loaded_->snapshot.settings;
  wire::HeadingSection heading;
  heading.directory = loaded_->snapshot.projects[0].directory;
  for (const ElementIndex target : loaded_->snapshot.targets) heading.targets.push_back(loaded_->element(target).full_name);
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
  for (const model::Project& project : loaded_->snapshot.projects) {
    heading.projects.push_back({project.name, project.junction, project.loaded_by, project.options,
                                project.element_plugins, project.source_plugins});
  }
  std::vector<wire::ElementSection> elements;
  elements.reserve(run_->pipeline().size());
  for (const ElementIndex e : run_->pipeline()) elements.push_back(element_section(e));
  publish({.type = "run.started", .time = time_},
          {wire::pack_section("heading", heading), wire::pack_section("elements", elements), queues_part()});
}

// The elements whose keys are others now, by name.
std::vector<wire::ElementSection> Core::resolved() const {
  std::vector<wire::ElementSection> out;
  if (!next_) return out;
  std::unordered_map<std::string_view, const model::Element*> now;
  for (const model::Element& element : next_->snapshot.elements) now.emplace(element.full_name, &element);
  for (const ElementIndex e : run_->pipeline()) {
    const auto found = now.find(loaded_->element(e).full_name);
    if (found == now.end() || found->second->keys.full == loaded_->element(e).keys.full) continue;
    const model::Element& element = *found->second;
    wire::ElementSection section = element_section(e);
    section.key = element.keys.full;
    section.brief = element.keys.full.substr(0, loaded_->snapshot.settings.key_length);
    section.strict = element.keys.full == element.keys.strict;
    section.state = element.sources_resolved ? "waiting" : "no reference";
    out.push_back(std::move(section));
  }
  // As BuildStream compares elements: by the names that they have in their own projects.
  const auto own = [](const wire::ElementSection& section) { return std::string_view(section.name).substr(section.name.rfind(':') + 1); };
  std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return own(a) < own(b); });
  return out;
}

void Core::publish_run_finished(const RunFinished& change) {
  if (replaying_ && ordinal_ <= published_) return;
  const std::int64_t took = change.at.elapsed - run_began_;
  std::vector<wire::FailureSection> failures;
  std::vector<wire::ElementSection> elements;
  for (const auto& [e, failure] : failures_) {
    failures.push_back(failure);
    elements.push_back(failure.element);
  }
  if (change.outcome == "failure") {
    publish_main("failure", verb_text(), took);
  } else if (change.outcome == "terminated") {
    publish_main("warn", std::string(verb_text()) + " Terminated", took);
  } else {
    publish_main("success", verb_text(), took);
  }
  if (change.outcome == "failure" || change.outcome == "terminated") {
    std::string names;
    for (const auto& element : elements) names += (names.empty() ? "" : ", ") + element.name;
    wire::ErrorSection error{.scope = "main", .domain = "stream", .reason = change.outcome == "failure" ? "" : "terminated"};
    error.message = change.outcome == "failure" ? fmt::format("{} failed: {}", verb_text(), names)
                                                : fmt::format("{} terminated", verb_text());
    publish({.type = "error", .time = time_}, {wire::pack_section("error", error)});
  }
  publish({.type = "run.finished", .time = time_, .outcome = change.outcome, .elapsed = took},
          {queues_part(), wire::pack_section("elements", elements), wire::pack_section("failures", failures),
           wire::pack_section("resolved", resolved())});
}

void Core::publish_error(const Error& error) {
  time_ = clock_.wall_ns();
  wire::ErrorSection section{.scope = "main", .domain = error.domain, .reason = error.reason, .message = error.message,
                             .file = error.provenance.file, .line = error.provenance.line, .column = error.provenance.column};
  publish({.type = "error", .time = time_, .detail = error.detail}, {wire::pack_section("error", section)});
  (void)flush();
}

std::string Core::prompts_part() const {
  if (prompts_.empty()) return {};
  std::vector<wire::PromptSection> open;
  for (const auto& [id, prompt] : prompts_) {
    if (open.size() == kPromptsShown) break;
    open.push_back(prompt.section);
  }
  return wire::pack_section("prompts", open);
}

std::string Core::limits_part() const {
  wire::LimitsSection section;
  section.builders = limits_[static_cast<std::size_t>(Resource::kProcess)];
  section.fetchers = limits_[static_cast<std::size_t>(Resource::kDownload)];
  section.changed = section.builders != 0 || section.fetchers != 0;
  if (loaded_) {
    section.builders = limit(Resource::kProcess);
    section.fetchers = limit(Resource::kDownload);
  }
  return wire::pack_section("limits", section);
}

std::string Core::pack_status(bool full) const {
  wire::ActiveSection active;
  const std::size_t shown = full ? attempts_.size() : kActiveShown;
  const std::int64_t now = elapsed();
  for (const auto& [id, attempt] : attempts_) {
    if (!attempt.started) continue;
    if (++active.total > shown) continue;
    const model::Element& element = loaded_->element(attempt.element);
    active.jobs.push_back({element.full_name, display_key(attempt.element),
                           attempt.section.action, id, now - attempt.began, attempt.runner});
  }
  const std::string parts[] = {session_part(), run_part(std::nullopt), queues_part(), wire::pack_section("active", active),
                               cache_ ? wire::pack_section("cache", *cache_) : std::string(), prompts_part(), limits_part()};
  return wire::pack_event({.type = "status", .time = clock_.wall_ns()},
                          {parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]});
}

}  // namespace sluice::scheduler
