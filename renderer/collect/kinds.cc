#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "renderer/collect/destination.h"

namespace sluice::collect {

namespace {

constexpr std::array kKinds = {
    Kind{.name = "journald", .address_taken = true, .make = make_journald},
    Kind{.name = "syslog", .address_needed = true, .make = make_syslog},
    Kind{.name = "ndjson", .address_needed = true, .make = make_ndjson},
    Kind{.name = "loki", .address_needed = true, .options = {"--headers"}, .make = make_loki},
    Kind{.name = "otlp",
         .address_needed = true,
         .needs_past = true,
         .options = {"--headers"},
         .make = make_otlp},
    Kind{.name = "exec",
         .address_needed = true,
         .options = {"--jobs", "--timeout"},
         .make = make_exec},
    Kind{.name = "notify", .from_now = true, .options = {"--after"}, .make = make_notify},
};

}  // namespace

const Kind* find_kind(std::string_view name) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(),
                                  [&](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : &*found;
}

std::string kind_names() {
  std::string names;
  for (const Kind& kind : kKinds)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
  return names;
}

int severity_of(std::string_view level) {
  if (level == "bug") return 2;
  if (level == "error" || level == "failure") return 3;
  if (level == "warn") return 4;
  if (level == "debug") return 7;
  return 6;
}

std::string line_of(const wire::Event& event) {
  std::string line;
  if (event.job && event.element) {
    line = fmt::format("[{}:{}] ", event.job->action, event.element->name);
  } else if (event.element) {
    line = fmt::format("[{}] ", event.element->name);
  }
  if (!event.text.empty()) return line + event.text;
  line += event.type;
  if (!event.outcome.empty()) return line + " " + event.outcome;
  if (event.type == "element.state" && event.element) return line + " " + event.element->state;
  if (event.error) return line + " " + event.error->message;
  if (event.runner) return line + " " + event.runner->name;
  if (event.prompt) return line + " " + event.prompt->text;
  return line;
}

std::vector<std::pair<std::string_view, std::string>> fields_of(const wire::Event& event) {
  std::vector<std::pair<std::string_view, std::string>> fields;
  const auto text = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) fields.emplace_back(name, value);
  };
  const auto number = [&](std::string_view name, auto value) {
    if (value != 0) fields.emplace_back(name, std::to_string(value));
  };
  if (event.session) {
    text("session", event.session->id);
    text("project", event.session->project);
  }
  number("cursor", event.cursor);
  text("type", event.type);
  text("level", event.level);
  if (event.run) number("run", event.run->number);
  if (event.element) {
    text("element", event.element->name);
    text("kind", event.element->kind);
    text("key", event.element->key);
    text("state", event.element->state);
  }
  if (event.job) {
    number("job", event.job->id);
    text("action", event.job->action);
    number("attempt", event.job->attempt);
    text("runner", event.job->runner);
    text("host", event.job->host);
    text("log_file", event.job->log_file);
  }
  if (event.runner) {
    text("runner", event.runner->name);
    text("host", event.runner->host);
  }
  if (event.prompt) number("prompt", event.prompt->id);
  text("outcome", event.outcome);
  text("origin", event.origin);
  number("elapsed_ns", event.elapsed);
  if (event.error) {
    text("error_domain", event.error->domain);
    text("error_reason", event.error->reason);
    text("file", event.error->file);
    number("line", event.error->line);
  }
  return fields;
}

}  // namespace sluice::collect
