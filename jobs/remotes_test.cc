// The actions that use caches on other machines, by the real sluice-job, sluice-remote and
// sluice-cas.
#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/sha256.h"
#include "jobs/test_support.h"
#include "remote/real_server.h"
#include "store/artifact.h"
#include "store/sources.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;
using sluice::remote::test::RealServer;

namespace {

// Worlds that are two machines, as it were, with a directory that both see.
struct Machines {
  TestDirectory shared{0755};
  World one, two;
  model::Remote remote;
  model::Source tar;

  explicit Machines(const std::string& url) {
    remote.url = url;
    remote.push = true;
    remote.retry_limit = 0;
    write_text(shared / "pack/pkg-1/hello.c", "int main;");
    REQUIRE(
        std::system(fmt::format("tar -C {} -czf {} pkg-1", shared / "pack", shared / "pkg.tar.gz")
                        .c_str()) == 0);
    tar.kind = "tar";
    tar.url = "file://" + (shared / "pkg.tar.gz");
    tar.original_url = "upstream:pkg.tar.gz";
    tar.ref = model::Node::make_scalar(sha256_hex(read_text(shared / "pkg.tar.gz")));
    tar.key = sha256_hex("tar " + tar.ref_text());
    one.settings.network_retries = two.settings.network_retries = 0;
  }
  Outcome run(World& world, model::Action action) {
    World::Element element;
    element.name = "pkg.bst";
    element.action = action;
    element.sources = {tar};
    JobStart start = world.job(element);
    start.job.remotes = {remote};
    return jobs::testing::run(start);
  }
};

}  // namespace

TEST_CASE("An artifact is pushed by one and pulled by another") {
  TestDirectory place{0755};
  RealServer server(place / "served");
  Machines machines(server.url());
  write_text(machines.shared / "files/hello", "hello");
  const model::ArtifactRef made = machines.one.add_artifact("pkg.bst", machines.shared / "files");

  const Outcome early = machines.run(machines.two, model::Action::kPull);
  CHECK(early.result.status == model::Outcome::kSkipped);
  CHECK_FALSE(early.result.error);
  CHECK_THAT(early.log, Catch::EndsWith(": Pull\n"));

  const Outcome pushed = machines.run(machines.one, model::Action::kPush);
  INFO(pushed.log);
  CHECK(pushed.result.status == model::Outcome::kSuccess);
  CHECK(pushed.said("info",
                    fmt::format("Pushed artifact {} -> {}", made.key.substr(0, 8), server.url())));
  const Outcome again = machines.run(machines.one, model::Action::kPush);
  CHECK(again.result.status == model::Outcome::kSkipped);
  CHECK_THAT(again.log, Catch::EndsWith(": Push\n"));

  const Outcome pulled = machines.run(machines.two, model::Action::kPull);
  INFO(pulled.log);
  REQUIRE(pulled.result.status == model::Outcome::kSuccess);
  REQUIRE(pulled.result.artifact);
  CHECK(pulled.result.artifact->key == made.key);
  CHECK(pulled.result.artifact->files == made.files);
  CHECK(store::Artifacts(*machines.two.cas).lookup("test", "pkg.bst", made.weak_key).value());
  // The scratch went with the attempt.
  for (const auto& left :
       std::filesystem::recursive_directory_iterator(machines.two.settings.builddir)) {
    INFO(left.path().string());
    CHECK(left.is_directory());
  }
}

TEST_CASE("What isn't cached can't be pushed, and who isn't reached gets nothing") {
  TestDirectory place{0755};
  auto server = std::make_unique<RealServer>(place / "served");
  Machines machines(server->url());
  const Outcome nothing = machines.run(machines.one, model::Action::kPush);
  CHECK(nothing.result.status == model::Outcome::kError);
  CHECK(nothing.result.error->domain == "element");
  CHECK(nothing.result.error->reason == "not-cached");
  server->kill();
  write_text(machines.shared / "files/hello", "hello");
  machines.one.add_artifact("pkg.bst", machines.shared / "files");
  const Outcome pushed = machines.run(machines.one, model::Action::kPush);
  CHECK(pushed.result.status == model::Outcome::kSkipped);
  CHECK_THAT(pushed.log, Catch::Contains("Failed to initialize remote " + server->url()) &&
                             Catch::Contains("SKIPPED [") && Catch::EndsWith(": Push\n"));
}

TEST_CASE("Sources come from a cache when they are gone from where they were") {
  TestDirectory place{0755};
  RealServer server(place / "served");
  Machines machines(server.url());
  const Outcome fetched = machines.run(machines.one, model::Action::kFetch);
  INFO(fetched.log);
  REQUIRE(fetched.result.status == model::Outcome::kSuccess);
  const Outcome pushed = machines.run(machines.one, model::Action::kSourcePush);
  INFO(pushed.log);
  REQUIRE(pushed.result.status == model::Outcome::kSuccess);
  CHECK(machines.run(machines.one, model::Action::kSourcePush).result.status ==
        model::Outcome::kSkipped);

  std::filesystem::remove(machines.shared / "pkg.tar.gz");
  SECTION("all together") {}
  SECTION("one by one") { std::filesystem::remove_all(place / "served/elementsources"); }
  const Outcome pulled = machines.run(machines.two, model::Action::kFetch);
  INFO(pulled.log);
  REQUIRE(pulled.result.status == model::Outcome::kSuccess);
  CHECK(pulled.result.sources == fetched.result.sources);
  CHECK_FALSE(std::filesystem::exists(machines.two.settings.sourcedir + "/tar"));
}

TEST_CASE("A source cache that has nothing, or isn't there, is no failure") {
  TestDirectory place{0755};
  RealServer server(place / "served");
  Machines machines(server.url());
  bool warned = false;
  SECTION("it has nothing") {}
  SECTION("it isn't there") {
    server.kill();
    warned = true;
  }
  SECTION("it can't be used") {
    machines.remote.url = "gopher://somewhere";
    warned = true;
  }
  const Outcome fetched = machines.run(machines.one, model::Action::kFetch);
  INFO(fetched.log);
  REQUIRE(fetched.result.status == model::Outcome::kSuccess);
  CHECK((fetched.log.find("WARNING") != std::string::npos) == warned);
}
