// Jobs done by the real sluice-job in real sandboxes.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/file.h"
#include "jobs/names.h"
#include "jobs/test_support.h"
#include "sandbox/scratch.h"
#include "store/tree.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

std::string file_in(World& world, const model::Digest& root, const std::string& path) {
  auto tree = store::Tree::open(*world.cas, root);
  if (!tree) return "(no tree: " + tree.error().message + ")";
  auto entry = tree->find(path);
  if (!entry || !*entry) return "(absent)";
  if ((*entry)->type == store::EntryType::kSymlink) return "-> " + (*entry)->target;
  auto text = world.cas->read((*entry)->digest);
  return text ? *text : "(no blob)";
}

}  // namespace

TEST_CASE("S28: a dead runner's directory is removed, and no other that has such a name") {
  const TestDirectory place{0755};
  const std::string build = place / "build";
  std::string dead, alive;
  {
    auto root = make_scratch_root(build, "dead-1");
    REQUIRE(root);
    dead = root->path;
    write_text(dead + "/slot-0/w1/half", "half");
  }
  auto living = make_scratch_root(build, "living-1");
  REQUIRE(living);
  alive = living->path;
  // This is somebody's work, in a folder that is nobody's alone.
  write_text(build + "/sluice-clone/README.md", "mine");
  write_text(build + "/sluice-notes/owner", "me");
  REQUIRE(::chmod((build + "/sluice-notes").c_str(), 0700) == 0);
  REQUIRE(sweep_scratch(build));
  CHECK_FALSE(path_exists(dead));
  CHECK(path_exists(alive + "/owner"));
  CHECK(path_exists(build + "/sluice-clone/README.md"));
  CHECK(path_exists(build + "/sluice-notes/owner"));
}

TEST_CASE("A manual element's commands run in order and what they install is its artifact") {
  World world;
  auto start = world.manual(
      {"echo one > a; pwd", "cat a > %{install-root}/b || cat a > /buildstream-install/b"});
  const Outcome outcome = run(start);
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  REQUIRE(outcome.result.artifact);
  CHECK(file_in(world, outcome.result.artifact->files, "b") == "one\n");
  CHECK(outcome.log.find("/buildstream/test/element.bst") != std::string::npos);
  CHECK(outcome.said("start", "Staging dependencies at: /"));
  CHECK(outcome.said("success", "Integrating sandbox"));
  CHECK(outcome.said("success", "Running commands"));
  CHECK(outcome.said("success", "Caching artifact"));
  CHECK_FALSE(outcome.said("status", "Staging base.bst/" + world.base().key.substr(0, 8)));
  CHECK(outcome.log.find("STATUS  [") != std::string::npos);
  store::Artifacts artifacts(*world.cas);
  auto info = artifacts.lookup("test", "element.bst", outcome.result.artifact->key);
  REQUIRE(info);
  REQUIRE(*info);
  CHECK((*info)->build_success);
  CHECK((*info)->build_error == "succeeded");
  REQUIRE((*info)->logs.size() == 1);
  CHECK((*info)->buildtree.empty());
}

TEST_CASE(
    "An element whose kind only brings defaults is built as the snapshot says, any other unknown "
    "kind isn't") {
  World world;
  World::Element element;
  element.kind = "manual-like";
  element.dependencies = {world.base()};
  model::Node commands = model::Node::make_list();
  commands.list.push_back(model::Node::make_scalar("echo one > /buildstream-install/a"));
  element.config.set("install-commands", std::move(commands));
  const Outcome refused = run(world.job(element));
  REQUIRE(refused.result.error);
  CHECK(refused.result.status == model::Outcome::kError);
  CHECK(refused.result.error->message == "Elements of kind 'manual-like' can't be built");
  element.builds_as = "manual";
  const Outcome outcome = run(world.job(element));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(file_in(world, outcome.result.artifact->files, "a") == "one\n");
}
