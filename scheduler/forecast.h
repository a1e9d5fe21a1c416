// How long jobs are expected to take, and how long the run will: by how long they took the last
// time, and by how that compares with what this run's jobs have taken until now. Nothing of it is
// part of what a session is (session_model.h): it decides the order of a run and what people see.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/actions.h"
#include "scheduler/job_duration.h"
#include "scheduler/known_snapshot.h"
#include "scheduler/run.h"
#include "scheduler/session_model.h"
#include "wire/events.h"

namespace sluice::scheduler {

// One thread.
class Forecast {
 public:
  explicit Forecast(const Clock& clock) : clock_(clock) {}

  void run_started();
  // Takes how long jobs took, and orders the run by that. True: something is known.
  bool take(const Run& run, const KnownSnapshot& loaded, const std::vector<JobDuration>& jobs);
  // A job has done its work in that time.
  void worked(ElementIndex e, Action action, std::int64_t took);

  // How long such a job of the element took; 0: nobody knows.
  std::int64_t known(ElementIndex e, Action action) const;
  // What of each element of the pipeline was still to be done when the run was ordered.
  std::vector<std::int64_t> planned(const Run& run) const;
  // Slots for each resource.
  using Slots = std::array<std::uint32_t, kResources>;
  // What is left of the run; none: nothing is known. It is computed anew when the model has changed
  // or a few seconds have passed, but takes no more than a hundredth of this thread's time.
  std::optional<wire::EstimateSection> estimate(const Session& session, std::uint64_t version,
                                                std::int64_t elapsed, const Slots& slots);

 private:
  struct OfAction {
    std::vector<std::int64_t> known;  // by element, ns; 0: not known. Empty: of none
    double sum = 0;                   // of the elements that are known and still to be done
    std::uint32_t count = 0;
    // What this run's jobs have taken: of all, and of those that were known beside what they were
    // to take.
    double taken = 0, taken_of_known = 0, expected_of_known = 0;
    std::uint32_t jobs = 0;

    std::int64_t average() const;
  };
  const OfAction& of(Action action) const { return of_[static_cast<std::size_t>(action)]; }
  OfAction& of(Action action) { return of_[static_cast<std::size_t>(action)]; }
  // By how much longer than expected this run's jobs take.
  std::optional<double> ratio() const;
  wire::EstimateSection compute(const Session& session, std::int64_t elapsed,
                                const Slots& slots) const;

  const Clock& clock_;
  std::array<OfAction, model::kActions.size()> of_;
  std::vector<std::int64_t> planned_;  // by element
  std::optional<wire::EstimateSection> last_;
  std::uint64_t last_version_ = 0;
  std::int64_t last_elapsed_ = 0;
  Duration not_before_{};
};

}  // namespace sluice::scheduler
