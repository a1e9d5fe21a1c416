#include "renderer/page/page.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "renderer/page/digest.h"
#include "renderer/page/measured.h"
#include "renderer/report/options.h"

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
  CHECK_FALSE(parse_report_options({}));
  CHECK_FALSE(parse_report_options({"--session"}));
  CHECK_FALSE(parse_report_options({"--session", "a", "--other"}));
}

}  // namespace
}  // namespace sluice::renderer
