// The parts of fleet_bench, which tests/bench/fleet.py runs.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sluice::bench {

// Ends the process with a message: a benchmark that can't be made says why, and measures nothing.
[[noreturn]] void die(const std::string& what);

// ---- fleet_core.cc: the scheduler's core alone, without sockets.
struct CoreCosts {
  double beats_percent = 0;  // of a core, for the runners' heartbeats
  double job_us = 0;         // a job's JOB, STARTED and RESULT
};
// `slots` builds are at each runner; `seconds` of beats are made by a clock that is moved on by
// hand, then `jobs` more builds are given.
CoreCosts measure_core(const std::string& directory, std::uint32_t runners, std::uint32_t slots,
                       std::uint32_t seconds, std::uint32_t jobs);

// ---- fleet_crowd.cc: a session's real processes, and all runners in this one.
struct CrowdPlan {
  std::string session;
  std::string directory;  // for the runners' outboxes and the project; it is there
  std::string join_file;  // of runners over TCP; "": by ipc
  std::uint32_t runners = 0;
  std::uint32_t slots = 0;
  std::uint32_t idle_seconds = 0;
  std::uint64_t jobs = 0;
  double churn = 0;  // the part of the runners that leave and come again in each second of work
  int scheduler = 0, broker = 0;  // process ids
};
struct CrowdCosts {
  double join_seconds = 0;    // until all are welcomed on all links
  double scheduler_idle = 0;  // percent of a core, by heartbeats of idle runners alone
  double broker_idle = 0;
  // While runners leave and come, as long as there are jobs to give; and until the last is done.
  double jobs_per_second = 0;
  double all_done_seconds = 0;
  double scheduler_job_us = 0;  // processor time for each job
  double broker_work = 0;       // percent of a core meanwhile
  std::uint64_t left = 0;       // how many have left meanwhile
  std::uint64_t full_events = 0;
};
CrowdCosts measure_crowd(const CrowdPlan& plan);

}  // namespace sluice::bench
