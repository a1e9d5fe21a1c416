// The tables of kinds of sources fit each other.
#include <algorithm>
#include <set>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "model/source_kinds.h"
#include "sources/info.h"
#include "sources/key.h"
#include "sources/work.h"

namespace sluice::sources {
namespace {

TEST_CASE("every kind has a key, and work or a refusal by name") {
  for (const model::SourceTraits& traits : model::kSources) {
    INFO(traits.kind);
    CHECK((find_key(traits.kind) != nullptr) == !traits.is_workspace);
    // Without work a job refuses the kind by its name, and the loader says so before: what has none
    // isn't `fetched`.
    CHECK((find_work(traits.kind) != nullptr) == traits.fetched);
  }
}

TEST_CASE("every row is of a kind whose traits are known") {
  const auto known = [](std::string_view kind) {
    return &model::source_traits(kind) != &model::kOtherSource;
  };
  std::set<std::string> seen;
  for (const KeyRow& row : key_rows()) {
    INFO(row.kind);
    CHECK(known(row.kind));
    CHECK(row.key != nullptr);
    CHECK(seen.insert(std::string(row.kind)).second);
  }
  seen.clear();
  for (const WorkRow& row : work_rows()) {
    INFO(row.kind);
    CHECK(known(row.kind));
    CHECK(seen.insert(fmt::format("{} {}", row.kind, row.way)).second);
  }
  seen.clear();
  for (const InfoRow& row : info_rows()) {
    INFO(row.kind);
    CHECK(known(row.kind));
    CHECK(row.info != nullptr);
    CHECK(seen.insert(std::string(row.kind)).second);
  }
}

TEST_CASE("a row of work has what the kind's traits promise") {
  for (const WorkRow& row : work_rows()) {
    INFO(row.kind);
    const model::SourceTraits& traits = model::source_traits(row.kind);
    CHECK((row.track != nullptr) == traits.has_ref());
    CHECK((row.change != nullptr) == traits.changes_previous);
    CHECK((row.stage != nullptr) == !traits.changes_previous);
    // What is no part of the project comes from elsewhere.
    CHECK((row.fetch != nullptr) == !traits.reads_project);
    CHECK((row.cached != nullptr) == !traits.reads_project);
  }
}

TEST_CASE("a plugin whose key says how it works needs to be its package's own") {
  const PluginText own = {"cargo2", "/site/buildstream_plugins_community/sources/cargo2.py",
                          "74ffb740e7a7632505d8a02a07cef5eb41822a5cd2d913f6b4d11228c51e1fbe", "x"};
  CHECK(recognise(own).work);
  PluginText copy = own;
  copy.file = "/project/plugins/cargo2.py";
  CHECK(recognise(copy).row != nullptr);
  CHECK_FALSE(recognise(copy).work);
  // The first texts make other keys, and stage otherwise.
  PluginText before = own;
  before.key = "504d73732021935b960e4b467eb947806f0524cb8096ea2ec103bab86185e8f8";
  REQUIRE(recognise(before).row != nullptr);
  CHECK(recognise(before).row->key != recognise(own).row->key);
  CHECK_FALSE(recognise(before).work);
  PluginText later = own;
  later.key = "y";
  CHECK(recognise(later).row == nullptr);
}

TEST_CASE("who is fetched tells where it comes from") {
  const auto rows = info_rows();
  for (const WorkRow& row : work_rows()) {
    INFO(row.kind);
    CHECK(std::any_of(rows.begin(), rows.end(),
                      [&](const InfoRow& info) { return info.kind == row.kind; }));
  }
}

TEST_CASE("clones of the community's packages are known where those lie") {
  const auto known = [](std::string_view kind, std::string_view directory, std::string key) {
    return recognise(
        {kind, fmt::format("/x/{}/sources/{}.py", directory, kind), std::move(key), "whole"});
  };
  const std::string with_path = "e20fc5ec8200ea06b4a5c2990227ee81e1aa0139f85c098bcf0fbdb95272f5d6";
  for (const char* package : {"buildstream_plugins_community", "bst_plugins_experimental"}) {
    const std::string file = fmt::format("src/{}", package);
    const std::string key = "325a213e8041292bfddd72eb02ba1ed34e16398a12a4d08c0ae1f7d8154db1b8";
    CHECK(known("git_tag", file, key).row->key == find_key("git_tag")->key);
    CHECK(known("git_tag", file, key).work);
    CHECK(known("git_tag", file, "any").row == nullptr);
    // git_module had no path in its key once, and then nothing of its own.
    CHECK(known("git_module", file, "").row == nullptr);
    CHECK(known("git_module", file, with_path).work);
    CHECK(known("git_repo", file, "any").row == nullptr);
  }
  // A copy has the same key, and may do something else.
  const KnownPlugin copy = known("git_module", "plugins", with_path);
  REQUIRE(copy.row != nullptr);
  CHECK(copy.row->kind == "git_module");
  CHECK_FALSE(copy.work);
  CHECK(known("git_tag", "plugins", "any").row == nullptr);
}

TEST_CASE("a key that isn't known isn't guessed from the name of the package") {
  for (const KeyRow& row : key_rows()) {
    INFO(row.kind);
    for (const char* package : {"buildstream_plugins", "buildstream_plugins_community"}) {
      const std::string file = fmt::format("/site/{}/sources/{}.py", package, row.kind);
      CHECK(recognise({row.kind, file, "another", "text"}).row == nullptr);
      CHECK_FALSE(recognise({row.kind, file, "another", "text"}).work);
    }
  }
}

}  // namespace
}  // namespace sluice::sources
