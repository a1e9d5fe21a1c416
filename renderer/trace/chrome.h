// A session in the Trace Event format, which Perfetto and Chromium's tracing page open.
//
// Process 1 is the session: its runs, its suspensions, and counters. Each runner is a process after
// that; its slots are its threads, a job is a slice on one of them, and the steps of the job are
// slices in that. From each job an arrow (a flow) leads to those that go on from it. Times are the
// session's own: it wasn't busy while it was suspended, and nothing looks as if it had been.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "renderer/trace/spans.h"

namespace sluice::trace {

// All of a session, in any order.
struct Course {
  SessionSpan session;
  std::vector<RunSpan> runs;
  std::vector<JobSpan> jobs;
};

// Gives the document to `write` in pieces, until it fails.
Status write_chrome(const Course& course, const std::function<Status(std::string_view)>& write);

}  // namespace sluice::trace
