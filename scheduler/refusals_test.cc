// Runs that are refused before anything starts, and what is said of it.
#include "scheduler/test_world.h"

namespace sluice::scheduler {

TEST_CASE("what can't be fetched or built is said before anything starts, all at once") {
  World world;
  auto snapshot = make_snapshot({{"base.bst", {}, {}, true},
                                 {"more.bst", {}, {}, true},
                                 {"sock.bst", {"base.bst", "more.bst"}},
                                 {"top.bst", {"sock.bst"}}},
                                {"top.bst"});
  snapshot.elements[0].obstacles = {
      {model::Obstacle::To::kFetch, "no git", "base.bst [line 3 column 2]"}};
  snapshot.elements[1].obstacles = {
      {model::Obstacle::To::kFetch, "no git", "more.bst [line 3 column 2]"}};
  snapshot.elements[2].obstacles = {
      {model::Obstacle::To::kRun, "no socket", "sock.bst [line 5 column 4]"}};
  auto arguments = world.build(world.write(snapshot));
  const std::string socket =
      "sock.bst [line 5 column 4]: no socket\n    It is so of 1 element (sock.bst), in the way of "
      "1 element more.\n"
      "    Something else in its place helps, or a cache that has the artifact.\n";
  SECTION("of a build all that it would come to") {
    const auto refused = world.core->run(arguments);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().domain == "source");
    CHECK(refused.error().reason == "unsupported-source");
    CHECK(refused.error().message == "4 elements can't be built; nothing was started");
    CHECK(refused.error().detail ==
          "base.bst [line 3 column 2]: no git\n    It is so of 2 elements (base.bst is the first), "
          "in the way of 2 elements more.\n"
          "    A cache that has the artifact or the sources helps, or a workspace in their place "
          "(workspace open --no-checkout).\n" +
              socket);
    CHECK(world.out->of("run.started").empty());
  }
  SECTION("sources that are there need no fetch") {
    for (const auto e : {0, 1}) world.store.sources_there.insert(snapshot.elements[e].sources_key);
    const auto refused = world.core->run(arguments);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().domain == "sandbox");
    CHECK(refused.error().reason == "not-supported");
    CHECK(refused.error().message == "2 elements can't be built; nothing was started");
    CHECK(refused.error().detail == socket);
  }
  SECTION("an artifact that is there needs nothing") {
    world.store.add("sock.bst");
    CHECK(world.core->run(arguments));
  }
  SECTION("an artifact may come from another machine") {
    arguments.remotes.resize(1);
    arguments.remotes[0].artifacts = {{.url = "http://cache"}};
    CHECK(world.core->run(arguments));
  }
  SECTION("sources may come from another machine") {
    arguments.remotes.resize(1);
    arguments.remotes[0].sources = {{.url = "http://cache"}};
    CHECK(world.core->run(arguments).error().detail == socket);
  }
  SECTION("a fetch is kept from what it fetches alone") {
    arguments.verb = Action::kFetch;
    arguments.selection = {1, 2};
    const auto refused = world.core->run(arguments);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "1 element can't be fetched; nothing was started");
    CHECK(refused.error().detail.starts_with(
        "more.bst [line 3 column 2]: no git\n    It is so of 1 element (more.bst).\n"));
    arguments.selection = {2};
    CHECK(world.core->run(arguments));
  }
}

}  // namespace sluice::scheduler
