#include "yaml/parse.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "yaml/dump.h"
#include "yaml/simple.h"

namespace sluice::yaml {
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

// Whether a text is simple. If it is, the two ways of reading must agree on it.
bool check_simple(std::string_view text) {
  Arena arena;
  const File file{"test.yml", "test.yml"};
  const Node* simple = parse_simple_yaml(arena, file, text);
  if (simple == nullptr) return false;
  INFO(text);
  const auto full = parse_full_yaml(arena, file, text);
  if (!full) FAIL(full.error().str());
  REQUIRE(to_json(*simple).dump() == to_json(**full).dump());
  return true;
}

TEST_CASE("simple files are read as all others are") {
  std::ifstream stream(SLUICE_GOLDEN_DIR "/yaml.jsonl");
  int simple = 0;
  for (std::string line; std::getline(stream, line);)
    simple += check_simple(std::string(Json::parse(line)[0]));
  CHECK(simple > 100);
  int files = 0;
  simple = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLUICE_SOURCE_DIR)) {
    const std::string extension = entry.path().extension();
    if (extension == ".git" || extension == ".jsonl" || !entry.is_regular_file()) continue;
    if (extension != ".bst" && extension != ".conf" && extension != ".yaml" && extension != ".yml")
      continue;
    std::ifstream source(entry.path());
    const std::string text(std::istreambuf_iterator<char>(source), {});
    ++files;
    simple += check_simple(text);
  }
  CHECK(files > 50);
  CHECK(simple * 2 > files);
}

TEST_CASE("simple files with anything changed are read as all others are") {
  const std::string text =
      "# a comment\nkind: manual\n\n(@):\n- include/a.yml\n\ndepends:\n- filename: a.bst\n  type: "
      "build\n  \n- b.bst # why\n"
      "variables:\n    a-b: '%{prefix}/it''s'\n    flags: >-\n      -O2\n      --with=x\n    list: "
      "[a, b-c, 'd e' , \"f\"]\n    none: {}\n"
      "config:\n  commands:\n  - |\n    if true; then\n      echo: \"x\"   \n\n    fi\n  - make "
      "-j4\n  (>):\n    - \"quoted # text\"\n"
      "empty:\nflavour == \"x\":\n    deep: url://x\n";
  REQUIRE(check_simple(text));
  std::mt19937 random(1);
  const std::string_view characters = " \n\n  -:#'\"|>[]{},?&*!%@`~ab0._nul\t";
  int simple = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string changed = text;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % changed.size();
      switch (random() % 4) {
        case 0: changed.erase(at, 1 + random() % 4); break;
        case 1: changed.insert(at, 1, characters[random() % characters.size()]); break;
        case 2: changed[at] = characters[random() % characters.size()]; break;
        default:
          changed.insert(at, changed.substr(random() % changed.size(), random() % 12));
          break;
      }
    }
    simple += check_simple(changed);
  }
  CHECK(simple > 10'000);
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
  CHECK(refused("a: \xed\xa0\x80\n") == "1:3");  // a surrogate
  CHECK(refused(std::string("a: b\0c\n", 7)) == "1:4");
  CHECK(refused("a: b\n%{variable}\n") == "2:0");
  CHECK(refused("a: one\xe2\x80\xa8two\n") == "1:6");  // a line separator, unescaped
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
}  // namespace sluice::yaml
