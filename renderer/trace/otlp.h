// Spans as OTLP has them in JSON (ExportTraceServiceRequest), with the names of OpenTelemetry's
// semantic conventions for CI/CD.
//
// A session is a trace. Its ids are hashes of the session's id and of what a span is in it, so that
// who sends a span twice sends the same one. Root: the session; below it its runs (a run of a
// pipeline, kind SERVER), their jobs (tasks), and the jobs' steps. Times are the time of day:
// suspensions are events of the session's span.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "renderer/trace/spans.h"

namespace sluice::trace {

// Each gives JSON objects with commas between them. `session` needs its id, project and verb.
std::string otlp_job(const wire::SessionSection& session, const JobSpan& span);  // and its steps
std::string otlp_run(const wire::SessionSection& session, const RunSpan& span);
std::string otlp_session(const SessionSpan& span);

// The request that has these.
std::string otlp_request(const std::vector<std::string_view>& spans);

// Where they are to be sent: `url` itself when it has a path, or else its /v1/traces.
std::string otlp_endpoint(std::string url);
// What the answer to a request that was taken complains of; "" for nothing.
std::string otlp_complaint(std::string_view answer);

}  // namespace sluice::trace
