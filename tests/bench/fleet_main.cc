// What tests/bench/fleet.py runs:
// - `fleet_bench core DIRECTORY RUNNERS SLOTS SECONDS JOBS` prints percent of a core for beats and
//   microseconds for a job.
// - `fleet_bench crowd SESSION DIRECTORY RUNNERS SLOTS SECONDS JOBS CHURN SCHEDULER BROKER
// JOIN-FILE`
//   prints CrowdCosts as KEY=VALUE. The last two numbers are process ids; without a file runners
//   come by ipc ("").
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "base/log.h"
#include "fleet_bench.h"

namespace sluice::bench {

void die(const std::string& what) {
  fmt::print(stderr, "fleet_bench: {}\n", what);
  std::exit(1);
}

}  // namespace sluice::bench

int main(int argc, char** argv) {
  using namespace sluice::bench;
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) {
    return static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
  };
  std::signal(SIGPIPE, SIG_IGN);
  if (what == "core" && argc == 7) {
    ::setenv("SLUICE_LOG", "off", 1);
    sluice::start_process_log("fleet_bench", "");
    const CoreCosts costs = measure_core(argv[2], number(3), number(4), number(5), number(6));
    fmt::print("{:.4f} {:.4f}\n", costs.beats_percent, costs.job_us);
    return 0;
  }
  if (what == "crowd" && argc == 12) {
    ::setenv("SLUICE_LOG", "error", 1);
    sluice::start_process_log("fleet_bench", "");
    CrowdPlan plan;
    plan.session = argv[2];
    plan.directory = argv[3];
    plan.runners = number(4);
    plan.slots = number(5);
    plan.idle_seconds = number(6);
    plan.jobs = std::strtoull(argv[7], nullptr, 10);
    plan.churn = std::strtod(argv[8], nullptr);
    plan.scheduler = static_cast<int>(number(9));
    plan.broker = static_cast<int>(number(10));
    plan.join_file = argv[11];
    const CrowdCosts costs = measure_crowd(plan);
    fmt::print(
        "join_seconds={:.3f} scheduler_idle={:.3f} broker_idle={:.3f} jobs_per_second={:.0f} "
        "all_done_seconds={:.3f} scheduler_job_us={:.3f} broker_work={:.3f} left={} "
        "full_events={}\n",
        costs.join_seconds, costs.scheduler_idle, costs.broker_idle, costs.jobs_per_second,
        costs.all_done_seconds, costs.scheduler_job_us, costs.broker_work, costs.left,
        costs.full_events);
    return 0;
  }
  die("usage: fleet_bench core ... | crowd ...");
}
