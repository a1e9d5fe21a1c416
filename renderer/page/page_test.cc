#include "renderer/page/page.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/append_log.h"
#include "renderer/page/digest.h"
#include "renderer/page/measured.h"
#include "renderer/page/session_digest.h"
#include "renderer/report/options.h"
#include "tests/support/test_directory.h"

namespace sluice::renderer {
namespace {

using Json = nlohmann::json;

constexpr const char* kHostile =
    "</script><!--<script>alert(1)</script><img src=x onerror=alert(2)>";

wire::Event job_event(const char* type) {
  wire::Event event;
  event.type = type;
  event.time = 5'000'000'000;
  event.outcome = "failure";
  event.text = kHostile;
  event.log_tail = std::string("a\xff\n") + kHostile;
  event.element.emplace();
  event.element->name = kHostile;
  event.element->brief = "abc";
  event.job.emplace();
  event.job->id = 7;
  event.job->action = "build";
  event.job->started = 2'000'000'000;
  event.job->elapsed = 3'000'000'000;
  return event;
}

TEST_CASE("An event for the page is a small map in milliseconds") {
  const Json done = Json::parse(page_event(job_event("job.finished")));
  CHECK(done["k"] == "done");
  CHECK(done["at"] == 5000);
  CHECK(done["from"] == 2000);
  CHECK(done["ms"] == 3000);
  CHECK(done["e"] == kHostile);
  CHECK(done["tail"] == std::string("a\xef\xbf\xbd\n") + kHostile);
  CHECK_FALSE(done.contains("origin"));

  const Json start = Json::parse(page_event(job_event("job.started")));
  CHECK(start["k"] == "start");
  CHECK_FALSE(start.contains("tail"));
}

TEST_CASE("Events that the page doesn't show are none") {
  CHECK(page_event(job_event("job.queued")).empty());
  CHECK(page_event(job_event("job.message")).empty());
  CHECK(page_event(job_event("something.new")).empty());
  // What a job has said of its failure isn't told a second time.
  wire::Event error = job_event("error");
  error.error.emplace();
  error.error->message = "it failed";
  CHECK(Json::parse(page_event(error))["level"] == "error");
  error.error->scope = "task";
  CHECK(page_event(error).empty());
}

TEST_CASE("A session without a run has nothing to measure") {
  CHECK(measured_json(history::History()) == "null");
}

TEST_CASE("A log's end is cut at its front, other texts at their end") {
  wire::Event event = job_event("job.finished");
  event.log_tail = std::string(100'000, 'x') + "last";
  event.text = "first" + std::string(100'000, 'y');
  const Json done = Json::parse(page_event(event));
  CHECK(done["tail"].get<std::string>().size() == 32'000);
  CHECK(done["tail"].get<std::string>().ends_with("xlast"));
  CHECK(done["text"].get<std::string>().starts_with("firsty"));
  CHECK(done["text"].get<std::string>().size() == 2'000);
}

TEST_CASE("A page has no more of logs than there is room for, and none of it twice") {
  const TestDirectory directory;
  wire::SessionPaths paths;
  paths.state = directory.str();
  wire::Event end;
  end.type = "run.finished";
  end.time = 6'000'000'000;
  end.failures.emplace();
  {
    auto log = AppendLog::open(paths.record_log(), {});
    REQUIRE(log);
    for (const std::uint64_t id : {1, 2, 3}) {
      wire::Event failed = job_event("job.finished");
      failed.job->id = id;
      failed.job->log_file = "/logs/" + std::to_string(id);
      failed.log_tail = std::string(id == 2 ? 70 : 50, 'x');
      REQUIRE(log->append(wire::encode(failed)));
      end.failures->push_back(
          {*failed.element, *failed.job, "failure", "it failed", "", failed.log_tail});
    }
    // This one's end isn't in the log.
    end.failures->push_back(end.failures->front());
    end.failures->back().job.id = 4;
    end.failures->back().job.log_file = "/logs/4";
    REQUIRE(log->append(wire::encode(end)));
  }
  const auto digest = session_digest(paths, {}, 100);
  REQUIRE(digest);
  const Json events = Json::parse(*digest);
  REQUIRE(events.size() == 4);
  CHECK(events[0]["tail"] == std::string(50, 'x'));
  const std::string left_out = events[1]["tail"];
  CHECK(left_out.find("left out") != left_out.npos);
  CHECK(left_out.ends_with(" /logs/2\n"));
  CHECK(events[2]["tail"] == std::string(50, 'x'));
  const Json& failures = events[3]["failures"];
  REQUIRE(failures.size() == 4);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(failures[i].contains("tail"));
  CHECK(failures[3]["tail"].get<std::string>().ends_with(" /logs/4\n"));
}

TEST_CASE("A status has what runs, and prompts") {
  wire::Event status;
  status.type = "status";
  status.active.emplace();
  status.active->jobs.push_back({"a.bst", "", "build", 3});
  status.active->jobs.back().critical = true;
  status.active->total = 1;
  status.prompts.emplace();
  status.prompts->push_back({9, "b.bst", "it failed"});
  status.prompts->back().choices = {"continue"};
  const Json json = Json::parse(page_status(status));
  CHECK(json["active"][0]["e"] == "a.bst");
  CHECK(json["active"][0]["critical"] == true);
  CHECK(json["running"] == 1);
  CHECK(json["prompts"][0]["id"] == 9);
  CHECK(json["prompts"][0]["choices"] == Json({"continue"}));
}

TEST_CASE("Nothing of a session ends the script that it stands in, or is HTML") {
  const std::string safe = script_safe(page_event(job_event("job.finished")));
  CHECK(safe.find('<') == std::string::npos);
  CHECK(Json::parse(safe)["e"] == kHostile);
  CHECK(html_text("<b a=\"1\">&\xff") == "&lt;b a=&quot;1&quot;&gt;&amp;\xef\xbf\xbd");
}

TEST_CASE("A report asks for nothing, and runs no script but its own") {
  ReportPage report;
  report.title = kHostile;
  report.data = "{\"x\":\"@style@</script>\"}";
  const std::string page = report_page(report);
  CHECK(page.find(kHostile) == std::string::npos);
  CHECK(page.find("default-src 'none'; script-src 'sha256-") != std::string::npos);
  // What is put in isn't looked at again.
  CHECK(page.find("@style@\\u003c/script>") != std::string::npos);
  CHECK(page.find("http://") == std::string::npos);
  CHECK(page.find("https://") == std::string::npos);
}

TEST_CASE("The page's scripts never make HTML of texts") {
  const std::string script = page_script();
  for (const char* word : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
                           "eval(", "new Function", "DOMParser", "srcdoc"})
    CHECK(script.find(word) == std::string::npos);
}

TEST_CASE("What sluice-report is told") {
  CHECK(parse_report_options({"--session", "a", "--output", "x"})->output == "x");
  CHECK(parse_report_options({"-h"})->help);
  CHECK_FALSE(parse_report_options({}));
  CHECK_FALSE(parse_report_options({"--session", "a", "b"}));
  CHECK_FALSE(parse_report_options({"--session"}));
  CHECK_FALSE(parse_report_options({"--session", "a", "--other"}));
}

}  // namespace
}  // namespace sluice::renderer
