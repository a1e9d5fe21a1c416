#include "renderer/trace/chrome.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/try.h"

namespace sluice::trace {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSessionProcess = 1;
constexpr int kRunsThread = 1, kSuspensionsThread = 2;
// Where jobs are shown for whose time another one is known in the same slot.
constexpr std::uint32_t kMoreThreads = 10000;
constexpr std::size_t kPiece = std::size_t{1} << 18;
// The shortest slice, so that arrows have something to begin and end at.
constexpr std::int64_t kLeast = 1000;

// Microseconds, to the nanosecond.
Json micros(std::int64_t ns) { return static_cast<double>(ns) / 1000; }

// Events that are written as they come, in pieces.
class Document {
 public:
  explicit Document(const std::function<Status(std::string_view)>& write) : write_(write) {
    text_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  }
  Status add(const Json& event) {
    text_ += first_ ? "\n" : ",\n";
    first_ = false;
    text_ += event.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text_.size() < kPiece ? Status() : flush();
  }
  Status end(const Json& other) {
    text_ += "\n],\"otherData\":";
    text_ += other.dump(-1, ' ', false, Json::error_handler_t::replace);
    text_ += "}\n";
    return flush();
  }

 private:
  Status flush() {
    CHECK(write_(text_));
    text_.clear();
    return {};
  }

  const std::function<Status(std::string_view)>& write_;
  std::string text_;
  bool first_ = true;
};

// Where a job is shown.
struct Place {
  int process = 0;
  std::uint32_t thread = 0;
};

Json slice(const Place& place, std::string_view name, std::string_view category,
           const Interval& interval) {
  return {{"ph", "X"},
          {"name", name},
          {"cat", category},
          {"pid", place.process},
          {"tid", place.thread},
          {"ts", micros(interval.begin.active)},
          {"dur", micros(std::max(kLeast, interval.end.active - interval.begin.active))}};
}

Json meta(std::string_view what, int process, std::uint32_t thread, Json args) {
  return {
      {"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", std::move(args)}};
}

std::string title(const JobSpan& span) {
  const std::string title = span.job.action + " " + span.element.name;
  return span.job.attempt > 1 ? fmt::format("{} (attempt {})", title, span.job.attempt) : title;
}

Json details(const JobSpan& span) {
  Json args = {
      {"element", span.element.name}, {"project", span.element.project},
      {"kind", span.element.kind},    {"key", span.element.key},
      {"action", span.job.action},    {"job", span.job.id},
      {"attempt", span.job.attempt},  {"run", span.run},
      {"slot", span.job.slot},        {"outcome", span.outcome.empty() ? "running" : span.outcome}};
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) args[name] = value;
  };
  text("origin", span.origin);
  text("log", span.job.log_file);
  if (span.outcome == "failure" || span.outcome == "error") {
    text("message", span.error ? span.error->message : span.text);
    text("detail", span.detail);
  }
  const wire::UsageSection& used = span.usage;
  if (used.cpu != 0) args["cpu_seconds"] = static_cast<double>(used.cpu) / 1e9;
  if (used.memory != 0) args["memory_bytes"] = used.memory;
  if (used.bytes != 0) args["bytes"] = used.bytes;
  if (used.fetched != 0) args["fetched_bytes"] = used.fetched;
  if (used.uploaded != 0) args["uploaded_bytes"] = used.uploaded;
  return args;
}

// Gives each job its place: the thread of its slot, where no two overlap.
class Places {
 public:
  explicit Places(const std::vector<const JobSpan*>& jobs) {
    for (const JobSpan* job : jobs) {
      Runner& runner = runners_[job->job.runner];
      if (runner.process == 0) runner.process = kSessionProcess + static_cast<int>(runners_.size());
      if (!job->job.host.empty()) runner.host = job->job.host;
      std::uint32_t thread = job->job.slot + 1;  // the format has no thread 0
      for (std::uint32_t next = kMoreThreads;
           runner.busy_until[thread] > job->interval.begin.active; ++next)
        thread = next;
      runner.busy_until[thread] =
          std::max(job->interval.end.active, job->interval.begin.active + kLeast);
      places_.push_back({runner.process, thread});
    }
  }
  const Place& operator[](std::size_t i) const { return places_[i]; }

  Status write(Document& document) const {
    for (const auto& [name, runner] : runners_) {
      const std::string title = name.empty()          ? std::string("no runner")
                                : runner.host.empty() ? name
                                                      : name + " on " + runner.host;
      CHECK(document.add(meta("process_name", runner.process, 0, {{"name", title}})));
      CHECK(document.add(
          meta("process_sort_index", runner.process, 0, {{"sort_index", runner.process}})));
      for (const auto& [thread, until] : runner.busy_until) {
        const std::string slot = thread < kMoreThreads
                                     ? fmt::format("slot {}", thread - 1)
                                     : fmt::format("more {}", thread - kMoreThreads + 1);
        CHECK(document.add(meta("thread_name", runner.process, thread, {{"name", slot}})));
        CHECK(document.add(
            meta("thread_sort_index", runner.process, thread, {{"sort_index", thread}})));
      }
    }
    return {};
  }

 private:
  struct Runner {
    int process = 0;
    std::string host;
    std::map<std::uint32_t, std::int64_t> busy_until;
  };
  std::map<std::string, Runner> runners_;
  std::vector<Place> places_;
};

Status write_session(Document& document, const Course& course) {
  const wire::SessionSection& session = course.session.session;
  CHECK(document.add(
      meta("process_name", kSessionProcess, 0, {{"name", fmt::format("session {}", session.id)}})));
  CHECK(document.add(meta("process_sort_index", kSessionProcess, 0, {{"sort_index", 0}})));
  CHECK(document.add(meta("thread_name", kSessionProcess, kRunsThread, {{"name", "runs"}})));
  for (const RunSpan& run : course.runs) {
    Json event = slice({kSessionProcess, kRunsThread}, run.verb, "run", run.interval);
    event["args"] = {{"run", run.number},
                     {"targets", run.targets},
                     {"outcome", run.outcome.empty() ? "running" : run.outcome},
                     {"failures", run.failures.size()}};
    CHECK(document.add(event));
  }
  if (course.session.suspensions.empty()) return {};
  CHECK(document.add(
      meta("thread_name", kSessionProcess, kSuspensionsThread, {{"name", "suspended"}})));
  std::int64_t before = 0;
  for (const auto& [from, to] : course.session.suspensions) {
    CHECK(document.add({{"ph", "i"},
                        {"name", "suspended"},
                        {"cat", "session"},
                        {"s", "g"},
                        {"pid", kSessionProcess},
                        {"tid", kSuspensionsThread},
                        {"ts", micros(std::max<std::int64_t>(0, from - session.started - before))},
                        {"args", {{"seconds_left_out", static_cast<double>(to - from) / 1e9}}}}));
    before += to - from;
  }
  return {};
}

// How many jobs of each action run, as that changes.
Status write_counters(Document& document, const std::vector<const JobSpan*>& jobs) {
  std::map<std::string, std::map<std::int64_t, std::int64_t>> changes;
  for (const JobSpan* job : jobs) {
    auto& of_action = changes[job->job.action];
    ++of_action[job->interval.begin.active];
    --of_action[job->interval.end.active];
  }
  for (const auto& [action, of_action] : changes) {
    std::int64_t now = 0;
    for (const auto& [at, change] : of_action) {
      if (change == 0) continue;
      now += change;
      CHECK(document.add({{"ph", "C"},
                          {"name", fmt::format("active {} jobs", action)},
                          {"pid", kSessionProcess},
                          {"tid", 0},
                          {"ts", micros(at)},
                          {"args", {{"jobs", now}}}}));
    }
  }
  return {};
}

// An arrow from the end of one job to the beginning of another.
Status write_flow(Document& document, std::uint64_t id, const JobSpan& from,
                  const Place& from_place, const JobSpan& to, const Place& to_place) {
  const std::int64_t end =
      std::max(from.interval.end.active, from.interval.begin.active + kLeast) - 1;
  const bool other = from.element.name != to.element.name;
  Json event = {{"ph", "s"},
                {"id", id},
                {"name", other ? "dependency" : "then"},
                {"cat", "needs"},
                {"pid", from_place.process},
                {"tid", from_place.thread},
                {"ts", micros(std::min(end, to.interval.begin.active))}};
  CHECK(document.add(event));
  event["ph"] = "f";
  event["bp"] = "e";
  event["pid"] = to_place.process;
  event["tid"] = to_place.thread;
  event["ts"] = micros(to.interval.begin.active);
  return document.add(event);
}

}  // namespace

Status write_chrome(const Course& course, const std::function<Status(std::string_view)>& write) {
  std::vector<const JobSpan*> jobs;
  for (const JobSpan& job : course.jobs) jobs.push_back(&job);
  std::stable_sort(jobs.begin(), jobs.end(), [](const JobSpan* a, const JobSpan* b) {
    return a->interval.begin.active < b->interval.begin.active;
  });
  const Places places(jobs);
  Document document(write);
  CHECK(write_session(document, course));
  CHECK(places.write(document));
  std::map<JobName, std::size_t> index;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const JobSpan& job = *jobs[i];
    index[{job.job.id, job.job.attempt}] = i;
    Json event = slice(places[i], title(job), job.job.action, job.interval);
    event["args"] = details(job);
    if (job.outcome == "failure" || job.outcome == "error") event["cname"] = "terrible";
    CHECK(document.add(event));
    for (const Step& step : job.steps) {
      if (step.interval.end.active <= step.interval.begin.active) continue;
      Json inner = slice(places[i], step.text, "step", step.interval);
      inner["dur"] = micros(step.interval.end.active - step.interval.begin.active);
      inner["args"] = {{"outcome", step.level}};
      if (!step.detail.empty()) inner["args"]["detail"] = step.detail;
      CHECK(document.add(inner));
    }
  }
  CHECK(write_counters(document, jobs));
  std::uint64_t flows = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (const JobName& need : jobs[i]->needs) {
      const auto from = index.find(need);
      if (from != index.end())
        CHECK(write_flow(document, ++flows, *jobs[from->second], places[from->second], *jobs[i],
                         places[i]));
    }
  }
  const wire::SessionSection& session = course.session.session;
  return document.end({{"session", session.id},
                       {"project", session.project},
                       {"verb", session.verb},
                       {"started_ns", session.started},
                       {"ended", course.session.ended},
                       {"sluice", SLUICE_VERSION}});
}

}  // namespace sluice::trace
