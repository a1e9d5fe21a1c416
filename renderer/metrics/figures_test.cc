// Figures of what records seldom say.
#include "renderer/metrics/figures.h"

#include <catch2/catch.hpp>

namespace sluice::metrics {
namespace {

wire::Event of_job(const char* type, std::uint64_t id, std::uint32_t attempt) {
  wire::Event event;
  event.type = type;
  event.outcome = "success";
  event.job.emplace();
  event.job->id = id;
  event.job->attempt = attempt;
  event.job->action = "build";
  return event;
}

TEST_CASE("of a job whose first attempt was lost one attempt runs, and then none") {
  Figures figures;
  const auto active = [&](int count) {
    const std::string line = "sluice_active_jobs{session=\"s\",action=\"build\"} ";
    const std::string text = figures.text();
    return count == 0 ? text.find(line) == text.npos
                      : text.find(line + std::to_string(count) + "\n") != text.npos;
  };
  figures.record("s", of_job("job.started", 1, 1));
  figures.record("s", of_job("job.started", 2, 1));
  CHECK(active(2));
  figures.record("s", of_job("job.started", 1, 2));
  CHECK(active(2));
  figures.record("s", of_job("job.finished", 1, 2));
  CHECK(active(1));
  figures.record("s", of_job("job.finished", 2, 1));
  CHECK(active(0));
}

}  // namespace
}  // namespace sluice::metrics
