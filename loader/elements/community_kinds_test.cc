// Kinds of elements of other collections: what of their configuration is in keys. The texts are
// what Python's json makes of the maps that their plugins give BuildStream; that plugins are
// recognised is in tests/golden/loader/community.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "loader/elements/kinds.h"
#include "loader/yaml.h"

namespace sluice::loader {
namespace {

// The part of the key, or "reason: message" of the error.
std::string key_of(std::string_view kind, std::size_t variant, std::string_view text) {
  std::vector<const KnownElement*> known;
  for (const KnownElement& element : community_element_kinds()) {
    if (element.name == kind) known.push_back(&element);
  }
  REQUIRE(variant < known.size());
  Arena arena;
  File file{"element.bst", "element.bst"};
  auto config = parse_yaml(arena, file, text);
  REQUIRE(config);
  ElementInstance instance;
  instance.config = *config;
  std::string key;
  const Status status = known[variant]->configure(instance, key);
  return status ? key : status.error().reason + ": " + status.error().message;
}

TEST_CASE("collect_manifest: its key has what the manifest is made of, and no more") {
  const auto now = [](std::string_view text) { return key_of("collect_manifest", 0, text); };
  CHECK(now("{}") == R"({"path":null,"source_provenance":true})");
  CHECK(now("path: /m.json") == R"({"path":"/m.json","source_provenance":true})");
  CHECK(now("{path: /m.json, use-source-provenance: false}") == R"({"path":"/m.json"})");
  CHECK(
      now("output-type: spdx") ==
      R"({"output_type":"spdx","path":null,"source_provenance":true,"spdx_info":[null,null,null,null,null]})");
  CHECK(
      now("{output-type: spdx, use-source-provenance: false, spdx-info: {creators: [a, b/c], "
          "created: 17, name: 'n \"q\"', "
          "data-license: CC0-1.0, doc-namespace: x}}") ==
      R"({"output_type":"spdx","path":null,"spdx_info":[["a","b/c"],"CC0-1.0",17,"x","n \"q\""]})");
  // The key has nothing of what is only written, yet that is checked.
  CHECK(now("spdx-info: {created: 17}") == R"({"path":null,"source_provenance":true})");
  CHECK(now("spdx-info: {created: today}").starts_with("invalid-data: "));
  CHECK(now("spdx-info: {author: x}").starts_with("invalid-data: "));
  CHECK(now("output-type: cyclonedx").starts_with("invalid-data: "));

  CHECK(key_of("collect_manifest", 1, "{path: /m.json, output-type: spdx}") ==
        R"({"path":"/m.json"})");
}

TEST_CASE("flatpak_image: its key has the lists sorted") {
  const auto key = [](std::string_view text) { return key_of("flatpak_image", 0, text); };
  CHECK(
      key("{directory: /usr, include: [b, a], exclude: [z, debug], component-ids: [],"
          " metadata: {Runtime: {sdk: s, name: n}, ExtensionOf: {}}}") ==
      R"({"directory":"/usr","exclude":["debug","z"],"include":["a","b"],"metadata":{"ExtensionOf":{},"Runtime":{"name":"n","sdk":"s"}},"version":4})");
  CHECK(
      key("{directory: /app, include: [], exclude: [], component-ids: [q, c], metadata: "
          "{Application: {}}}") ==
      R"({"component-ids":["q","c"],"directory":"/app","exclude":[],"include":[],"metadata":{"Application":{}},"version":4})");
  CHECK(key("{directory: /app, include: [], exclude: [], component-ids: [], metadata: {Applicatio: "
            "{}}}") == ": Either Application or Runtime section must be present in metadata");
  CHECK(key("{directory: /app, include: [], exclude: [], component-ids: [], metadata: {}, export: "
            "[]}")
            .starts_with("invalid-data: "));
}

}  // namespace
}  // namespace sluice::loader
