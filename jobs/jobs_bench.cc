// jobs_bench [JOBS [SLOTS]]: trivial sandboxed builds through job processes, against as many bare
// bubblewrap runs with the same root in as many loops. No scheduler, broker or runner.
#include <cstdio>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "jobs/job_server.h"
#include "jobs/sandbox.h"
#include "jobs/test_support.h"
#include "store/realise.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

double through_jobs(World& world, unsigned jobs, unsigned slots) {
  wire::Reactor reactor;
  unsigned next = 0, running = 0, failed = 0;
  std::unique_ptr<JobServer> server;
  const auto pump = [&] {
    while (running < slots && next < jobs) {
      World::Element element;
      element.name = fmt::format("e{}.bst", next++);
      element.dependencies = {world.base()};
      element.config.set("install-commands", model::Node::make_list({model::Node::make_scalar("echo x > /buildstream-install/" + element.name)}));
      if (!server->start(world.job(element))) std::abort();
      ++running;
    }
    if (running == 0) reactor.stop();
  };
  server = std::make_unique<JobServer>(
      reactor, JobServer::Callbacks{[&](const wire::JobId&, const JobEvent& event) {
                                      if (event.result && event.result->status != "success") ++failed;
                                    },
                                    [&](const wire::JobId&) {
                                      --running;
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
      "for i in $(seq {}); do (for j in $(seq {}); do {} --unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts "
      "--die-with-parent --cap-drop ALL --ro-bind {} / --proc /proc --tmpfs /tmp --dev /dev sh -c 'echo x > /tmp/x'; done) & done; wait",
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
  for (const char* directory : {"proc", "tmp", "dev"}) ::mkdir((root->layers.front() + "/" + directory).c_str(), 0755);
  const double by_jobs = through_jobs(world, jobs, slots);
  const double by_bare = bare(root->layers.front(), jobs, slots);
  std::printf("jobs per_second=%.1f bare_per_second=%.1f ratio=%.3f\n", jobs / by_jobs, jobs / by_bare, by_bare / by_jobs);
  return 0;
}
