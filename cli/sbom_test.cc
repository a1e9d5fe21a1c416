#include "cli/sbom.h"

#include <cstdlib>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "wire/snapshot.h"

namespace sluice::cli {

namespace {

using Json = nlohmann::json;
using model::Node;

const std::string kSum(64, 'a');
const std::string kCommit(40, 'c');

model::Source source(const std::string& kind, const std::string& url, Node ref, Node config = {}) {
  model::Source out;
  out.kind = kind;
  out.url = out.original_url = url;
  out.ref = std::move(ref);
  out.config = config.is_map() ? std::move(config) : Node::make_map();
  return out;
}

Node map(model::NodeMap entries) { return Node::make_map(std::move(entries)); }
Node text(std::string value) { return Node::make_scalar(std::move(value)); }

// tool <-(build)- lib <-(runtime)- image, which is composed of app; app <-(build)- tool
struct Project {
  LoadedProject loaded;
  std::vector<std::string> warnings;

  void add(const std::string& name, const std::string& kind, std::vector<model::Source> sources,
           std::vector<model::Dependency> dependencies, Node public_data = {}) {
    model::Element element;
    element.name = element.full_name = name;
    element.kind = kind;
    element.keys.full = std::string(64, static_cast<char>('1' + loaded.snapshot.elements.size()));
    element.dependencies = std::move(dependencies);
    model::ElementBody body;
    body.sources = std::move(sources);
    body.public_data = public_data.is_map() ? std::move(public_data) : Node::make_map();
    element.body = wire::pack_body(body);
    loaded.selection.push_back(static_cast<model::ElementIndex>(loaded.snapshot.elements.size()));
    loaded.snapshot.elements.push_back(std::move(element));
  }
  Project() {
    loaded.snapshot.projects.push_back({.name = "a project", .directory = "/nowhere"});
    model::Source tar = source("tar", "https://me:secret@host/zlib-1.3.tar.gz", text(kSum),
                               map({{"provenance", map({{"homepage", text("https://zlib.net")},
                                                        {"license", text("Zlib")},
                                                        {"team", text("core")}})}}));
    model::Source git = source("git", "https://github.com/o/n.git", map({{"ref", text(kCommit)}}),
                               map({{"url", text("hub:o/n.git")}}));
    model::Source patch = source("patch_queue", "", {}, map({{"path", text("patches")}}));
    model::Source plugin = source("npm", "https://npm.example/left-pad", text("x"));
    plugin.plugin.file = "plugins/npm.py";
    model::Source no_ref = source("tar", "https://host/later.tar", {});
    add("tool.bst", "manual", {git}, {});
    add("lib.bst", "manual", {tar, patch}, {{.element = 0, .build = true}},
        map({{"cpe", map({{"vendor", text("zlib")}, {"product", text("zlib+")}})}}));
    add("app.bst", "manual", {git, plugin, no_ref}, {{.element = 0, .build = true}});
    add("image.bst", "compose", {},
        {{.element = 1, .runtime = true}, {.element = 2, .build = true}});
    loaded.snapshot.targets = {3};
  }
  Bom bom() {
    warnings.clear();
    auto made = collect_bom(
        loaded,
        [](const model::Element&, const model::Source&) -> sources::Infos {
          return std::vector<sources::Info>();
        },
        [&](const std::string& warning) { warnings.push_back(warning); });
    INFO((made ? "" : made.error().str()));
    REQUIRE(made);
    return std::move(*made);
  }
};

Json package(const Json& document, const std::string& name) {
  for (const Json& package : document["packages"]) {
    if (package["name"] == name) return package;
  }
  FAIL("no package " << name);
  return {};
}

}  // namespace

TEST_CASE("a bill has what comes with the targets, and what was there to build, told apart") {
  Project project;
  const Bom bom = project.bom();
  std::vector<std::string> roles;
  for (const BomElement& element : bom.elements)
    roles.push_back(element.name + " " + std::string(text_of(element.role)));
  CHECK(roles == std::vector<std::string>{"tool.bst build", "lib.bst runtime", "app.bst runtime",
                                          "image.bst target"});
  CHECK(bom.elements[1].version == "1.3");
  CHECK(bom.elements[1].cpe == "cpe:2.3:a:zlib:zlib\\+:1.3:*:*:*:*:*:*:*");
  // What two elements come from is one, and comes along with the one of them.
  CHECK(bom.sources.size() == 5);
  CHECK(bom.sources[0].purl == "pkg:github/o/n@" + kCommit);
  CHECK(bom.sources[0].location() == "git+https://github.com/o/n.git@" + kCommit);
  CHECK_FALSE(bom.sources[0].build_only);
  CHECK(bom.sources[1].url == "https://host/zlib-1.3.tar.gz");
  CHECK(bom.sources[1].sha256() == kSum);
  CHECK(bom.sources[1].license == "Zlib");
  CHECK(bom.sources[2].patch);
  CHECK(project.warnings.size() == 2);
}

TEST_CASE("nothing is left out: what isn't known of a source is said of it") {
  Project project;
  const Json spdx = Json::parse(spdx_text(project.bom()));
  const Json plugin = package(spdx, "left-pad");
  CHECK(plugin["downloadLocation"] == "https://npm.example/left-pad");
  CHECK(plugin["annotations"][0]["comment"] ==
        "Sources of kind 'npm' don't say where they come from");
  CHECK(package(spdx, "patches")["downloadLocation"] == "NOASSERTION");
  CHECK(package(spdx, "later.tar")["annotations"][0]["comment"] ==
        "It has no ref: what will be used isn't known");
  CHECK(package(spdx, "lib.bst")["licenseDeclared"] == "NOASSERTION");
  const Json tar = package(spdx, "zlib-1.3.tar.gz");
  CHECK(tar["licenseDeclared"] == "Zlib");
  CHECK(tar["checksums"][0]["checksumValue"] == kSum);
  CHECK(spdx.dump().find("secret") == std::string::npos);
}

TEST_CASE("relations are those of builds, of run time, of what is composed, and of sources") {
  Project project;
  const Json spdx = Json::parse(spdx_text(project.bom()));
  std::map<std::string, std::string> names{{"SPDXRef-DOCUMENT", "DOCUMENT"}};
  for (const Json& package : spdx["packages"]) names[package["SPDXID"]] = package["name"];
  std::set<std::string> relations;
  for (const Json& relation : spdx["relationships"]) {
    REQUIRE(names.contains(relation["spdxElementId"]));
    REQUIRE(names.contains(relation["relatedSpdxElement"]));
    relations.insert(names[relation["spdxElementId"]] + " " +
                     relation["relationshipType"].get<std::string>() + " " +
                     names[relation["relatedSpdxElement"]]);
  }
  for (const char* expected :
       {"DOCUMENT DESCRIBES image.bst", "tool.bst BUILD_DEPENDENCY_OF lib.bst",
        "image.bst DEPENDS_ON lib.bst", "image.bst CONTAINS app.bst",
        "lib.bst GENERATED_FROM zlib-1.3.tar.gz", "patches PATCH_FOR lib.bst"}) {
    INFO(expected);
    CHECK(relations.contains(expected));
  }
  CHECK(relations.size() == 12);
  // Without the target: what it was made of.
  Bom parts = project.bom();
  parts.targets.clear();
  parts.elements.pop_back();
  std::vector<std::string> described;
  const Json of_parts = Json::parse(spdx_text(parts));
  for (const Json& relation : of_parts["relationships"]) {
    if (relation["relationshipType"] == "DESCRIBES")
      described.push_back(names[relation["relatedSpdxElement"]]);
  }
  CHECK(described == std::vector<std::string>{"lib.bst", "app.bst"});

  const Json cyclonedx = Json::parse(cyclonedx_text(project.bom()));
  CHECK(cyclonedx["metadata"]["component"]["name"] == "image.bst");
  std::map<std::string, Json> components;
  for (const Json& component : cyclonedx["components"]) components[component["name"]] = component;
  CHECK(components.size() == 8);
  CHECK(components["tool.bst"]["scope"] == "excluded");
  CHECK(components["lib.bst"]["scope"] == "required");
  CHECK(components["zlib-1.3.tar.gz"]["hashes"][0] == Json{{"alg", "SHA-256"}, {"content", kSum}});
  CHECK(components["patches"]["type"] == "file");
  CHECK(cyclonedx["dependencies"].size() == 9);
}

TEST_CASE("the same gives the same bytes, another key another document; times are said or fixed") {
  Project project;
  ::unsetenv("SOURCE_DATE_EPOCH");
  const std::string first = spdx_text(project.bom());
  CHECK(first == spdx_text(project.bom()));
  CHECK(Json::parse(first)["creationInfo"]["created"] == "2011-11-11T11:11:11Z");
  const std::string other = cyclonedx_text(project.bom());
  CHECK(other == cyclonedx_text(project.bom()));
  CHECK_FALSE(Json::parse(other)["metadata"].contains("timestamp"));
  ::setenv("SOURCE_DATE_EPOCH", "1", 1);
  CHECK(Json::parse(spdx_text(project.bom()))["creationInfo"]["created"] == "1970-01-01T00:00:01Z");
  CHECK(Json::parse(cyclonedx_text(project.bom()))["metadata"]["timestamp"] ==
        "1970-01-01T00:00:01Z");
  ::setenv("SOURCE_DATE_EPOCH", "soon", 1);
  const auto bad = collect_bom(project.loaded, {}, {});
  REQUIRE_FALSE(bad);
  CHECK(bad.error().reason == "bad-time");
  ::unsetenv("SOURCE_DATE_EPOCH");
  project.loaded.snapshot.elements[0].keys.full = std::string(64, '9');
  const std::string changed = spdx_text(project.bom());
  CHECK(Json::parse(changed)["documentNamespace"] != Json::parse(first)["documentNamespace"]);
  CHECK(Json::parse(cyclonedx_text(project.bom()))["serialNumber"] !=
        Json::parse(other)["serialNumber"]);
}

}  // namespace sluice::cli
