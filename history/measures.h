// What follows from a run of a history: what became of each element, what failed, the longest way,
// how busy builders were. Pure functions; of a run that is under way they say what holds now.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "history/history.h"

namespace sluice::history {

// What became of an element in a run.
enum class Fate : std::uint8_t {
  kNotReached,  // the run ended, or goes on, before it was its turn
  kNotNeeded,   // nothing that the run worked on asked for it
  kCached,      // there was nothing to do
  kPulled,
  kBuilt,
  kFetched,  // fetch, track
  kPushed,
  kFailed,
};
inline constexpr std::array<std::string_view, 8> kFateNames = {
    "not reached", "not needed", "cached", "pulled", "built", "fetched", "pushed", "failed"};
constexpr std::string_view text_of(Fate fate) { return kFateNames[static_cast<std::size_t>(fate)]; }
// Of each element of the run.
std::vector<Fate> fates(const History& history, const Run& run);

// An element that failed, and wasn't done when it was tried again.
struct Failure {
  std::size_t element = kNone;
  std::size_t job = kNone;  // the last attempt
  std::uint32_t attempts = 1;
};
// Each once, in the order in which they failed. `fates`: what fates() says of the run.
std::vector<Failure> failures(const History& history, const Run& run,
                              const std::vector<Fate>& fates);

// The longest chain of jobs of which each had to wait for the one before: however many builders
// there are, the run takes no less. Jobs that are lost, killed or failed before the last attempt
// don't count; of an element, what it takes to fetch goes on beside what it is built with.
struct CriticalPath {
  std::vector<std::size_t> jobs;  // in the order in which they run
  std::int64_t duration = 0;
  std::vector<bool> elements;  // of the run: whether it is on the path
};
// Empty when the records don't tell dependencies.
CriticalPath critical_path(const History& history, const Run& run);

// How busy those were who run builds.
struct Load {
  std::int64_t busy = 0;   // of all builds together
  double average = 0;      // builds at once
  std::uint32_t peak = 0;  // builds at once
  std::uint32_t builders = 0;
};
Load load(const History& history, const Run& run);

struct RunnerUse {
  std::string name, host;
  std::uint32_t jobs = 0, failed = 0, lost = 0;
  std::int64_t busy = 0;
};
// The busiest first.
std::vector<RunnerUse> runners(const History& history, const Run& run);

struct Summary {
  // By Fate. Of a run that has ended, `cached` are those that it worked on, as the run has counted
  // them: records don't tell by what an element is built from what it needs to run.
  std::array<std::uint32_t, kFateNames.size()> counts{};
  std::uint32_t elements = 0;  // but those that weren't needed
  std::string verb;            // the run's
  std::vector<Failure> failures;
  std::vector<std::size_t> slowest;  // jobs, the slowest first
  CriticalPath path;
  Load load;
  std::vector<RunnerUse> runners;
  std::int64_t cpu = 0;                     // ns of processors of all jobs; 0: nobody said
  std::uint64_t memory = 0;                 // bytes, of the job that had most
  std::size_t largest = kNone;              // that job
  std::uint64_t fetched = 0, uploaded = 0;  // bytes between machines

  // The numbers in words: what has failed first, and none that is 0.
  std::vector<std::pair<std::uint32_t, std::string_view>> told() const;
  std::uint32_t count(Fate fate) const { return counts[static_cast<std::size_t>(fate)]; }
  // Of the elements that have an artifact now, those that nobody had to build: 0 to 1; -1 when
  // there are none.
  double hit_rate() const;
};
Summary summarise(const History& history, const Run& run, std::size_t slowest = 5);

}  // namespace sluice::history
