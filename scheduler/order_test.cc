#include "scheduler/test_world.h"

using namespace sluice;
using namespace sluice::scheduler;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

JobDuration took(const std::string& element, std::int64_t seconds,
                 model::Action action = model::Action::kBuild) {
  return {"test", element, action, seconds * kSecond};
}

// A long chain of short jobs, and beside it a long job on which the end depends as well.
//
//   c1 <- c2 <- c3 <- end,  long <- end,  s1 s2 s3 <- end
std::vector<ElementSpec> chain_and_long() {
  return {{"s1", {}, {}},     {"s2", {}, {}},
          {"s3", {}, {}},     {"long", {}, {}},
          {"c1", {}, {}},     {"c2", {"c1"}, {}},
          {"c3", {"c2"}, {}}, {"end", {"s1", "s2", "s3", "long", "c3"}, {}}};
}

std::vector<std::string> order(World& world, const std::string& file,
                               const std::vector<JobDuration>& durations) {
  world.out->knows_durations = true;
  world.hello("runner", 1);
  world.run(world.build(file));
  CHECK(world.out->take_jobs("runner").empty());
  world.core->durations(durations);
  std::vector<std::string> out;
  for (const auto& done : world.work("runner")) out.push_back(done.substr(done.find(':') + 1));
  CHECK(world.outcome() == "success");
  return out;
}

std::size_t place(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

}  // namespace

TEST_CASE("what has the longest way to the end goes first") {
  World world;
  auto snapshot = make_snapshot(chain_and_long(), {"end"});
  snapshot.settings.builders = 1;
  const auto file = world.write(snapshot);
  SECTION("a long job") {
    const auto done =
        order(world, file,
              {took("long", 100), took("c1", 1), took("c2", 1), took("c3", 1), took("s1", 1)});
    CHECK(done[0] == "long");
    // A way of three seconds, then what has never been done: on average 20 s, so before s1.
    CHECK(place(done, "s2") < place(done, "c1"));
    CHECK(place(done, "c1") < place(done, "s1"));
  }
  SECTION("a chain that is longer") {
    const auto done = order(world, file,
                            {took("long", 100), took("c1", 1), took("c2", 1), took("c3", 101),
                             took("s1", 1), took("s2", 1), took("s3", 1)});
    CHECK(done[0] == "c1");
    CHECK(done[1] == "long");
    // The third is in the runner's hands before c2 is ready.
    CHECK(done[3] == "c2");
  }
  SECTION("none are known: what lies deepest") {
    const auto done = order(world, file, {took("elsewhere", 5)});
    CHECK(done[0] == "c1");
  }
}

TEST_CASE("J74: critical is what has no time to lose, and nothing while no time is known") {
  World world;
  world.out->knows_durations = true;
  world.hello("runner", 1);
  world.run(world.build(world.write(make_snapshot(chain_and_long(), {"end"}))));
  const auto critical = [&] {
    std::set<std::string> out;
    const Run& run = *world.core->model()->run;
    for (const ElementIndex e : run.plan()) {
      if (run.is_critical(e)) out.insert(run.loaded().element(e).name);
    }
    return out;
  };
  CHECK(critical().empty());
  std::vector<JobDuration> times{took("long", 30), took("c1", 1),  took("c2", 20), took("c3", 20),
                                 took("s1", 1),    took("s2", 40), took("s3", 1),  took("end", 1)};
  SECTION("the longest way alone") {
    world.core->durations(times);
    CHECK(critical() == std::set<std::string>{"c1", "c2", "c3", "end"});
  }
  SECTION("and one that is nearly as long") {
    times[5].time = 41 * kSecond - kSecond / 10;
    world.core->durations(times);
    CHECK(critical() == std::set<std::string>{"c1", "c2", "c3", "s2", "end"});
  }
}

TEST_CASE("what something needs to run is waited for by whoever is built with that") {
  World world;
  auto snapshot = make_snapshot({{"a", {}, {}},
                                 {"b", {}, {}},
                                 {"lib", {}, {}},
                                 {"tool", {}, {"lib"}},
                                 {"slow", {"tool"}, {}},
                                 {"end", {"a", "b", "slow"}, {}}},
                                {"end"});
  snapshot.settings.builders = 1;
  const auto done = order(world, world.write(snapshot),
                          {took("a", 50), took("b", 40), took("lib", 1), took("tool", 1),
                           took("slow", 100), took("end", 1)});
  CHECK(place(done, "lib") < place(done, "a"));
  CHECK(place(done, "tool") < place(done, "a"));
}

TEST_CASE("nobody waits for durations for long, and a run without work asks for none") {
  World world;
  world.out->knows_durations = true;
  const auto file = world.write(make_snapshot(chain_and_long(), {"end"}));
  world.run(world.build(file));
  CHECK(world.out->durations_of == std::vector<std::vector<std::string>>{{"test"}});
  CHECK(world.out->runners_started == 1);  // beside it
  world.hello("runner", 1);
  CHECK(world.out->take_jobs("runner").empty());
  world.clock.advance(kOrderDeadline);
  world.core->tick();
  auto jobs = world.out->take_jobs("runner");
  CHECK(jobs.size() == 3);
  for (const auto& job : jobs) world.finish("runner", job);
  // They may come late: what has not been given goes by them.
  world.core->durations({took("s1", 1), took("s2", 9), took("s3", 1)});
  world.work("runner");
  REQUIRE(world.outcome() == "success");
  // How long they took this time is told.
  CHECK(world.out->taken.size() == 8);
  CHECK(world.out->taken[0].project == "test");
  CHECK(world.out->taken[0].action == model::Action::kBuild);
  CHECK(world.out->taken[0].time == kSecond);
  world.run(world.build(file));
  CHECK(world.outcome() == "success");
  CHECK(world.out->durations_of.size() == 1);
}

TEST_CASE("fetches go by what is built with them") {
  World world;
  auto snapshot = make_snapshot({{"a", {}, {}, true},
                                 {"b", {}, {}, true},
                                 {"c", {}, {}, true},
                                 {"d", {}, {}, true},
                                 {"end", {"a", "b", "c", "d"}, {}}},
                                {"end"});
  snapshot.settings.builders = snapshot.settings.fetchers = 1;
  const auto file = world.write(snapshot);
  world.out->knows_durations = true;
  world.hello("runner", 1);
  world.run(world.build(file));
  world.core->durations({took("a", 1), took("b", 2), took("c", 30), took("d", 4),
                         took("a", 1, model::Action::kFetch),
                         took("d", 10, model::Action::kFetch)});
  std::vector<std::string> fetched;
  for (const auto& done : world.work("runner")) {
    if (done.starts_with("fetch:")) fetched.push_back(done.substr(6));
  }
  CHECK(fetched == std::vector<std::string>{"c", "d", "b", "a"});
}
