#include "renderer/trace/otlp.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/paths.h"
#include "base/sha256.h"

namespace sluice::trace {

namespace {

using Json = nlohmann::ordered_json;

// Span.SpanKind and Status.StatusCode of the protocol.
constexpr int kInternal = 1, kServer = 2;
constexpr int kError = 2;
constexpr std::size_t kTraceDigits = 32, kSpanDigits = 16;
// Of what a job says for people.
constexpr std::size_t kMostText = 8192;
constexpr std::string_view kScope = "sluice";

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// No 64-bit number is a number in its JSON.
std::string number(std::int64_t value) { return std::to_string(value); }

std::string trace_id(const std::string& session) {
  return sha256_hex("sluice trace " + session).substr(0, kTraceDigits);
}

std::string span_id(const std::string& session, const std::string& what) {
  return sha256_hex(fmt::format("sluice span {} {}", session, what)).substr(0, kSpanDigits);
}

std::string session_name() { return "session"; }
std::string run_name(std::uint32_t number) { return fmt::format("run {}", number); }
std::string job_name(const JobName& name) {
  return fmt::format("job {} {}", name.first, name.second);
}

class Attributes {
 public:
  Attributes& text(const char* name, std::string_view value) {
    if (!value.empty()) add(name, {{"stringValue", value.substr(0, kMostText)}});
    return *this;
  }
  Attributes& integer(const char* name, std::int64_t value) {
    add(name, {{"intValue", number(value)}});
    return *this;
  }
  Attributes& positive(const char* name, std::uint64_t value) {
    return value == 0 ? *this : integer(name, static_cast<std::int64_t>(value));
  }
  Attributes& real(const char* name, double value) {
    add(name, {{"doubleValue", value}});
    return *this;
  }
  Attributes& texts(const char* name, const std::vector<std::string>& values) {
    Json list = Json::array();
    for (const std::string& value : values) list.push_back({{"stringValue", value}});
    add(name, {{"arrayValue", {{"values", std::move(list)}}}});
    return *this;
  }
  Json take() { return std::move(list_); }

 private:
  void add(const char* name, Json value) {
    list_.push_back({{"key", name}, {"value", std::move(value)}});
  }
  Json list_ = Json::array();
};

Json span(const wire::SessionSection& session, const std::string& what, const std::string& parent,
          std::string_view name, int kind, const Interval& interval) {
  Json out = {{"traceId", trace_id(session.id)}, {"spanId", span_id(session.id, what)}};
  if (!parent.empty()) out["parentSpanId"] = span_id(session.id, parent);
  out["flags"] = 257;  // sampled, and the parent isn't remote
  out["name"] = name;
  out["kind"] = kind;
  out["startTimeUnixNano"] = number(interval.begin.wall);
  out["endTimeUnixNano"] = number(interval.end.wall);
  return out;
}

Json event(std::int64_t wall, std::string_view name, Json attributes) {
  return {{"timeUnixNano", number(wall)}, {"name", name}, {"attributes", std::move(attributes)}};
}

void failed(Json& span, std::string_view message) {
  span["status"] = {{"code", kError}, {"message", message.substr(0, kMostText)}};
}

// cicd.pipeline.task.run.result
std::string_view task_result(std::string_view outcome) {
  if (outcome == "killed" || outcome == "lost") return "cancellation";
  if (outcome == "skipped") return "skip";
  return outcome;  // success, failure, error
}

// cicd.pipeline.result
std::string_view run_result(std::string_view outcome) {
  return outcome == "terminated" || outcome == "quit" ? "cancellation" : outcome;
}

// cicd.pipeline.action.name
std::string_view action_of(std::string_view verb) {
  if (verb == "build") return "BUILD";
  return "RUN";
}

std::string error_type(const std::optional<wire::ErrorSection>& error, std::string_view outcome) {
  if (!error || error->domain.empty()) return std::string(outcome);
  return error->reason.empty() ? error->domain : error->domain + "/" + error->reason;
}

std::string run_id(const wire::SessionSection& session, std::uint32_t run) {
  return fmt::format("{}/{}", session.id, run);
}

std::string log_url(const wire::JobSection& job) {
  return job.log_file.empty() ? std::string() : file_url(job.host, job.log_file);
}

Json links_of(const wire::SessionSection& session, const std::vector<JobName>& needs) {
  Json links = Json::array();
  for (const JobName& need : needs) {
    links.push_back(
        {{"traceId", trace_id(session.id)}, {"spanId", span_id(session.id, job_name(need))}});
  }
  return links;
}

std::string step_span(const wire::SessionSection& session, const JobSpan& job, const Step& step,
                      std::size_t index) {
  const std::string parent = job_name({job.job.id, job.job.attempt});
  Json out = span(session, fmt::format("{} step {}", parent, index), parent, step.text, kInternal,
                  step.interval);
  out["attributes"] = Attributes()
                          .text("sluice.element", job.element.name)
                          .text("sluice.step", step.text)
                          .text("sluice.outcome", step.level)
                          .take();
  if (step.level == "failure") failed(out, step.text);
  return dump(out);
}

}  // namespace

std::string otlp_job(const wire::SessionSection& session, const JobSpan& job) {
  const std::string name = job.job.action + " " + job.element.name;
  const std::string what = job_name({job.job.id, job.job.attempt});
  Json out = span(session, what, job.run == 0 ? session_name() : run_name(job.run), name, kInternal,
                  job.interval);
  Attributes attributes;
  attributes.text("cicd.pipeline.name", session.project)
      .text("cicd.pipeline.run.id", run_id(session, job.run))
      .text("cicd.pipeline.task.name", name)
      .text("cicd.pipeline.task.run.id", fmt::format("{}.{}", job.job.id, job.job.attempt))
      .text("cicd.pipeline.task.type", job.job.action == "build" ? "build" : "")
      .text("cicd.pipeline.task.run.url.full", log_url(job.job))
      .text("cicd.pipeline.task.run.result", task_result(job.outcome))
      .text("cicd.worker.id", job.job.runner)
      .text("cicd.worker.name", job.job.host)
      .text("sluice.element", job.element.name)
      .text("sluice.element.kind", job.element.kind)
      .text("sluice.key", job.element.key)
      .text("sluice.action", job.job.action)
      .integer("sluice.attempt", job.job.attempt)
      .integer("sluice.slot", job.job.slot)
      .text("sluice.origin", job.origin)
      .text("log.file.path", job.job.log_file)
      .positive("sluice.memory_bytes", job.usage.memory)
      .positive("sluice.bytes", job.usage.bytes)
      .positive("sluice.fetched_bytes", job.usage.fetched)
      .positive("sluice.uploaded_bytes", job.usage.uploaded);
  if (job.usage.cpu != 0)
    attributes.real("sluice.cpu_seconds", static_cast<double>(job.usage.cpu) / 1e9);
  // What it took without what the session was suspended for.
  attributes.real("sluice.active_seconds",
                  static_cast<double>(job.interval.end.active - job.interval.begin.active) / 1e9);
  if (job.outcome == "failure" || job.outcome == "error") {
    attributes.text("error.type", error_type(job.error, job.outcome));
    const std::string& message = job.error ? job.error->message : job.text;
    failed(out, message);
    out["events"] = Json::array({event(
        job.interval.end.wall, "failure",
        Attributes().text("sluice.message", message).text("sluice.detail", job.detail).take())});
  }
  out["attributes"] = attributes.take();
  if (!job.needs.empty()) out["links"] = links_of(session, job.needs);
  std::string text = dump(out);
  for (std::size_t i = 0; i < job.steps.size(); ++i)
    text += "," + step_span(session, job, job.steps[i], i);
  return text;
}

std::string otlp_run(const wire::SessionSection& session, const RunSpan& run) {
  Json out =
      span(session, run_name(run.number), session_name(),
           fmt::format("{} {}", action_of(run.verb), session.project), kServer, run.interval);
  Attributes attributes;
  attributes.text("cicd.pipeline.name", session.project)
      .text("cicd.pipeline.run.id", run_id(session, run.number))
      .text("cicd.pipeline.action.name", action_of(run.verb))
      .text("cicd.pipeline.result", run_result(run.outcome))
      .text("sluice.verb", run.verb)
      .texts("sluice.targets", run.targets);
  if (run.outcome == "failure") {
    attributes.text("error.type", run.outcome);
    failed(out, fmt::format("{} elements failed", run.failures.size()));
    Json events = Json::array();
    for (const wire::FailureSection& failure : run.failures) {
      events.push_back(event(run.interval.end.wall, "failure",
                             Attributes()
                                 .text("sluice.element", failure.element.name)
                                 .text("sluice.message", failure.text)
                                 .take()));
    }
    out["events"] = std::move(events);
  }
  out["attributes"] = attributes.take();
  return dump(out);
}

std::string otlp_session(const SessionSpan& session) {
  const wire::SessionSection& section = session.session;
  Json out =
      span(section, session_name(), "", "session " + section.verb, kInternal, session.interval);
  out["attributes"] = Attributes()
                          .text("cicd.pipeline.name", section.project)
                          .text("sluice.session", section.id)
                          .text("sluice.verb", section.verb)
                          .take();
  Json events = Json::array();
  for (const auto& [from, to] : session.suspensions) {
    events.push_back(event(from, "session.suspended", Json::array()));
    events.push_back(event(to, "session.resumed", Json::array()));
  }
  if (!events.empty()) out["events"] = std::move(events);
  return dump(out);
}

std::string otlp_request(const std::vector<std::string_view>& spans) {
  const Json resource = {
      {"attributes",
       Attributes().text("service.name", kScope).text("service.version", SLUICE_VERSION).take()}};
  const Json scope = {{"name", kScope}, {"version", SLUICE_VERSION}};
  return fmt::format(
      R"({{"resourceSpans":[{{"resource":{},"scopeSpans":[{{"scope":{},"spans":[{}]}}]}}]}})",
      dump(resource), dump(scope), fmt::join(spans, ","));
}

std::string otlp_endpoint(std::string url) {
  const std::size_t host = url.find("://");
  if (host == std::string::npos) return url;
  const std::size_t path = url.find('/', host + 3);
  if (path != std::string::npos && path + 1 < url.size()) return url;
  if (path != std::string::npos) url.pop_back();
  return url + "/v1/traces";
}

std::string otlp_complaint(std::string_view answer) {
  const Json parsed = parse_json<Json>(answer);
  if (!parsed.is_object()) return {};
  const auto partial = parsed.find("partialSuccess");
  if (partial == parsed.end() || !partial->is_object()) return {};
  const std::string message =
      partial->contains("errorMessage") && (*partial)["errorMessage"].is_string()
          ? (*partial)["errorMessage"].get<std::string>()
          : std::string();
  const auto rejected = partial->find("rejectedSpans");
  const std::string count = rejected == partial->end() ? std::string("0")
                            : rejected->is_string()    ? rejected->get<std::string>()
                                                       : rejected->dump();
  if (count == "0" && message.empty()) return {};
  return fmt::format("{} spans were rejected: {}", count, message);
}

}  // namespace sluice::trace
