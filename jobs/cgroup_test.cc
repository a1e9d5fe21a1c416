#include "jobs/cgroup.h"

#include <csignal>
#include <catch2/catch.hpp>
#include <sstream>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "jobs/process_tree.h"
#include "jobs/test_support.h"

namespace sluice::jobs {

using testing::wait_until;

namespace {

// Waits until it is told to go on, so that all that it starts is in its group.
const char* const kBusy = "read go; setsid sh -c 'while :; do :; done' & while :; do :; done";

long long ticks(const std::vector<pid_t>& pids) {
  long long all = 0;
  for (const pid_t pid : pids) {
    const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat").value();
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string field;
    for (int i = 3; i <= 15 && fields >> field; ++i) {
      if (i >= 14) all += std::stoll(field);  // utime, stime
    }
  }
  return all;
}

}  // namespace

TEST_CASE("S23: a control group stops whoever is in it, also who made a session of its own, and takes them along") {
  auto group = Cgroup::make();
  if (!group) {
    WARN("no control group can be made here: processes are stopped by signals");
    return;
  }
  int input[2];
  REQUIRE(::pipe(input) == 0);
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", kBusy};
  options.standard_input = input[0];
  auto process = spawn(options);
  REQUIRE(process);
  REQUIRE(group->add(process->pid));
  REQUIRE(::write(input[1], "go\n", 3) == 3);
  ::close(input[0]);
  ::close(input[1]);
  REQUIRE(wait_until([&] { return descendants(process->pid).size() == 1; }));
  const std::vector<pid_t> pids{process->pid, descendants(process->pid)[0].pid};
  REQUIRE(wait_until([&] { return ticks({pids[0]}) > 0 && ticks({pids[1]}) > 0; }));

  const auto frozen = group->freeze(std::chrono::seconds(5));
  if (!frozen) FAIL(frozen.error().str());
  const long long before = ticks(pids);
  ::usleep(300'000);  // what is measured
  CHECK(ticks(pids) == before);
  REQUIRE(group->thaw());
  CHECK(wait_until([&] { return ticks(pids) > before; }));

  SECTION("they can be killed while they stand still") {
    REQUIRE(group->freeze(std::chrono::seconds(5)));
    REQUIRE(send_signal(*process, SIGKILL));
    CHECK(wait_for(*process).signal == SIGKILL);
  }
  SECTION("and run when it goes") {}
  SECTION("and stand still when it goes") { REQUIRE(group->freeze(std::chrono::seconds(5))); }
  group.reset();
  CHECK(wait_until([&] { return ::kill(pids[1], 0) != 0 || process_state(pids[1]) == 'Z'; }));
  (void)send_signal(*process, SIGKILL);
  (void)wait_for(*process);
  // Its name is free again.
  CHECK(Cgroup::make());
}

}  // namespace sluice::jobs
