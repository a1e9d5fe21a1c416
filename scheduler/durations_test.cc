#include <algorithm>
#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "scheduler/durations_store.h"
#include "tests/support/test_directory.h"

using namespace sluice;
using namespace sluice::scheduler;

namespace {

struct Place {
  TestDirectory directory;
  std::string file() const { return directory / "sluice/durations.sqlite"; }
};

std::vector<JobDuration> sorted(const std::string& file, const std::vector<std::string>& projects) {
  auto jobs = read_durations(file, projects);
  INFO((jobs ? std::string() : jobs.error().str()));
  REQUIRE(jobs);
  std::sort(jobs->begin(), jobs->end(), [](const auto& a, const auto& b) {
    return std::tie(a.project, a.element, a.action) < std::tie(b.project, b.element, b.action);
  });
  return *jobs;
}

}  // namespace

TEST_CASE("durations are kept by project, element and action; the last one counts") {
  Place place;
  CHECK(sorted(place.file(), {"p"}).empty());
  REQUIRE(write_durations(place.file(), {{"p", "a.bst", model::Action::kBuild, 5},
                                         {"p", "a.bst", model::Action::kFetch, 6},
                                         {"q", "a.bst", model::Action::kBuild, 7},
                                         {"p", "b'\"\n.bst", model::Action::kBuild, 8}}));
  REQUIRE(write_durations(place.file(), {{"p", "a.bst", model::Action::kBuild, 9}}));
  auto jobs = sorted(place.file(), {"p"});
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0].action == model::Action::kFetch);
  CHECK(jobs[1].time == 9);
  CHECK(jobs[2].element == "b'\"\n.bst");
  CHECK(sorted(place.file(), {"p", "q", "none"}).size() == 4);
}

TEST_CASE("a damaged database is begun anew, and is an error to a reader") {
  Place place;
  REQUIRE(write_durations(place.file(), {{"p", "a.bst", model::Action::kBuild, 5}}));
  REQUIRE(write_file_atomic(
      place.file(), "This is no database, whatever its name says. " + std::string(5000, 'x')));
  CHECK_FALSE(read_durations(place.file(), {"p"}));
  REQUIRE(write_durations(place.file(), {{"p", "a.bst", model::Action::kBuild, 6}}));
  CHECK(sorted(place.file(), {"p"}).at(0).time == 6);
}

TEST_CASE("several write at once") {
  Place place;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::vector<JobDuration> jobs;
      for (int k = 0; k < 200; ++k)
        jobs.push_back({"p", std::to_string(i * 1000 + k), model::Action::kBuild, k + 1});
      for (int k = 0; k < 5; ++k) good += write_durations(place.file(), jobs) ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 20);
  CHECK(sorted(place.file(), {"p"}).size() == 800);
}

TEST_CASE("a place that can't be written is an error that names it") {
  Place place;
  REQUIRE(write_file_atomic(place.directory / "sluice", "a file"));
  const auto written = write_durations(place.file(), {{"p", "a.bst", model::Action::kBuild, 5}});
  REQUIRE_FALSE(written);
  CHECK(written.error().str().find(place.directory.str()) != std::string::npos);
}
