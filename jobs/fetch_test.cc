// The fetch action and the kinds that need no sandbox, by the real sluice-job.
#include "jobs/fetch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/file.h"
#include "base/sha256.h"
#include "elements/staging.h"
#include "jobs/test_support.h"
#include "store/sources.h"
#include "store/tree.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

struct Sources {
  World world;
  std::string archive = world.directory / "upstream/pkg.tar.gz";
  std::string sum;

  Sources() {
    write_text(world.directory / "pack/pkg-1/hello.c", "int main;");
    REQUIRE(make_directories(world.directory / "upstream"));
    REQUIRE(std::system(fmt::format("tar -C {} -czf {} pkg-1", world.directory / "pack", archive)
                            .c_str()) == 0);
    sum = sha256_hex(read_text(archive));
  }
  model::Source tar(const std::string& ref) const {
    model::Source source;
    source.kind = "tar";
    source.url = "file://" + archive;
    source.original_url = "upstream:pkg.tar.gz";
    if (!ref.empty()) source.ref = model::Node::make_scalar(ref);
    source.key = sha256_hex("tar " + ref);
    source.provenance = {"elements/pkg.bst", 4, 3};
    return source;
  }
  JobStart fetch(const std::vector<model::Source>& sources) {
    World::Element element;
    element.name = "pkg.bst";
    element.action = model::Action::kFetch;
    element.sources = sources;
    return world.job(element);
  }
  std::vector<std::string> list(const model::Digest& root) {
    auto tree = store::Tree::open(*world.cas, root);
    REQUIRE(tree);
    return tree->list().value();
  }
};

}  // namespace

TEST_CASE("A tar source is downloaded where BuildStream keeps it, checked, and staged") {
  Sources s;
  const Outcome outcome = run(s.fetch({s.tar(s.sum)}));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(s.list(outcome.result.sources) == std::vector<std::string>{"hello.c"});
  CHECK(path_exists(s.world.settings.sourcedir + "/tar/upstream_pkg_tar_gz/" + s.sum));
  CHECK(outcome.said("success", "Fetching file://" + s.archive));
  store::SourceRefs refs(*s.world.cas);
  CHECK(refs.lookup_source("tar", s.tar(s.sum).key).value() == outcome.result.sources);
  CHECK(refs.lookup_element(sha256_hex("sources pkg.bst")).value() == outcome.result.sources);
  // The second time nothing is fetched.
  const Outcome again = run(s.fetch({s.tar(s.sum)}));
  CHECK(again.result.sources == outcome.result.sources);
  CHECK_FALSE(again.said("start", "Fetching file://" + s.archive));
}

TEST_CASE("A wrong checksum, a damaged mirror, a missing file, no ref") {
  Sources s;
  SECTION("what was downloaded is not what was wanted") {
    const std::string other(64, 'a');
    const Outcome outcome = run(s.fetch({s.tar(other)}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->reason == "wrong-checksum");
    CHECK(has(outcome.result.error->message, s.sum));
    CHECK(outcome.result.error->file == "elements/pkg.bst");
    CHECK_FALSE(path_exists(s.world.settings.sourcedir + "/tar/upstream_pkg_tar_gz/" + other));
  }
  SECTION("half of a download under the whole one's name") {
    write_text(s.world.settings.sourcedir + "/tar/upstream_pkg_tar_gz/" + s.sum, "half");
    const Outcome outcome = run(s.fetch({s.tar(s.sum)}));
    CHECK(outcome.result.status == model::Outcome::kSuccess);
    CHECK(sha256_hex(read_text(s.world.settings.sourcedir + "/tar/upstream_pkg_tar_gz/" + s.sum)) ==
          s.sum);
  }
  SECTION("the file is missing") {
    auto source = s.tar(s.sum);
    source.url = "file:///nonexistent/pkg.tar.gz";
    const Outcome outcome = run(s.fetch({source}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(has(outcome.result.error->message, "file:///nonexistent/pkg.tar.gz"));
    CHECK(outcome.result.error->line == 4);
  }
  SECTION("no host answers") {
    s.world.settings.network_retries = 1;
    auto source = s.tar(s.sum);
    source.url = "http://127.0.0.1:1/pkg.tar.gz";
    const Outcome outcome = run(s.fetch({source}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->reason == "download-failed");
    CHECK(outcome.said("failure", "Try #1 failed, retrying"));
    CHECK_FALSE(outcome.said("failure", "Try #2 failed, retrying"));
  }
  SECTION("the ref is none") {
    const Outcome outcome = run(s.fetch({s.tar("v1.0")}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->reason == "bad-ref");
  }
  SECTION("a kind that nobody can fetch") {
    auto source = s.tar(s.sum);
    source.kind = "carrier-pigeon";
    const Outcome outcome = run(s.fetch({source}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(has(outcome.result.error->message, "carrier-pigeon"));
  }
}

TEST_CASE("A bad archive fails the fetch by archive and member") {
  Sources s;
  write_text(s.archive, read_text(s.archive).substr(0, 60));
  const std::string sum = sha256_hex(read_text(s.archive));
  const Outcome outcome = run(s.fetch({s.tar(sum)}));
  REQUIRE(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->reason == "bad-archive");
  CHECK(has(outcome.result.error->message, "pkg.tar.gz"));
  CHECK(outcome.result.error->file == "elements/pkg.bst");
  CHECK(std::system(("test -z \"$(find " + s.world.settings.builddir + " ! -type d)\"").c_str()) ==
        0);
}

TEST_CASE("Local sources, directories of sources, and what changed since it was loaded") {
  Sources s;
  write_text(s.world.directory / "project/files/a", "a");
  write_text(s.world.directory / "project/files/sub/b", "b");
  model::Source local;
  local.kind = "local";
  local.path = s.world.directory / "project/files";
  local.directory = "data";
  local.local_digest = store::hash_tree(local.path).value();
  local.key = local.local_digest.hash;
  const Outcome outcome = run(s.fetch({s.tar(s.sum), local}));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  CHECK(s.list(outcome.result.sources) ==
        std::vector<std::string>{"hello.c", "data", "data/a", "data/sub", "data/sub/b"});

  // The files entered the store when they were loaded. Had they gone from there, they would have to
  // be the same.
  write_text(s.world.directory / "project/files/a", "loaded, and not in the store");
  local.local_digest = store::hash_tree(local.path).value();
  write_text(s.world.directory / "project/files/a", "changed");
  local.key = sha256_hex("another");
  auto start = s.fetch({local});
  auto element = wire::decode<wire::JobElement>(start.job.element.bytes).value();
  element.sources_key = sha256_hex("another element");
  start.job.element.bytes = wire::encode(element);
  const Outcome changed = run(start);
  REQUIRE(changed.result.status == model::Outcome::kError);
  CHECK(changed.result.error->reason == "source-changed");
}

TEST_CASE("patch changes what lies before it") {
  Sources s;
  const std::string project = s.world.directory / "project";
  write_text(s.world.directory / "project/files/text", "one\n");
  write_text(s.world.directory / "project/files/tool", "#!/bin/sh\n");
  REQUIRE(::chmod((project + "/files/tool").c_str(), 0755) == 0);
  model::Source local;
  local.kind = "local";
  local.path = project + "/files";
  local.local_digest = store::hash_tree(local.path).value();
  local.key = local.local_digest.hash;
  const auto patch = [&](const std::string& name, const std::string& text) {
    model::Source source;
    source.kind = "patch";
    source.path = project + "/" + name;
    source.config = model::Node::make_map({{"path", model::Node::make_scalar(name)}});
    source.local_digest = {sha256_hex(text), static_cast<std::int64_t>(text.size())};
    source.key = sha256_hex("patch " + name);
    source.provenance = {"elements/pkg.bst", 7, 3};
    write_text(source.path, text);
    return source;
  };
  const auto content = [&](const model::Digest& root, const std::string& path) {
    auto tree = store::Tree::open(*s.world.cas, root);
    REQUIRE(tree);
    const auto entry = tree->find(path).value();
    REQUIRE(entry);
    return s.world.cas->read(entry->digest).value();
  };
  const model::Source two = patch("two.patch", "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-one\n+two\n");
  const model::Source more = patch("more.patch",
                                   "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-two\n+three\n--- "
                                   "/dev/null\n+++ b/new/er\n@@ -0,0 +1 @@\n+x\n");

  SECTION("one after the other, and modes stay") {
    const Outcome outcome = run(s.fetch({local, two, more}));
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(s.list(outcome.result.sources) ==
          std::vector<std::string>{"text", "tool", "new", "new/er"});
    CHECK(content(outcome.result.sources, "text") == "three\n");
    auto tree = store::Tree::open(*s.world.cas, outcome.result.sources).value();
    CHECK(tree.find("tool").value()->executable);
    // The files in the store are as they were.
    const store::SourceRefs refs(*s.world.cas);
    CHECK(content(refs.lookup_source("local", local.key).value().value(), "text") == "one\n");
    CHECK_FALSE(refs.lookup_source("patch", two.key).value());
  }
  SECTION("in a directory") {
    model::Source beside = local;
    beside.directory = "deep/er";
    model::Source there = two;
    there.directory = "deep/er";
    const Outcome outcome = run(s.fetch({local, beside, there}));
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(content(outcome.result.sources, "text") == "one\n");
    CHECK(content(outcome.result.sources, "deep/er/text") == "two\n");
  }
  SECTION("it doesn't fit") {
    const Outcome outcome = run(s.fetch({local, more}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->domain == "plugin");
    CHECK(has(outcome.result.error->message, "Failed to apply patch more.patch"));
    CHECK(has(outcome.result.error->message, " source at elements/pkg.bst [line 7 column 3]: "));
    CHECK(has(outcome.result.error->detail, "FAILED"));
  }
  SECTION("there is nothing to change") {
    model::Source elsewhere = two;
    elsewhere.directory = "elsewhere";
    for (const auto& sources : {std::vector{two}, std::vector{local, elsewhere}}) {
      const Outcome outcome = run(s.fetch(sources));
      REQUIRE(outcome.result.status == model::Outcome::kError);
      CHECK(outcome.result.error->domain == "source");
      CHECK(outcome.result.error->reason == "patch-no-files");
    }
  }
  SECTION("it was changed after it was loaded") {
    write_text(two.path, "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-one\n+other\n");
    const Outcome outcome = run(s.fetch({local, two}));
    REQUIRE(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->reason == "source-changed");
  }
  SECTION("it can't leave its directory") {
    write_text(s.world.directory / "victim", "one\n");
    REQUIRE(::symlink((s.world.directory / "victim").c_str(), (project + "/files/link").c_str()) ==
            0);
    local.local_digest = store::hash_tree(local.path).value();
    local.key = local.local_digest.hash;
    const std::string victim = s.world.directory / "victim";
    for (const std::string& name :
         {std::string("a/link"), "a/../../../../../../../../../.." + victim, victim}) {
      const Outcome outcome = run(s.fetch(
          {local, patch("evil.patch",
                        fmt::format("--- {}\n+++ {}\n@@ -1 +1 @@\n-one\n+two\n", name, name))}));
      INFO(outcome.log);
      CHECK(outcome.result.status == model::Outcome::kError);
      CHECK(read_text(victim) == "one\n");
    }
  }
}

TEST_CASE("import takes a directory of the sources to a place") {
  World world;
  write_text(world.directory / "files/usr/share/doc", "d");
  write_text(world.directory / "files/etc/motd", "m");
  World::Element element;
  element.kind = "import";
  element.sources_root = store::import_tree(*world.cas, world.directory / "files").value();
  const auto files = [&](const std::string& source,
                         const std::string& target) -> std::vector<std::string> {
    element.config = model::Node::make_map({{"source", model::Node::make_scalar(source)},
                                            {"target", model::Node::make_scalar(target)}});
    const Outcome outcome = run(world.job(element));
    if (outcome.result.status != model::Outcome::kSuccess)
      return {std::string(text_of(outcome.result.status)) + ": " + outcome.result.error->message};
    return store::Tree::open(*world.cas, outcome.result.artifact->files)->list().value();
  };
  CHECK(files("/", "/") ==
        std::vector<std::string>{"etc", "etc/motd", "usr", "usr/share", "usr/share/doc"});
  CHECK(files("/usr/", "/opt/x") ==
        std::vector<std::string>{"opt", "opt/x", "opt/x/share", "opt/x/share/doc"});
  CHECK(has(files("/nowhere", "/")[0], "error: The sources have no directory 'nowhere'"));
  // ".." stays in the sandbox's tree, whose root has no parent but itself. Files that go elsewhere
  // than to the output are not in the artifact.
  CHECK(files("/usr/../../../input/etc", "/../../output/y") ==
        std::vector<std::string>{"y", "y/motd"});
  CHECK(files("/", "/../elsewhere").empty());
  CHECK(has(files("/nowhere/../etc", "/")[0], "error: The sources have no directory"));
}

TEST_CASE("J45: a part of the sources that the store lost is missing, not named wrongly") {
  World world;
  write_text(world.directory / "files/usr/share/doc", "d");
  World::Element element;
  element.kind = "import";
  element.sources_root = store::import_tree(*world.cas, world.directory / "files").value();
  element.config = model::Node::make_map({{"source", model::Node::make_scalar("/usr/share")}});
  auto tree = store::Tree::open(*world.cas, element.sources_root);
  REQUIRE(world.cas->remove(tree->directory_digest("usr").value()));
  const Outcome outcome = run(world.job(element));
  REQUIRE(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->domain + "/" + outcome.result.error->reason == "cas/missing-blob");
}

TEST_CASE("compose selects by split rules, and keeps what integration added") {
  World world;
  model::Node rules = model::Node::make_map(
      {{"devel", model::Node::make_list({model::Node::make_scalar("/usr/include/**")})}});
  model::Node bst = model::Node::make_map({{"split-rules", rules}});
  bst.set(
      "integration-commands",
      model::Node::make_list({model::Node::make_scalar("echo cache > /etc/cache; rm /etc/seed")}));
  write_text(world.directory / "lib/usr/include/a.h", "h");
  write_text(world.directory / "lib/usr/lib/a.so", "s");
  write_text(world.directory / "lib/etc/seed", "s");
  const auto lib =
      world.add_artifact("lib.bst", world.directory / "lib", model::Node::make_map({{"bst", bst}}));
  World::Element element;
  element.kind = "compose";
  element.dependencies = {world.base(), lib};
  element.config = model::Node::make_map(
      {{"exclude", model::Node::make_list({model::Node::make_scalar("devel")})}});
  const Outcome outcome = run(world.job(element));
  INFO(outcome.log);
  REQUIRE(outcome.result.status == model::Outcome::kSuccess);
  auto tree = store::Tree::open(*world.cas, outcome.result.artifact->files);
  REQUIRE(tree);
  CHECK_FALSE(tree->find("usr/include/a.h").value());
  CHECK(tree->find("usr/lib/a.so").value());
  CHECK(tree->find("etc/cache").value());
  CHECK_FALSE(tree->find("etc/seed").value());
  CHECK(tree->find("bin/sh").value());
  // Integration has added dev, proc, tmp and the cache.
  CHECK(outcome.said("info", "Integration added 4 and removed 1 files"));

  element.config.set("integrate", model::Node::make_scalar("False"));
  element.config.set("include", model::Node::make_list({model::Node::make_scalar("devel")}));
  element.config.set("exclude", model::Node::make_list());
  element.config.set("include-orphans", model::Node::make_scalar("False"));
  const Outcome only = run(world.job(element));
  REQUIRE(only.result.status == model::Outcome::kSuccess);
  CHECK(store::Tree::open(*world.cas, only.result.artifact->files)->list().value() ==
        std::vector<std::string>{"usr", "usr/include", "usr/include/a.h"});
}

TEST_CASE(
    "filter takes what its domains choose of one artifact, and its integration commands when it is "
    "told to") {
  World world;
  const auto words = [](const std::vector<std::string>& items) {
    model::Node list = model::Node::make_list();
    for (const auto& item : items) list.list.push_back(model::Node::make_scalar(item));
    return list;
  };
  model::Node bst = model::Node::make_map(
      {{"split-rules", model::Node::make_map({{"one", words({"/one"})}, {"two", words({"/two"})}})},
       {"integration-commands", words({"first"})}});
  for (const char* name : {"one", "two", "three"}) write_text(world.directory / "in/" + name, name);
  World::Element element;
  element.kind = "filter";
  element.dependencies = {
      world.add_artifact("in.bst", world.directory / "in", model::Node::make_map({{"bst", bst}}))};
  element.public_data = model::Node::make_map(
      {{"bst", model::Node::make_map({{"integration-commands", words({"second"})}})}});
  const auto files_with = [&](std::initializer_list<std::pair<const char*, model::Node>> config) {
    element.config = model::Node::make_map();
    for (const auto& [key, value] : config) element.config.set(key, value);
    const Outcome outcome = run(world.job(element));
    INFO(outcome.log);
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(outcome.said("success", "Staging artifact"));
    auto data = public_data_of(*world.cas, *outcome.result.artifact);
    REQUIRE(data);
    auto paths = store::Tree::open(*world.cas, outcome.result.artifact->files)->list().value();
    const auto commands = data->find("bst")->get_strings("integration-commands");
    paths.insert(paths.end(), commands.begin(), commands.end());
    return paths;
  };
  const model::Node yes = model::Node::make_scalar("True");
  using Paths = std::vector<std::string>;
  CHECK(files_with({}) == Paths{"one", "two", "second"});
  CHECK(files_with({{"include", words({"one"})}}) == Paths{"one", "second"});
  CHECK(files_with({{"exclude", words({"one"})}, {"include-orphans", yes}}) ==
        Paths{"three", "two", "second"});
  CHECK(files_with({{"include", words({"one"})}, {"pass-integration", yes}}) ==
        Paths{"one", "first", "second"});

  element.config =
      model::Node::make_map({{"include", words({"one", "four"})}, {"exclude", words({"five"})}});
  const Outcome unknown = run(world.job(element));
  CHECK(unknown.result.status == model::Outcome::kError);
  CHECK(unknown.result.error->message == "Unknown domains declared.");
  CHECK(has(unknown.result.error->detail, " - four\n"));
  CHECK(has(unknown.result.error->detail, " - five"));
}

TEST_CASE("Overlaps: warned about, allowed by a whitelist, fatal when the project says so") {
  World world;
  write_text(world.directory / "one/etc/same", "1");
  write_text(world.directory / "two/etc/same", "2");
  const auto one = world.add_artifact("one.bst", world.directory / "one");
  auto two = world.add_artifact("two.bst", world.directory / "two");
  World::Element element;
  element.kind = "compose";
  element.config = model::Node::make_map({{"integrate", model::Node::make_scalar("False")}});
  element.dependencies = {one, two};
  const Outcome warned = run(world.job(element));
  REQUIRE(warned.result.status == model::Outcome::kSuccess);
  REQUIRE(warned.said("warn", "[overlaps]: Non-whitelisted overlaps detected"));
  CHECK(has(warned.log,
            "/etc/same: two.bst is not permitted to overlap other elements, order two.bst above "
            "one.bst"));

  element.fatal_warnings = {"overlaps"};
  const Outcome fatal = run(world.job(element));
  CHECK(fatal.result.status == model::Outcome::kError);
  CHECK(fatal.result.error->reason == "overlaps");

  model::Node bst = model::Node::make_map(
      {{"overlap-whitelist", model::Node::make_list({model::Node::make_scalar("/etc/*")})}});
  two = world.add_artifact("three.bst", world.directory / "two",
                           model::Node::make_map({{"bst", bst}}));
  element.dependencies = {one, two};
  const Outcome allowed = run(world.job(element));
  REQUIRE(allowed.result.status == model::Outcome::kSuccess);
  CHECK_FALSE(allowed.said("warn", "[overlaps]: Non-whitelisted overlaps detected"));
}

TEST_CASE("Dependencies are staged at their location, with what they need at run time") {
  World world;
  write_text(world.directory / "deep/lib/deep", "d");
  write_text(world.directory / "tool/bin/tool", "t");
  auto deep = world.add_artifact("deep.bst", world.directory / "deep");
  deep.build = false;
  auto tool = world.add_artifact("tool.bst", world.directory / "tool");
  tool.runtime_dependencies = {deep.index};
  World::Element element;
  element.dependencies = {world.base(), deep, tool};
  element.dependency_configs = {
      {tool.index, model::Node::make_map({{"location", model::Node::make_scalar("/opt/tools")}})}};
  element.config.set("build-commands",
                     model::Node::make_list({model::Node::make_scalar(
                         "test -e /opt/tools/bin/tool && test -e /opt/tools/lib/deep && test ! -e "
                         "/bin/tool && test ! -e /lib/deep")}));
  const Outcome outcome = run(world.job(element));
  INFO(outcome.log);
  CHECK(outcome.result.status == model::Outcome::kSuccess);
  CHECK(outcome.said("success", "Staging dependencies at: /opt/tools"));
}

TEST_CASE("A build whose sources are gone, a kind that is unknown, a job without a key") {
  World world;
  World::Element element;
  element.dependencies = {world.base()};
  element.sources = {model::Source{}};
  Outcome outcome = run(world.job(element));
  CHECK(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->reason == "missing-sources");
  element.sources.clear();
  element.kind = "junction";
  outcome = run(world.job(element));
  CHECK(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->message == "Cannot build junction elements");
  element.kind = "nosuch";
  outcome = run(world.job(element));
  CHECK(has(outcome.result.error->message, "'nosuch'"));
  element.kind = "manual";
  auto start = world.job(element);
  start.job.keys = {};
  CHECK(run(start).result.error->reason == "bad-job");
}

TEST_CASE("A remote source is one file, under the name it is given") {
  Sources s;
  model::Source source = s.tar(s.sum);
  source.kind = "remote";
  SECTION("that of its URL") {
    const Outcome outcome = run(s.fetch({source}));
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    CHECK(s.list(outcome.result.sources) == std::vector<std::string>{"pkg.tar.gz"});
    CHECK(path_exists(s.world.settings.sourcedir + "/remote/upstream_pkg_tar_gz/" + s.sum));
  }
  SECTION("another, and executable") {
    source.config = model::Node::make_map({{"filename", model::Node::make_scalar("tool")},
                                           {"executable", model::Node::make_scalar("true")}});
    const Outcome outcome = run(s.fetch({source}));
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    auto tree = store::Tree::open(*s.world.cas, outcome.result.sources);
    REQUIRE(tree);
    const auto entry = tree->find("tool");
    REQUIRE(entry);
    REQUIRE(*entry);
    CHECK((*entry)->executable);
  }
  SECTION("none that leads elsewhere") {
    for (const char* name : {"../tool", "..", ".", "a/b"}) {
      source.config = model::Node::make_map({{"filename", model::Node::make_scalar(name)}});
      const Outcome outcome = run(s.fetch({source}));
      CHECK(outcome.result.status == model::Outcome::kError);
      CHECK(outcome.result.error->reason == "bad-filename");
    }
  }
}

TEST_CASE("Tracking finds what is there now, and where its reference belongs") {
  Sources s;
  const auto track = [&](std::vector<model::Source> sources) {
    for (auto& source : sources)
      source.ref_places = {model::RefPlace{"/p/pkg.bst", "hash", {"ksources", "i0", "kref"}, ""}};
    JobStart start = s.fetch(sources);
    start.job.action = model::Action::kTrack;
    start.job.keys = {};
    return run(start);
  };
  SECTION("no reference yet") {
    const Outcome outcome = track({s.tar("")});
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    REQUIRE(outcome.result.refs.size() == 1);
    CHECK(outcome.result.refs[0].ref.scalar == s.sum);
    CHECK(outcome.result.refs[0].before == model::Node());
    CHECK(outcome.result.refs[0].place.file == "/p/pkg.bst");
    CHECK(outcome.said("info", "Found new revision: " + s.sum));
    CHECK(path_exists(s.world.settings.sourcedir + "/tar/upstream_pkg_tar_gz/" + s.sum));
    CHECK(has(outcome.log, std::string(8, '?')));
  }
  SECTION("another than before is said") {
    const Outcome outcome = track({s.tar(std::string(64, 'a'))});
    REQUIRE(outcome.result.refs.size() == 1);
    CHECK(outcome.result.refs[0].before.scalar == std::string(64, 'a'));
    CHECK(outcome.said("warn", "Potential man-in-the-middle attack!"));
  }
  SECTION("the same: nothing is to be written") {
    const Outcome outcome = track({s.tar(s.sum)});
    CHECK(outcome.result.status == model::Outcome::kSuccess);
    CHECK(outcome.result.refs.empty());
  }
  SECTION("from the first of several places that has it") {
    model::Source source = s.tar("");
    source.track_urls = {"file:///nowhere/pkg.tar.gz", source.url};
    const Outcome outcome = track({source});
    REQUIRE(outcome.result.refs.size() == 1);
    CHECK(outcome.result.refs[0].ref.scalar == s.sum);
  }
  SECTION("what has no reference is skipped") {
    model::Source local;
    local.kind = "local";
    const Outcome outcome = track({local});
    CHECK(outcome.result.status == model::Outcome::kSkipped);
  }
  SECTION("what isn't there, or of a kind that isn't known, is an error at its place") {
    model::Source gone = s.tar("");
    gone.url = "file:///nowhere/pkg.tar.gz";
    CHECK(track({gone}).result.error->reason == "file-missing");
    model::Source other = s.tar("");
    other.kind = "bzr";
    const Outcome outcome = track({other});
    CHECK(outcome.result.error->reason == "unsupported-source");
    CHECK(outcome.result.error->file == "elements/pkg.bst");
  }
}
