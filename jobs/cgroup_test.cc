#include "jobs/cgroup.h"

#include <csignal>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "base/process.h"
#include "base/process_tree.h"
#include "jobs/job_server.h"
#include "jobs/test_support.h"
#include "tests/support/skipped.h"

namespace sluice::jobs {

using testing::wait_until;

namespace {

// A command that waits until it is told to go on, so that all that it starts is in its group.
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

TEST_CASE(
    "S23: a control group stops whoever is in it, also who made a session of its own, and takes "
    "them along") {
  auto group = Cgroup::make();
  if (!group) {
    say_skipped("no control group can be made here: processes are stopped by signals");
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
  ::usleep(300'000);  // the time that is measured
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
  // The group's name is free again.
  CHECK(Cgroup::make());
}

namespace {

// The group of version 2 of a process, as /proc has it; "": none.
std::string group_of(pid_t pid) {
  const std::string text = testing::read_text("/proc/" + std::to_string(pid) + "/cgroup");
  const auto at = ("\n" + text).find("\n0::");
  return at == std::string::npos ? "" : text.substr(at + 3, text.find('\n', at) - at - 3);
}

struct Served {
  std::map<wire::JobId, wire::JobResult> results;
  std::map<wire::JobId, std::string> logs;
  // Runs a job by a job server, as a runner has it. `look` is called, and again, until it says that
  // it has seen what it waits for.
  Served(testing::World& world, std::vector<JobStart> starts,
         const std::function<bool(pid_t server)>& look) {
    wire::Reactor reactor;
    std::size_t running = starts.size();
    const pid_t self = ::getpid();
    std::optional<JobServer> server;
    server.emplace(reactor, JobServer::Callbacks{[&](const wire::JobId& id, const JobEvent& event) {
                                                   if (event.result) results[id] = *event.result;
                                                 },
                                                 [&](const wire::JobId& id) {
                                                   logs[id] =
                                                       testing::read_text(results[id].log_file);
                                                   if (--running == 0) reactor.stop();
                                                 }});
    for (JobStart& start : starts) {
      start.cachedir = world.settings.cachedir;
      REQUIRE(server->start(start));
    }
    wire::Reactor::TimerId timer = 0;
    timer = reactor.every(std::chrono::milliseconds(10), [&] {
      for (const Descendant& process : descendants(self)) {
        if (process.parent != self || !look(process.pid)) continue;
        reactor.cancel(timer);
        return;
      }
    });
    reactor.after(std::chrono::seconds(60), [&] { reactor.stop(); });
    reactor.run();
    CHECK(running == 0);
  }
};

}  // namespace

TEST_CASE(
    "S33: each job is in a control group of its own, in which it starts; nothing of them is left") {
  if (!Cgroup::make()) {
    say_skipped("no control group can be made here");
    return;
  }
  testing::World world;
  std::vector<JobStart> starts;
  for (int i = 0; i < 2; ++i)
    starts.push_back(
        world.manual({testing::marked("groups", "cat /proc/self/cgroup"), "sleep 1000"}));
  std::map<std::string, std::set<pid_t>> groups;
  const Served served(world, starts, [&](pid_t server) {
    groups.clear();
    bool all = true;
    std::vector<pid_t> sleeping;
    for (const Descendant& process : descendants(server)) {
      groups[group_of(process.pid)].insert(process.pid);
      if (testing::read_text("/proc/" + std::to_string(process.pid) + "/comm") == "sleep\n")
        sleeping.push_back(process.pid);
    }
    all = sleeping.size() == 2;
    if (all) {
      CHECK(group_of(sleeping[0]) != group_of(sleeping[1]));
      CHECK(group_of(server) != group_of(sleeping[0]));
      for (const pid_t pid : sleeping) ::kill(pid, SIGTERM);
    }
    return all;
  });
  CHECK(groups.size() == 2);
  for (const auto& [group, pids] : groups) {
    CHECK(group.find("/sluice-jobs-") != std::string::npos);
    // The processes are the job, bubblewrap twice, and its shells.
    CHECK(pids.size() >= 4);
  }
  for (const auto& [id, log] : served.logs) CHECK(log.find("\n0::/\n") != std::string::npos);
  CHECK(Cgroup::make());  // the name is free again
}

TEST_CASE("S33: a group that dead processes have left goes, with directories in it") {
  auto group = Cgroup::make();
  if (!group) return say_skipped("no control group can be made here");
  auto leaf = group->take();
  REQUIRE(leaf);
  const std::string path = (*leaf)->path;
  // A build that had reached the group might have made directories in it.
  REQUIRE(make_directories(path + "/of-a-build/below"));
  SECTION("in our own") {
    group->give_back(*leaf);
    group.reset();
    CHECK_FALSE(path_exists(path));
  }
  SECTION("in one of a process that was killed") {
    SpawnOptions options;
    options.argv = {"/bin/true"};
    auto dead = spawn(options);
    REQUIRE(dead);
    REQUIRE(wait_for(*dead).code == 0);
    const std::string left =
        path.substr(0, path.rfind("/sluice-jobs-")) + "/sluice-jobs-" + std::to_string(dead->pid);
    REQUIRE(make_directories(left + "/job-0/of-a-build"));
    group.reset();
    CHECK(Cgroup::make());
    CHECK_FALSE(path_exists(left));
  }
}

TEST_CASE("S33: jobs follow each other in a group, and whoever one has left in it is killed") {
  auto group = Cgroup::make();
  if (!group) return say_skipped("no control group can be made here");
  auto first = group->take();
  REQUIRE(first);
  const std::string path = (*first)->path;
  group->give_back(*first);
  auto second = group->take();
  REQUIRE(second);
  CHECK((*second)->path == path);
  SpawnOptions options;
  options.argv = {"/bin/sleep", "1000"};
  auto left = spawn(options);
  REQUIRE(left);
  {
    const UniqueFd procs(::open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(write_all(procs.get(), std::to_string(left->pid)));
  }
  group->give_back(*second);
  CHECK(wait_for(*left).signal == SIGKILL);
  auto third = group->take();
  REQUIRE(third);
  CHECK((*third)->path != path);
  group.reset();
  CHECK_FALSE(path_exists(path));

  // There are more jobs than run at once.
  testing::World world;
  {
    wire::Reactor reactor;
    std::optional<JobServer> server;
    int over = 0;
    const auto start = [&] {
      JobStart job = world.manual({"true"});
      job.cachedir = world.settings.cachedir;
      REQUIRE(server->start(job));
    };
    server.emplace(
        reactor,
        JobServer::Callbacks{[&](const wire::JobId&, const JobEvent& event) {
                               if (event.result)
                                 CHECK(event.result->status == model::Outcome::kSuccess);
                             },
                             [&](const wire::JobId&) { ++over < 3 ? start() : reactor.stop(); }});
    start();
    reactor.after(std::chrono::seconds(60), [&] { reactor.stop(); });
    reactor.run();
    CHECK(over == 3);
  }
}

TEST_CASE(
    "S36: jobs are killed before all others when memory runs out, and before them what runs in "
    "their sandboxes") {
  testing::World world;
  const std::string command =
      testing::marked("score",
                      "cat /proc/self/oom_score_adj; (echo 0 > /proc/self/oom_score_adj) "
                      "2>/dev/null || true; cat /proc/self/oom_score_adj");
  int of_server = -1, of_job = -1;
  const Served served(world, {world.manual({command, "sleep 1000"})}, [&](pid_t server) {
    for (const Descendant& process : descendants(server)) {
      const auto score = [](pid_t pid) {
        return std::atoi(
            testing::read_text("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str());
      };
      if (process.parent == server) of_job = score(process.pid);
      if (testing::read_text("/proc/" + std::to_string(process.pid) + "/comm") != "sleep\n")
        continue;
      of_server = score(server);
      ::kill(process.pid, SIGTERM);
      return true;
    }
    return false;
  });
  CHECK(of_server == oom_score_adj());
  CHECK(of_job > of_server);
  const std::string text = testing::between(served.logs.begin()->second, "score");
  const int inside = std::atoi(text.c_str());
  CHECK(inside > of_job);
  // A score that root has raised stays; others may lower their own, but not below what they began
  // with.
  const int after = std::atoi(text.c_str() + text.find('\n') + 1);
  if (::geteuid() == 0) CHECK(after >= of_job);
  CHECK(after >= of_server);
}

TEST_CASE("S37: a build that uses more memory than the user allows is ended, and isn't cached") {
  testing::World world;
  world.settings.max_memory = 96u << 20;
  JobStart start = world.manual({"head -c 500M /dev/zero | tail -c 400M | cat >/dev/null"});
  start.limits_memory = true;
  auto group = Cgroup::make(true);
  const bool possible = group && group->take().value()->memory;
  group.reset();
  const Served served(world, {start}, [](pid_t) { return true; });
  const wire::JobResult& result = served.results.begin()->second;
  INFO(served.logs.begin()->second);
  CHECK(result.status == model::Outcome::kError);
  REQUIRE(result.error);
  if (!possible) {
    CHECK(result.error->message.find("The memory of builds can't be limited here") == 0);
    return;
  }
  CHECK(result.error->reason == "max-memory");
  CHECK(result.error->message ==
        "The commands needed more than 100663296 bytes of memory (max-memory of the user "
        "configuration), and processes of them were killed");
}

}  // namespace sluice::jobs
