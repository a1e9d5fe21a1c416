// Spans of records as a scheduler says them: what was suspended, said twice, never ended.
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "renderer/trace/chrome.h"
#include "renderer/trace/otlp.h"

using namespace sluice;
using namespace sluice::trace;
using Json = nlohmann::json;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kStart = 1'700'000'000 * kSecond;

// Records of a session that began at kStart; times are seconds after that, by the time of day.
class Teller {
 public:
  explicit Teller(Spans& spans) : spans_(spans) {}
  std::int64_t suspended = 0;  // seconds until now

  wire::Event event(const char* type, double at) {
    wire::Event event;
    event.type = type;
    event.src = "scheduler";
    event.time = kStart + static_cast<std::int64_t>(at * kSecond);
    event.session.emplace();
    event.session->id = "20260101-000000-000-aaaa";
    event.session->project = "small";
    event.session->verb = "build";
    event.session->started = kStart;
    event.session->elapsed = event.time - kStart - suspended * kSecond;
    return event;
  }
  wire::Event job(const char* type, double at, std::uint64_t id, const char* element,
                  std::uint32_t slot = 0) {
    wire::Event out = event(type, at);
    out.job.emplace();
    out.job->id = id;
    out.job->action = "build";
    out.job->runner = "runner";
    out.job->host = "here";
    out.job->slot = slot;
    out.element.emplace();
    out.element->name = element;
    out.run.emplace();
    out.run->number = 1;
    return out;
  }
  void say(const wire::Event& event) { spans_.take(event); }
  void finished(double at, std::uint64_t id, const char* element, std::uint32_t slot = 0) {
    wire::Event out = job("job.finished", at, id, element, slot);
    out.outcome = "success";
    say(out);
  }

 private:
  Spans& spans_;
};

struct Collected {
  Course course;
  Spans spans{{[this](const JobSpan& span) { course.jobs.push_back(span); },
               [this](const RunSpan& span) { course.runs.push_back(span); },
               [this](const SessionSpan& span) { course.session = span; }}};
  Teller teller{spans};

  Json chrome() {
    std::string text;
    REQUIRE(write_chrome(course, [&](std::string_view piece) {
      text += piece;
      return Status();
    }));
    return Json::parse(text);
  }
};

std::vector<Json> events(const Json& trace, const std::string& phase) {
  std::vector<Json> found;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == phase) found.push_back(event);
  }
  return found;
}

}  // namespace

TEST_CASE("what a session was suspended for is in no job, and in no step") {
  Collected all;
  Teller& teller = all.teller;
  teller.say(teller.event("session.started", 0));
  teller.say(teller.job("job.started", 1, 7, "a.bst"));
  teller.say(teller.event("session.suspended", 2));
  teller.suspended = 10;
  teller.say(teller.event("session.resumed", 12));
  // The runner says the session as it was when it was given the job.
  wire::Event step = teller.job("job.message", 13, 7, "a.bst");
  step.src = "runner";
  step.session->elapsed = kSecond;
  step.level = "success";
  step.text = "Running commands";
  step.elapsed = kSecond * 3 / 2;
  teller.say(step);
  teller.finished(14, 7, "a.bst");
  teller.say(teller.event("session.ended", 15));

  REQUIRE(all.course.jobs.size() == 1);
  const JobSpan& job = all.course.jobs[0];
  CHECK(job.interval.begin.active == kSecond);
  CHECK(job.interval.end.active == 4 * kSecond);
  CHECK(job.interval.end.wall - job.interval.begin.wall == 13 * kSecond);
  REQUIRE(job.steps.size() == 1);
  CHECK(job.steps[0].interval.end.active == 3 * kSecond);
  CHECK(job.steps[0].interval.begin.active == kSecond * 3 / 2);
  CHECK(all.course.session.interval.end.active == 5 * kSecond);
  CHECK(all.course.session.suspensions.size() == 1);
  CHECK(all.course.session.ended);

  const Json trace = all.chrome();
  const auto cut = events(trace, "i");
  REQUIRE(cut.size() == 1);
  CHECK(cut[0]["ts"] == 2e6);
  CHECK(cut[0]["args"]["seconds_left_out"] == 10.0);
}

TEST_CASE("a job that is said twice is there once, and one without an end until the last record") {
  Collected all;
  Teller& teller = all.teller;
  for (int said = 0; said < 2; ++said) teller.say(teller.job("job.started", 1, 1, "a.bst"));
  for (int said = 0; said < 2; ++said) teller.finished(2, 1, "a.bst");
  teller.say(teller.job("job.started", 2, 1, "a.bst"));
  teller.say(teller.job("job.started", 2, 2, "b.bst"));
  teller.say(teller.event("message", 5));
  all.spans.finish();
  REQUIRE(all.course.jobs.size() == 2);
  CHECK(all.course.jobs[1].outcome.empty());
  CHECK(all.course.jobs[1].interval.end.active == 5 * kSecond);
  CHECK_FALSE(all.course.session.ended);
  CHECK(all.course.session.interval.end.active == 5 * kSecond);
}

TEST_CASE("an attempt that was lost ends where the next one starts") {
  Collected all;
  Teller& teller = all.teller;
  teller.say(teller.job("job.started", 1, 1, "a.bst"));
  wire::Event second = teller.job("job.started", 4, 1, "a.bst");
  second.job->attempt = 2;
  teller.say(second);
  // Records from before a scheduler's death may be said again after it.
  teller.say(teller.job("job.started", 1, 1, "a.bst"));
  second = teller.job("job.finished", 6, 1, "a.bst");
  second.job->attempt = 2;
  second.outcome = "success";
  teller.say(second);
  teller.say(teller.event("message", 9));
  all.spans.finish();
  REQUIRE(all.course.jobs.size() == 2);
  CHECK(all.course.jobs[0].outcome == "lost");
  CHECK(all.course.jobs[0].interval.end.active == 4 * kSecond);
  CHECK(all.course.jobs[1].outcome == "success");
  // Both were in the same slot, one after the other.
  const Json trace = all.chrome();
  const auto slices = events(trace, "X");
  REQUIRE(slices.size() == 2);
  CHECK(slices[0]["tid"] == slices[1]["tid"]);
}

TEST_CASE("arrows go from the last job of each dependency, and of the element itself") {
  Collected all;
  Teller& teller = all.teller;
  wire::Event run = teller.event("run.started", 0.5);
  run.elements.emplace();
  for (const char* name : {"a.bst", "b.bst", "c.bst"}) {
    wire::ElementSection element;
    element.name = name;
    run.elements->push_back(element);
  }
  run.plan.emplace();
  run.plan->dependencies = {{}, {}, {0, 1, 99}};
  teller.say(run);
  teller.say(teller.job("job.started", 1, 1, "a.bst", 0));
  teller.say(teller.job("job.started", 1, 2, "b.bst", 1));
  teller.finished(2, 1, "a.bst", 0);
  teller.finished(3, 2, "b.bst", 1);
  // In the same slot as another one that still runs: it is shown beside it.
  teller.say(teller.job("job.started", 4, 3, "c.bst", 0));
  teller.say(teller.job("job.started", 4, 4, "d.bst", 0));
  teller.finished(5, 3, "c.bst", 0);
  teller.finished(5, 4, "d.bst", 0);
  teller.say(teller.job("job.started", 6, 5, "c.bst", 0));
  teller.finished(7, 5, "c.bst", 0);
  const Json trace = all.chrome();
  std::vector<std::string> arrows;
  const auto starts = events(trace, "s"), ends = events(trace, "f");
  REQUIRE(starts.size() == ends.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    CHECK(starts[i]["id"] == ends[i]["id"]);
    arrows.push_back(fmt::format("{} {} {}", starts[i]["name"].get<std::string>(),
                                 starts[i]["ts"].get<double>(), ends[i]["ts"].get<double>()));
  }
  // c is built with a and b; its second job goes on from its first, and from these.
  CHECK(arrows ==
        std::vector<std::string>{"dependency 1999999.999 4000000", "dependency 2999999.999 4000000",
                                 "then 4999999.999 6000000", "dependency 1999999.999 6000000",
                                 "dependency 2999999.999 6000000"});
  std::set<int> threads;
  for (const Json& slice : events(trace, "X")) {
    if (slice["ts"] == 4e6) threads.insert(slice["tid"].get<int>());
  }
  CHECK(threads.size() == 2);
}

TEST_CASE("a job that was killed was cancelled, and a failure says its kind") {
  wire::SessionSection session;
  session.id = "s";
  session.project = "small";
  JobSpan job;
  job.job.id = 3;
  job.job.action = "build";
  job.job.host = "far";
  job.job.log_file = "/logs/a b.log";
  job.element.name = "a.bst";
  const auto attributes = [&] {
    std::map<std::string, std::string> found;
    const Json span = Json::parse(otlp_job(session, job));
    for (const Json& one : span["attributes"])
      found[one["key"]] = one["value"].value("stringValue", std::string());
    found["status"] = span.value("status", Json::object()).dump();
    return found;
  };
  job.outcome = "killed";
  auto said = attributes();
  CHECK(said["cicd.pipeline.task.run.result"] == "cancellation");
  CHECK(said["cicd.pipeline.task.run.url.full"] == "file://far/logs/a%20b.log");
  CHECK_FALSE(said.contains("error.type"));
  CHECK(said["status"] == "{}");
  job.outcome = "failure";
  job.error.emplace();
  job.error->domain = "element";
  job.error->reason = "command-failed";
  job.error->message = "Command failed";
  said = attributes();
  CHECK(said["error.type"] == "element/command-failed");
  CHECK(said["status"] == R"({"code":2,"message":"Command failed"})");

  CHECK(otlp_endpoint("http://a:1") == "http://a:1/v1/traces");
  CHECK(otlp_endpoint("http://a:1/") == "http://a:1/v1/traces");
  CHECK(otlp_endpoint("http://a:1/otlp/v1/traces") == "http://a:1/otlp/v1/traces");
  CHECK(otlp_complaint("{}") == "");
  CHECK(otlp_complaint("no JSON") == "");
  CHECK(otlp_complaint(R"({"partialSuccess":{}})") == "");
}
