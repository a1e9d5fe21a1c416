// How long a job took: what goes to and from the database of durations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/actions.h"
#include "wire/codec.h"

namespace sluice::scheduler {

struct JobDuration {
  std::string project;  // name
  std::string element;  // name in its project
  model::Action action = model::Action::kBuild;
  std::int64_t time = 0;  // ns, suspended time left out
};
template <typename C>
void fields(C& c, JobDuration& m) {
  c("project", m.project);
  c("element", m.element);
  c("action", m.action);
  c("time", m.time);
}

// What sluice-durations reads from its standard input, and writes to its standard output.
struct JobDurations {
  std::vector<JobDuration> jobs;
};
template <typename C>
void fields(C& c, JobDurations& m) {
  c("jobs", m.jobs);
}

// Below this a job's place in the order is worth nothing.
inline constexpr std::int64_t kShortestDuration = 1'000'000;

}  // namespace sluice::scheduler
