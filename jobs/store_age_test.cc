// Processes that serve many jobs open the store anew when they have had it open for long, so that
// what they have used long ago may expire.
#include <optional>
#include <vector>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "jobs/blobs.h"
#include "jobs/job_server.h"
#include "jobs/test_support.h"
#include "store/quota.h"

using namespace sluice;
using namespace sluice::jobs;

namespace {

constexpr std::chrono::seconds kDeadline{60};
// A process is always too old, or never as long as a test takes.
constexpr Duration kAlways{0};
constexpr Duration kNever = std::chrono::hours(1);

// The time since which nothing expires, as far as others than the test's own process go.
std::int64_t held_since(const testing::World& world) {
  return store::used_since(world.settings.cachedir, ::getpid());
}

struct Server {
  explicit Server(testing::World& of, Duration store_age)
      : world(of), server(reactor,
                          {[](const wire::JobId&, const JobEvent&) {},
                           [this](const wire::JobId&) { ++ended; }},
                          store_age) {}

  wire::JobId start(const char* command) {
    JobStart start = world.manual({command});
    start.cachedir = world.settings.cachedir;
    start.scratch += fmt::format("-{}", start.job.id.job);
    REQUIRE(server.start(start));
    return start.job.id;
  }
  // Waits until a job has ended.
  void wait() {
    const int before = ended;
    const Duration until = system_clock().monotonic() + kDeadline;
    while (ended == before && system_clock().monotonic() < until)
      reactor.run_once(std::chrono::seconds(1));
    REQUIRE(ended == before + 1);
  }

  testing::World& world;
  wire::Reactor reactor;
  int ended = 0;
  JobServer server;
};

// When a helper that has done `requests`, one after the other, had opened the store.
std::vector<std::int64_t> opened_by_helpers(const testing::World& world, int requests,
                                            Duration store_age) {
  wire::Reactor reactor;
  std::vector<std::int64_t> opened;
  std::optional<Blobs> blobs;
  wire::HelperOpen open;
  open.cachedir = world.settings.cachedir;
  // Nobody is there, which the helper says at once.
  open.cas.url = "http://localhost:1";
  open.cas.type = "storage";
  open.patience_s = 0;
  const auto ask = [&] { blobs->fetch({opened.size() + 1, 1}, {}); };
  blobs.emplace(
      reactor, open,
      Blobs::Callbacks{[&](const wire::JobId&, wire::HelperVerb, const wire::HelperReply& reply) {
                         REQUIRE(reply.error);
                         CHECK(reply.error->reason == "unreachable");
                         opened.push_back(held_since(world));
                         static_cast<int>(opened.size()) < requests ? ask() : reactor.stop();
                       },
                       [](const wire::JobId&, const std::string&) {}},
      store_age);
  ask();
  reactor.after(kDeadline, [&] { reactor.stop(); });
  reactor.run();
  return opened;
}

}  // namespace

TEST_CASE("A job server opens the store anew, and holds what running jobs have used") {
  testing::World world;
  {
    Server young(world, kNever);
    young.start("true");
    young.wait();
    const std::int64_t first = held_since(world);
    young.start("true");
    young.wait();
    CHECK(held_since(world) == first);
  }
  Server old(world, kAlways);
  const wire::JobId sleeper = old.start("sleep 1000");
  old.start("true");
  old.wait();
  const std::int64_t first = held_since(world);
  old.start("true");
  old.wait();
  // The sleeper was forked with the store as it was opened for it.
  CHECK(held_since(world) == first);
  old.server.cancel(sleeper, Duration(0));
  old.wait();
  old.start("true");
  old.wait();
  CHECK(held_since(world) > first);
}

TEST_CASE("A helper for blobs is replaced when it is old and has answered all") {
  testing::World world;
  const auto young = opened_by_helpers(world, 2, kNever);
  REQUIRE(young.size() == 2);
  CHECK(young[0] == young[1]);
  // The helper that has answered is gone before the answer is heard.
  const std::int64_t now = held_since(world);
  const auto old = opened_by_helpers(world, 3, kAlways);
  REQUIRE(old.size() == 3);
  for (const std::int64_t opened : old) CHECK(opened >= now);
}
