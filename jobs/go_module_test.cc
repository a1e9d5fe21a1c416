// Modules of Go as the plugin before buildstream-plugins-community 2.2 stages them, by the real
// sluice-job: a whole repository in vendor/, with its .git. Projects say that this is their plugin
// by its text (sources/key_table.cc); what it does was compared with the plugin itself
// (tests/golden/packages-old.json).
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/sha256.h"
#include "jobs/test_support.h"
#include "store/directory.h"
#include "store/tree.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

struct Modules {
  World world;
  std::string repository = world.directory / "upstream/mod";
  std::string commit;
  model::Source local;

  Modules() {
    write_text(repository + "/a.go", "package a\n");
    write_text(repository + "/in/b.go", "package in\n");
    REQUIRE(std::system(fmt::format("cd {} && GIT_CONFIG_GLOBAL=/dev/null git init -q && git add . "
                                    "&& git -c user.name=t -c user.email=t@e commit -qm one && "
                                    "git tag v2.1.0 && git rev-parse HEAD >../commit",
                                    repository)
                            .c_str()) == 0);
    commit = read_text(world.directory / "upstream/commit").substr(0, 40);
    write_text(world.directory / "project/files/go.mod", "module x\n");
    local.kind = "local";
    local.path = world.directory / "project/files";
    local.local_digest = store::hash_tree(local.path).value();
    local.key = local.local_digest.hash;
  }

  model::Source module(const std::string& name, const std::string& is_explicit = "True") const {
    model::Source source;
    source.kind = "go_module";
    source.works_as = "2.1";
    source.url = "file://" + repository;
    source.original_url = "up:mod";
    source.config = model::Node::make_map({{"module", model::Node::make_scalar(name)}});
    source.ref =
        model::Node::make_map({{"go-version", model::Node::make_scalar("v2.1.0")},
                               {"git-ref", model::Node::make_scalar("v2.1.0-0-g" + commit)},
                               {"explicit", model::Node::make_scalar(is_explicit)}});
    source.key = sha256_hex("go_module " + name);
    source.provenance = {"elements/pkg.bst", 7, 3};
    return source;
  }

  Outcome fetch(const std::vector<model::Source>& sources) {
    World::Element element;
    element.name = "pkg.bst";
    element.action = model::Action::kFetch;
    element.sources = sources;
    return run(world.job(element));
  }

  std::string content(const Outcome& outcome, const std::string& path) {
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    auto tree = store::Tree::open(*world.cas, outcome.result.sources).value();
    const auto entry = tree.find(path).value();
    if (!entry) return "absent";
    return entry->type == store::EntryType::kSymlink ? "-> " + entry->target
                                                     : world.cas->read(entry->digest).value();
  }
};

TEST_CASE("before 2.2 a module is its whole repository") {
  Modules m;
  const Outcome outcome = m.fetch({m.local, m.module("a.b/mod"), m.module("c.d/mod", "False")});
  CHECK(m.content(outcome, "vendor/modules.txt") ==
        "# a.b/mod v2.1.0\n## explicit\na.b/mod\n# c.d/mod\nc.d/mod\n");
  CHECK(m.content(outcome, "vendor/a.b/mod/in/b.go") == "package in\n");
  CHECK(m.content(outcome, "vendor/c.d/mod/a.go") == "package a\n");
  CHECK(m.content(outcome, "vendor/a.b/mod/.git/refs/tags/v2.1.0") == m.commit + "\n");
  CHECK(m.content(outcome, "go.mod") == "module x\n");
}

TEST_CASE("before 2.2 a major version is a link to where the module lies") {
  Modules m;
  const Outcome outcome = m.fetch({m.local, m.module("a.b/mod/v2"), m.module("a.b/mod/v2/more")});
  CHECK(m.content(outcome, "vendor/a.b/mod/v2") == "-> .");
  CHECK(m.content(outcome, "vendor/a.b/mod/a.go") == "package a\n");
  // What lies below it goes to where the link leads.
  CHECK(m.content(outcome, "vendor/a.b/mod/more/in/b.go") == "package in\n");
  CHECK(m.content(outcome, "vendor/modules.txt") ==
        "# a.b/mod/v2 v2.1.0\n## explicit\na.b/mod/v2\n"
        "# a.b/mod/v2/more v2.1.0\n## explicit\na.b/mod/v2/more\n");
}

TEST_CASE("two repositories have no place in one directory") {
  Modules m;
  const Outcome outcome = m.fetch({m.local, m.module("a.b/mod"), m.module("a.b/mod/v2")});
  REQUIRE(outcome.result.error);
  CHECK(outcome.result.error->reason == "module-overlap");
  CHECK(outcome.result.error->file == "elements/pkg.bst");
}

TEST_CASE("a module's name leads nowhere else") {
  Modules m;
  for (const char* name : {"../x", "/tmp/x", "a.b/../../../x"}) {
    INFO(name);
    const Outcome outcome = m.fetch({m.local, m.module(name)});
    REQUIRE(outcome.result.error);
    CHECK(outcome.result.error->reason == "bad-path");
  }
  // Nor does a link that the sources before it have there.
  REQUIRE(::symlink("/tmp", (m.local.path + "/vendor").c_str()) == 0);
  m.local.local_digest = store::hash_tree(m.local.path).value();
  m.local.key = m.local.local_digest.hash;
  const Outcome outcome = m.fetch({m.local, m.module("a.b/mod")});
  REQUIRE(outcome.result.error);
  CHECK(outcome.result.error->reason == "bad-path");
}

}  // namespace
