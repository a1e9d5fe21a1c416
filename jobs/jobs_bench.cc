// jobs_bench [JOBS [SLOTS]]: trivial sandboxed builds through job processes, against as many bare
// bubblewrap runs with the same root in as many loops. No scheduler, broker or runner. Beside
// the rates it says how much processor time each takes, which a busy machine changes less.
#include <cstdio>
#include <cstdlib>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "jobs/job_server.h"
#include "jobs/names.h"
#include "jobs/test_support.h"
#include "sandbox/sandbox.h"
#include "store/realise.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// Of this process and all that it waited for, seconds.
double processor_time() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& t : {usage.ru_utime, usage.ru_stime})
      sum += static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  }
  return sum;
}

double through_jobs(World& world, unsigned jobs, unsigned slots) {
  wire::Reactor reactor;
  unsigned next = 0, running = 0, failed = 0;
  std::unique_ptr<JobServer> server;
  std::vector<int> free;
  for (unsigned slot = 0; slot < slots; ++slot) free.push_back(static_cast<int>(slot));
  std::map<wire::JobId, int> slot_of;
  const auto pump = [&] {
    while (running < slots && next < jobs) {
      World::Element element;
      element.name = fmt::format("e{}.bst", next++);
      element.dependencies = {world.base()};
      element.config.set("install-commands",
                         model::Node::make_list({model::Node::make_scalar(
                             "echo x > /buildstream-install/" + element.name)}));
      JobStart start = world.job(element);
      start.cachedir = world.settings.cachedir;
      start.scratch = fmt::format("{}/slot-{}", world.settings.builddir, free.back());
      free.pop_back();
      slot_of[start.job.id] = start.scratch.back() - '0';
      if (!server->start(start)) std::abort();
      ++running;
    }
    if (running == 0) reactor.stop();
  };
  server = std::make_unique<JobServer>(
      reactor,
      JobServer::Callbacks{[&](const wire::JobId&, const JobEvent& event) {
                             if (event.result && event.result->status != model::Outcome::kSuccess)
                               ++failed;
                           },
                           [&](const wire::JobId& id) {
                             --running;
                             free.push_back(slot_of[id]);
                             pump();
                           }});
  const Duration began = system_clock().monotonic();
  pump();
  reactor.run();
  const double took = seconds(system_clock().monotonic() - began);
  if (failed > 0) std::fprintf(stderr, "%u jobs failed\n", failed);
  return took;
}

double bare(const std::string& root, unsigned jobs, unsigned slots) {
  const std::string script = fmt::format(
      "for i in $(seq {}); do (for j in $(seq {}); do {} --unshare-user --unshare-pid "
      "--unshare-net --unshare-ipc --unshare-uts "
      "--die-with-parent --cap-drop ALL --ro-bind {} / --proc /proc --tmpfs /tmp --dev /dev sh -c "
      "'echo x > /tmp/x'; done) & done; wait",
      slots, jobs / slots, find_bubblewrap(), root);
  const Duration began = system_clock().monotonic();
  if (std::system(script.c_str()) != 0) std::abort();
  return seconds(system_clock().monotonic() - began);
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned jobs = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 200;
  const unsigned slots = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 2;
  World world;
  world.base();
  through_jobs(world, slots, slots);  // the root is realised
  auto realiser = store::Realiser::open(*world.cas);
  if (!realiser) return 1;
  auto root = realiser->realise(world.base().files);
  if (!root) return 1;
  for (const char* directory : {"proc", "tmp", "dev"})
    ::mkdir((root->layers.front() + "/" + directory).c_str(), 0755);
  const double start = processor_time();
  const double by_jobs = through_jobs(world, jobs, slots);
  const double middle = processor_time();
  const double by_bare = bare(root->layers.front(), jobs, slots);
  const double end = processor_time();
  std::printf("jobs cpu_ms=%.2f bare_cpu_ms=%.2f per_second=%.1f bare_per_second=%.1f ratio=%.3f\n",
              (middle - start) * 1000 / jobs, (end - middle) * 1000 / jobs, jobs / by_jobs,
              jobs / by_bare, by_bare / by_jobs);
  return 0;
}
