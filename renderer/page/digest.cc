#include "renderer/page/digest.h"

#include <fmt/format.h>

#include "base/text.h"
#include "wire/record_json.h"

namespace sluice::renderer {

namespace {

// Bytes of a text, of a detail and of the last lines of a log.
constexpr std::size_t kMostText = 2000, kMostDetail = 8000, kMostTail = 32000;

std::int64_t ms(std::int64_t ns) { return ns / 1'000'000; }

class Map {
 public:
  Map() = default;
  Map(std::string_view kind, std::int64_t time) {
    text("k", kind);
    number("at", ms(time));
  }
  void text(const char* name, std::string_view value, std::size_t most = kMostText) {
    if (value.empty()) return;
    raw(name, wire::json_string(value.substr(0, most)));
  }
  void end_of(const char* name, std::string_view value, std::size_t most) {
    text(name, value.substr(value.size() - std::min(value.size(), most)), most);
  }
  template <typename Number>
  void number(const char* name, Number value) {
    if (value != 0) raw(name, fmt::format("{}", value));
  }
  void flag(const char* name, bool value) {
    if (value) raw(name, "true");
  }
  void raw(const char* name, std::string_view json) {
    out_ += fmt::format("{}\"{}\":", out_.empty() ? '{' : ',', name);
    out_ += json;
  }
  std::string str() && { return (out_.empty() ? std::string("{") : std::move(out_)) + '}'; }

 private:
  std::string out_;
};

template <typename List, typename Item>
std::string list_of(const List& list, const Item& item) {
  std::string out = "[";
  for (const auto& each : list) {
    if (out.size() > 1) out += ',';
    out += item(each);
  }
  return out + ']';
}

std::string strings(const std::vector<std::string>& list) {
  return list_of(list, wire::json_string);
}

std::string element_row(const wire::ElementSection& e) {
  return fmt::format("[{},{},{},{},{}]", wire::json_string(e.name), wire::json_string(e.kind),
                     wire::json_string(e.state), wire::json_string(e.brief),
                     wire::json_string(e.key));
}

void add_keys(Map& map, const wire::ElementSection& element) {
  map.text("brief", element.brief);
  map.text("key", element.key);
  map.text("s", element.state);
}

void add_job(Map& map, const wire::Event& event) {
  const wire::JobSection& job = *event.job;
  map.number("job", job.id);
  map.number("attempt", job.attempt);
  if (event.element) map.text("e", event.element->name);
  map.text("a", job.action);
  map.text("runner", job.runner);
  map.text("host", job.host);
  map.number("slot", job.slot);
  map.number("from", ms(job.started));
  map.text("log", job.log_file);
  if (event.run) map.number("n", event.run->number);
}

std::string session_event(const wire::Event& event) {
  Map map("session", event.time);
  map.text("id", event.session->id);
  map.text("project", event.session->project);
  map.text("verb", event.session->verb);
  map.text("state", event.session->state);
  map.number("ms", ms(event.session->elapsed));
  if (event.limits) {
    map.number("builders", event.limits->builders);
    map.number("fetchers", event.limits->fetchers);
  }
  return std::move(map).str();
}

std::string run_event(const wire::Event& event) {
  Map map("run", event.time);
  if (event.session) {
    map.text("id", event.session->id);
    map.text("project", event.session->project);
  }
  if (event.run) {
    map.number("n", event.run->number);
    map.text("verb", event.run->verb);
    map.number("total", event.run->total);
  }
  if (event.heading) {
    map.text("dir", event.heading->directory);
    map.raw("targets", strings(event.heading->targets));
    map.flag("strict", event.heading->strict);
    map.number("builders", event.heading->builders);
    map.text("logdir", event.heading->logdir);
    map.text("cache", event.heading->cachedir);
  }
  if (event.elements) map.raw("elements", list_of(*event.elements, element_row));
  if (event.plan && !event.plan->dependencies.empty()) {
    map.raw("deps", list_of(event.plan->dependencies, [](const auto& of) {
              return list_of(of, [](std::uint32_t index) { return std::to_string(index); });
            }));
  }
  return std::move(map).str();
}

std::string failure(const wire::FailureSection& f) {
  Map map;
  map.text("e", f.element.name);
  map.text("a", f.job.action);
  map.number("job", f.job.id);
  map.number("attempt", f.job.attempt);
  map.text("text", f.text);
  map.text("detail", f.detail, kMostDetail);
  map.end_of("tail", f.log_tail, kMostTail);
  map.text("log", f.job.log_file);
  return std::move(map).str();
}

std::string prompt_map(const wire::PromptSection& prompt, std::string_view kind,
                       std::int64_t time) {
  Map map(kind, time);
  map.number("id", prompt.id);
  map.text("e", prompt.element);
  map.text("text", prompt.text);
  map.text("log", prompt.log_file);
  map.text("artifact", prompt.artifact);
  if (!prompt.choices.empty()) map.raw("choices", strings(prompt.choices));
  map.text("answer", prompt.answer);
  map.text("by", prompt.by);
  return std::move(map).str();
}

std::string finished_job(const wire::Event& event) {
  Map map("done", event.time);
  add_job(map, event);
  map.text("outcome", event.outcome);
  map.text("origin", event.origin);
  map.number("ms", ms(event.job->elapsed != 0 ? event.job->elapsed : event.elapsed));
  if (event.element) add_keys(map, *event.element);
  if (event.usage) {
    map.number("cpu", ms(event.usage->cpu));
    map.number("mem", event.usage->memory);
    map.number("bytes", event.usage->bytes);
  }
  if (event.outcome != "success") {
    map.text("text", event.text);
    map.text("detail", event.detail, kMostDetail);
    map.end_of("tail", event.log_tail, kMostTail);
  }
  return std::move(map).str();
}

std::string message(const wire::Event& event) {
  const bool error = event.type == "error";
  if (!error && event.level != "warn" && event.level != "error" && event.level != "bug") return {};
  // The error of a job was told by the job, that of a run by its outcome.
  if (event.error && (event.error->scope == "task" || event.error->domain == "stream")) return {};
  Map map("message", event.time);
  map.text("level", error ? "error" : event.level);
  map.text("text", event.text.empty() && event.error ? event.error->message : event.text);
  map.text("detail", event.detail, kMostDetail);
  if (event.element) map.text("e", event.element->name);
  if (event.error) {
    map.text("file", event.error->file);
    map.number("line", event.error->line);
  }
  return std::move(map).str();
}

std::string run_end(const wire::Event& event) {
  Map map("end", event.time);
  if (event.run) {
    map.number("n", event.run->number);
    map.number("ms", ms(event.run->elapsed));
  }
  map.text("outcome", event.outcome);
  if (event.failures) map.raw("failures", list_of(*event.failures, failure));
  if (event.resolved) map.raw("resolved", list_of(*event.resolved, element_row));
  return std::move(map).str();
}

}  // namespace

std::string page_event(const wire::Event& event) {
  const std::string& type = event.type;
  if (type.starts_with("session.")) return event.session ? session_event(event) : "";
  if (type == "run.started") return run_event(event);
  if (type == "run.finished") return run_end(event);
  if (type == "message" || type == "error" || type == "job.message") return message(event);
  Map map;
  if (type == "run.planned" && event.plan) {
    map = Map("plan", event.time);
    if (event.run) map.number("n", event.run->number);
    map.raw("expected",
            list_of(event.plan->expected, [](std::int64_t ns) { return std::to_string(ms(ns)); }));
    return std::move(map).str();
  }
  if (type == "element.state" && event.element) {
    map = Map("state", event.time);
    map.text("e", event.element->name);
    add_keys(map, *event.element);
    return std::move(map).str();
  }
  if (type == "job.started" && event.job) {
    map = Map("start", event.time);
    add_job(map, event);
    return std::move(map).str();
  }
  if (type == "job.finished" && event.job) return finished_job(event);
  if (type == "prompt.opened" && event.prompt)
    return prompt_map(*event.prompt, "prompt", event.time);
  if (type == "prompt.closed" && event.prompt)
    return prompt_map(*event.prompt, "answered", event.time);
  if (type.starts_with("runner.") && event.runner) {
    map = Map("runner", event.time);
    map.text("what", std::string_view(type).substr(7));
    map.text("name", event.runner->name);
    map.text("host", event.runner->host);
    map.number("slots", event.runner->slots);
    map.text("why", event.runner->why);
    return std::move(map).str();
  }
  return {};
}

std::string page_status(const wire::Event& status) {
  Map map("status", status.time);
  if (status.session) {
    map.text("state", status.session->state);
    map.number("ms", ms(status.session->elapsed));
  }
  if (status.run) map.number("n", status.run->number);
  map.text("text", status.text);
  if (status.progress) {
    const wire::ProgressSection& p = *status.progress;
    map.raw(
        "progress",
        fmt::format(
            R"({{"elements":{},"done":{},"cached":{},"pulled":{},"built":{},"fetched":{},"failed":{},"blocked":{}}})",
            p.elements, p.done, p.cached, p.pulled, p.built, p.fetched, p.failed, p.blocked));
  }
  if (status.estimate) {
    const wire::EstimateSection& e = *status.estimate;
    map.raw("estimate",
            fmt::format(R"({{"left":{},"low":{},"high":{},"critical":{},"guessed":{}}})",
                        ms(e.remaining), ms(e.low), ms(e.high), ms(e.critical), e.guessed));
  }
  if (status.idle && status.idle->builders != 0) {
    map.number("idle", status.idle->builders);
    map.text("idlewhy", status.idle->why);
  }
  if (status.limits) {
    map.number("builders", status.limits->builders);
    map.number("fetchers", status.limits->fetchers);
  }
  if (status.queues) {
    map.raw("queues", list_of(*status.queues, [](const wire::QueueSection& q) {
              return fmt::format("[{},{},{},{},{},{}]", wire::json_string(q.name), q.waiting,
                                 q.active, q.processed, q.skipped, q.failed);
            }));
  }
  if (status.active) {
    map.number("running", status.active->total);
    map.raw("active", list_of(status.active->jobs, [](const wire::ActiveJob& job) {
              Map one;
              one.text("e", job.element);
              one.text("a", job.action);
              one.number("job", job.job);
              one.number("attempt", job.attempt);
              one.number("ms", ms(job.elapsed));
              one.number("expected", ms(job.expected));
              one.flag("critical", job.critical);
              one.text("step", job.step, 200);
              one.text("line", job.line, 400);
              one.text("runner", job.runner);
              return std::move(one).str();
            }));
  }
  if (status.prompts) {
    map.raw("prompts", list_of(*status.prompts, [&](const wire::PromptSection& prompt) {
              return prompt_map(prompt, "prompt", status.time);
            }));
  }
  return std::move(map).str();
}

std::string script_safe(std::string_view json) {
  std::string out;
  out.reserve(json.size() + json.size() / 50);
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : valid_utf8(text)) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace sluice::renderer
