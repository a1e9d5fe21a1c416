// The kinds of elements of the community's collection, by the real sluice-job: of what the projects
// of tests/differential have no example, since their sources have no URLs and no plugin in Python.
// The manifests are what the plugin made of the same sources with BuildStream 2.8.1.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "jobs/test_support.h"
#include "store/artifact.h"
#include "store/tree.h"
#include "wire/snapshot.h"

using namespace sluice;
using namespace sluice::jobs;
using namespace sluice::jobs::testing;

namespace {

model::Node text(std::string value) { return model::Node::make_scalar(std::move(value)); }

const std::string kSum(64, 'a');

model::Source source(const std::string& kind, const std::string& url, model::Node ref) {
  model::Source source;
  source.kind = kind;
  source.url = source.original_url = "https://example.org/" + url;
  source.config = model::Node::make_map({{"url", text(source.url)}});
  source.ref = std::move(ref);
  return source;
}

model::Source file(const std::string& kind, const std::string& path) {
  model::Source source;
  source.kind = kind;
  source.config = model::Node::make_map({{"path", text(path)}});
  source.local_digest = {kSum, 75};
  return source;
}

struct Collection {
  World world;
  World::Element element;

  Collection() {
    element.kind = "collect_manifest";
    element.config = model::Node::make_map({{"path", text("/m.json")}});
  }

  void add(const std::string& name, std::vector<model::Source> sources,
           model::Node public_data = model::Node::make_map()) {
    write_text(world.directory / ("files/" + name), name);
    auto artifact = world.add_artifact(name, world.directory / "files", std::move(public_data));
    element.dependencies.push_back(std::move(artifact));
    element.dependency_sources.push_back({std::move(sources)});
  }

  // A file of what a build of the element made.
  std::string built(const std::string& path) {
    const Outcome outcome = run(world.job(element));
    INFO(outcome.log);
    log = outcome.log;
    REQUIRE(outcome.result.status == model::Outcome::kSuccess);
    const auto tree = store::Tree::open(*world.cas, outcome.result.artifact->files);
    const auto entry = tree->find(path);
    if (!entry || !*entry) return "";
    executable = (*entry)->executable;
    return world.cas->read((*entry)->digest).value();
  }

  std::string log;
  bool executable = false;
};

constexpr const char* kManifest = R"({
  "//NOTE": "This is a generated manifest from buildstream files and not usable by flatpak-builder",
  "modules": [
    {
      "name": "git.bst",
      "x-cpe": {
        "product": "git",
        "version": "3.1"
      },
      "sources": [
        {
          "type": "git",
          "url": "https://example.org/repo.git",
          "commit": "@COMMIT@"
        }
      ]
    },
    {
      "name": "local.bst",
      "x-cpe": {
        "product": "local"
      },
      "sources": @LOCAL@
    },
    {
      "name": "match.bst",
      "x-cpe": {
        "vendor": "\u00e9",
        "product": "null",
        "version": "1.7"
      },
      "sources": [
        {
          "type": "archive",
          "url": "https://example.org/jq-1.7.2.tar",
          "sha256": "@SUM@"
        }
      ]
    },
    {
      "name": "st.bst",
      "x-cpe": {
        "product": "st"
      },
      "sources": []
    },
    {
      "name": "sub/tar.bst",
      "x-cpe": {
        "product": "tar",
        "version": "1.7.2"
      },
      "sources": [
        {
          "type": "archive",
          "url": "https://example.org/jq-1.7.2.tar",
          "sha256": "@SUM@"
        },
        {
          "type": "patch",
          "path": "@PATCH@"
        }
      ]
    }
  ]
})";

constexpr const char* kLocal = R"([
        {
          "type": "dir",
          "path": "files/d"
        },
        {
          "type": "archive",
          "url": "https://example.org/plain.tar",
          "sha256": "@SUM@"
        }
      ])";

std::string filled(std::string text, const std::string& mark, const std::string& by) {
  for (std::size_t at; (at = text.find(mark)) != std::string::npos;)
    text.replace(at, mark.size(), by);
  return text;
}

std::string manifest(const std::string& commit, const std::string& local,
                     const std::string& patch) {
  std::string text = filled(kManifest, "@COMMIT@", commit);
  text = filled(filled(std::move(text), "@LOCAL@", local), "@PATCH@", patch);
  return filled(std::move(text), "@SUM@", kSum);
}

}  // namespace

TEST_CASE("collect_manifest lists the sources of all dependencies") {
  Collection collection;
  const std::string commit(40, 'b');
  const model::Source archive = source("tar", "jq-1.7.2.tar", text(kSum));
  collection.add("git.bst", {source("git", "repo.git",
                                    model::Node::make_map({{"ref", text("v3.1-0-g" + commit)}}))});
  collection.add("local.bst",
                 {file("local", "files/d"), source("remote", "plain.tar", text(kSum))});
  collection.add("match.bst", {archive},
                 model::Node::make_map(
                     {{"cpe", model::Node::make_map({{"vendor", text("é")},
                                                     {"version-match", text(R"((\d)\.(\d)\.\d)")},
                                                     {"product", text("null")}})}}));
  collection.add("st.bst", {});
  model::Source patch = file("patch", "files/p.patch");
  patch.path = collection.world.directory / "p.patch";
  write_text(patch.path, "a patch");
  collection.add("sub/tar.bst", {archive, patch});

  CHECK(collection.built("m.json") == manifest(commit, kLocal, "files/p.patch"));
  CHECK_FALSE(collection.executable);
  CHECK(has(collection.log, "Missing version to local.bst."));
  CHECK_FALSE(has(collection.log, "Missing version to st.bst."));

  collection.element.config.set("use-source-provenance", text("false"));
  const std::string without = manifest("v3.1-0-g" + commit, "[]", "p.patch");
  CHECK(collection.built("m.json") == without);
  // As it was before it could ask for source info: nothing else in its configuration counts.
  collection.element.builds_as = "collect_manifest/2.0";
  collection.element.config = model::Node::make_map(
      {{"path", text("usr//share/../m.json")}, {"output-type", text("spdx")}});
  CHECK(collection.built("usr/m.json") == without);
}

TEST_CASE("collect_manifest knows what kinds of sources export") {
  Collection collection;
  collection.element.config.set("use-source-provenance", text("False"));
  const std::string commit(40, 'b');
  model::Source aliased = source("git_repo", "repo.git", text("v1.2-4-g" + commit));
  aliased.original_url = "upstream:repo.git";
  aliased.config.set("track", text("main"));
  model::Source full = source("git_repo", "repo.git", text(commit));
  full.config.set("track", text("refs/heads/x"));
  collection.add("a.bst", {aliased, full, file("patch_queue", "patches/")});
  const std::string json = collection.built("m.json");
  CHECK(has(json, R"("product": "a",
        "version": "1.2"
      },
      "sources": [
        {
          "type": "git",
          "url": "https://example.org/repo.git",
          "commit": "v1.2-4-g)" +
                      commit +
                      R"(",
          "refspecs": [
            "refs/heads/main",
            "refs/tags/main"
          ],
          "alias": "upstream"
        },
        {
          "type": "git",
          "url": "https://example.org/repo.git",
          "commit": ")" +
                      commit +
                      R"(",
          "refspecs": [
            "refs/heads/x"
          ]
        },
        {
          "type": "patch",
          "path": "patches"
        }
      ])"));
}

TEST_CASE("collect_manifest: a version that isn't there, and a pattern that is none") {
  Collection collection;
  const auto match = [](const std::string& pattern) {
    return model::Node::make_map(
        {{"cpe", model::Node::make_map({{"version-match", text(pattern)}})}});
  };
  SECTION("no match fails the element") {
    collection.add("a.bst", {source("tar", "jq.tar", text(kSum))}, match("[0-9]+"));
    const Outcome outcome = run(collection.world.job(collection.element));
    CHECK(outcome.result.status == model::Outcome::kFailure);
    CHECK(has(outcome.result.error->message, R"("[0-9]+" did not match anything)"));
  }
  SECTION("a pattern that isn't one") {
    collection.add("a.bst", {source("tar", "jq.tar", text(kSum))}, match("(jq"));
    const Outcome outcome = run(collection.world.job(collection.element));
    CHECK(outcome.result.status == model::Outcome::kError);
    CHECK(has(outcome.result.error->message, "version-match '(jq'"));
  }
  SECTION("J32: a job that doesn't say of what sources the dependencies are") {
    collection.add("a.bst", {});
    collection.element.dependency_sources.clear();
    CHECK(run(collection.world.job(collection.element)).result.error->reason == "bad-job");
  }
}

TEST_CASE("collect_manifest takes over what was collected before, and warns where that is old") {
  Collection collection;
  const model::Node modules = model::Node::make_map(
      {{"modules", model::Node::make_list({model::Node::make_map({{"name", text("z.bst")}})})}});
  collection.add("old.bst", {}, model::Node::make_map({{"cpe-manifest", modules}}));
  CHECK(has(collection.built("m.json"), R"(  "modules": [
    {
      "name": "z.bst"
    }
  ])"));
  CHECK(has(collection.log,
            R"([collect_manifest:legacy-manifest]: Dependency "old.bst" from project "test")"));
  collection.element.fatal_warnings = {"collect_manifest:legacy-manifest"};
  const Outcome outcome = run(collection.world.job(collection.element));
  CHECK(outcome.result.status == model::Outcome::kError);
  CHECK(outcome.result.error->reason == "collect_manifest:legacy-manifest");
}

TEST_CASE("collect_initial_scripts writes the scripts of dependencies in their order") {
  Collection collection;
  collection.element.kind = "collect_initial_scripts";
  collection.element.config = model::Node::make_map({{"path", text("/etc/init//x/")}});
  const auto script = [](const std::string& script) {
    return model::Node::make_map(
        {{"initial-script", model::Node::make_map({{"script", text(script)}})}});
  };
  collection.add("base/ä-1.bst", {}, script("echo \"%{none}\"\n"));
  collection.add("none.bst", {},
                 model::Node::make_map({{"initial-script", model::Node::make_map()}}));
  collection.add("last.bst", {}, script("exit 1"));
  // Public data of artifacts, as BuildStream writes it, loses newlines at the end of a text.
  CHECK(collection.built("etc/init/x/001-base___1_bst") == "echo \"%{none}\"");
  CHECK(collection.executable);
  CHECK(collection.built("etc/init/x/002-last_bst") == "exit 1");
}

TEST_CASE("flatpak_image as it was before: all in one place, and etc always") {
  Collection collection;
  collection.element.kind = "flatpak_image";
  collection.element.builds_as = "flatpak_image/2";
  const auto image = [&](model::Node metadata) {
    collection.element.config =
        model::Node::make_map({{"directory", text("/app")}, {"metadata", std::move(metadata)}});
  };
  write_text(collection.world.directory / "files/app/bin/x", "x");
  write_text(collection.world.directory / "files/etc/conf", "c");
  collection.add("a.bst", {});
  image(model::Node::make_map(
      {{"Application", model::Node::make_map({{"name", text("n")}})},
       {"DEFAULT", model::Node::make_map({{"where", text("lib")}})},
       {"Extension e", model::Node::make_map({{"directory", text("%(where)s/100%%")}})}}));
  CHECK(collection.built("metadata") ==
        "[DEFAULT]\nwhere = lib\n\n[Application]\nname = n\n\n[Extension e]\ndirectory = "
        "%(where)s/100%%\n\n");
  CHECK(collection.built("files/bin/x") == "x");
  CHECK(collection.built("files/etc/conf") == "c");
  // What couldn't be read again isn't written, nor does it count as a failure of the element.
  for (const auto& [section, key] :
       {std::pair{"Application", "a:b"}, {"Application", "[x]"}, {"Extension e", "dir"}}) {
    image(model::Node::make_map({{section, model::Node::make_map({{key, text("v")}})}}));
    const Outcome outcome = run(collection.world.job(collection.element));
    CHECK(outcome.result.status == model::Outcome::kError);
    CHECK(outcome.result.error->reason == "bad-metadata");
  }
}
