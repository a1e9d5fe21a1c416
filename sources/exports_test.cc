// What sources export to a manifest, as the plugins' export_manifest() and the manifest's own
// plugin say it.
#include "sources/exports.h"

#include <string>

#include <catch2/catch.hpp>

#include "sources/crate.h"

namespace sluice::sources {
namespace {

model::Node map_of(std::vector<std::pair<std::string, std::string>> entries) {
  model::Node map = model::Node::make_map();
  for (auto& [key, value] : entries) map.set(key, model::Node::make_scalar(std::move(value)));
  return map;
}

TEST_CASE("cargo2 exports each crate, and a version may be that of any of them") {
  model::Source source;
  source.kind = "cargo2";
  source.original_url = "crates:crates/";
  source.url = "https://example.org/crates/";
  const std::string written = "github:one/two";
  source.more_urls = {
      {kCargoName + written, {"https://github.com/one/two", "https://mirror.org/one/two"}}};
  source.ref =
      model::Node::make_list({map_of({{"name", "ahash"}, {"version", "0.7.6"}, {"sha", "abc"}}),
                              map_of({{"kind", "git"},
                                      {"name", "two"},
                                      {"version", "1.2.3"},
                                      {"repo", written},
                                      {"commit", "0123"}})});

  const auto exports = exports_of(source);
  REQUIRE(exports);
  REQUIRE(exports->locations.size() == 2);
  CHECK(exports->locations[0] ==
        map_of({{"type", "archive"},
                {"url", "https://example.org/crates/ahash/ahash-0.7.6.crate"},
                {"sha256", "abc"},
                {"alias", "crates"}}));
  CHECK(exports->locations[1] == map_of({{"type", "git"},
                                         {"url", "https://mirror.org/one/two"},
                                         {"commit", "0123"},
                                         {"alias", "github"}}));
  CHECK(exports->versions == std::vector<std::string>{"ahash-0.7.6.crate", "0123"});

  // Without an alias none is said.
  source.original_url = source.url;
  CHECK(exports_of(source)->locations[0].find("alias") == nullptr);
}

TEST_CASE("kinds whose plugins export nothing say nothing") {
  for (const char* kind : {"cargo", "docker", "local", "remote", "pip"}) {
    INFO(kind);
    model::Source source;
    source.kind = kind;
    const auto exports = exports_of(source);
    REQUIRE(exports);
    CHECK(exports->locations.empty());
    CHECK(exports->versions.empty());
  }
}

}  // namespace
}  // namespace sluice::sources
