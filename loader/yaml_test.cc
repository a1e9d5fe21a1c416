#include <fstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "loader/yaml_parse.h"

namespace sluice::loader {
namespace {

using Json = nlohmann::json;

Json to_json(const Node& node) {
  const std::string place = fmt::format("{}:{}", node.mark.line + 1, node.mark.column);
  if (node.is_scalar()) return Json::array({"s", place, std::string(node.text)});
  if (node.is_list()) {
    Json items = Json::array();
    for (const Node* item : node.items()) items.push_back(to_json(*item));
    return Json::array({"l", place, items});
  }
  Json entries = Json::object();
  for (const Entry& entry : node.entries()) entries[std::string(entry.key)] = to_json(*entry.value);
  return Json::array({"m", place, entries});
}

TEST_CASE("YAML is read and refused as BuildStream reads and refuses it") {
  std::ifstream stream(SLUICE_GOLDEN_DIR "/yaml.jsonl");
  int accepted = 0;
  int refused = 0;
  for (std::string line; std::getline(stream, line);) {
    const Json sample = Json::parse(line);
    const std::string text = sample[0];
    INFO(sample[0].dump());
    Arena arena;
    const File file{"test.yml", "test.yml"};
    const auto node = parse_yaml(arena, file, text);
    if (sample[1].is_null()) {
      ++refused;
      REQUIRE_FALSE(node);
      CHECK(node.error().reason == "invalid-yaml");
      CHECK(node.error().provenance.line > 0);
    } else {
      ++accepted;
      if (!node) FAIL(node.error().str());
      REQUIRE(to_json(**node) == sample[1]);
    }
  }
  CHECK(accepted > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("what no project should hold is refused with its place") {
  Arena arena;
  const File file{"test.yml", "test.yml"};
  const auto refused = [&](std::string_view text) {
    const auto node = parse_yaml(arena, file, text);
    REQUIRE_FALSE(node);
    CHECK(node.error().reason == "invalid-yaml");
    return fmt::format("{}:{}", node.error().provenance.line, node.error().provenance.column);
  };
  CHECK(refused("a: b\nc: \xff\n") == "2:3");
  CHECK(refused("a: \xed\xa0\x80\n") == "1:3");                   // a surrogate
  CHECK(refused(std::string("a: b\0c\n", 7)) == "1:4");
  CHECK(refused("a: b\n%{variable}\n") == "2:0");
  CHECK(refused("a: one\xe2\x80\xa8two\n") == "1:6");              // a line separator, unescaped
  CHECK(refused("a: &x 1\nb: *x\n") == "1:3");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "[";
  refused("a: " + deep);
  std::string maps = "a: ";
  for (int i = 0; i < 100'000; ++i) maps += "{a: ";
  refused(maps);
}

TEST_CASE("white space of all kinds is stripped") {
  CHECK(strip(" \t\n a b \r\n") == "a b");
  CHECK(strip("\xc2\xa0\xe2\x80\x83 x\xe3\x80\x80") == "x");
  CHECK(strip(" \xc2\x85 ").empty());
  CHECK(strip("").empty());
  CHECK(strip("\xc3\xa9") == "\xc3\xa9");
}

}  // namespace
}  // namespace sluice::loader
