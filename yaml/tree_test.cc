// Trees, their typed access, composition, and JSON.
#include "yaml/tree.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "yaml/json.h"
#include "yaml/parse.h"
#include "yaml/yaml_compose.h"

namespace sluice::yaml {
namespace {

class Yaml {
 public:
  Node* operator()(std::string_view text) {
    auto node = parse_yaml(arena, file, text);
    if (!node) FAIL(node.error().str());
    return *node;
  }

  Arena arena;
  File file{"test.yml", "test.yml"};
};

std::string json(const Node& node) {
  std::string text;
  json_node(text, node);
  return text;
}

TEST_CASE("maps keep order, large ones find as small ones do") {
  Arena arena;
  Node* map = make_map(arena);
  for (int i = 0; i < 1000; ++i)
    map->set(arena, arena.copy(fmt::format("key{}", i * 7919 % 1000)),
             make_scalar(arena, arena.copy(std::to_string(i))));
  REQUIRE(map->size() == 1000);
  for (int i = 0; i < 1000; ++i) {
    Node* value = map->find(fmt::format("key{}", i * 7919 % 1000));
    REQUIRE(value != nullptr);
    CHECK(value->text == std::to_string(i));
  }
  for (int i = 0; i < 1000; i += 2) map->remove(fmt::format("key{}", i));
  REQUIRE(map->size() == 500);
  for (int i = 0; i < 1000; ++i) CHECK(map->contains(fmt::format("key{}", i)) == (i % 2 == 1));
  map->set(arena, "key0", make_scalar(arena, "again"));
  CHECK(map->entries().back().key == "key0");
  CHECK(map->entries().front().key == "key919");
}

TEST_CASE("a clone with its texts outlives the arena of the original") {
  Arena arena;
  Node* copy = nullptr;
  std::string expected;
  {
    Arena scratch;
    Node* map = make_map(scratch);
    Node* list = make_list(scratch);
    list->append(scratch, make_scalar(scratch, scratch.copy("item")));
    list->append(scratch, make_scalar(scratch, ""));
    for (int i = 0; i < 20; ++i)
      map->set(scratch, scratch.copy(fmt::format("key{}", i)),
               make_scalar(scratch, scratch.copy(std::to_string(i))));
    map->set(scratch, scratch.copy("list"), list);
    copy = clone_with_texts(arena, *map);
    expected = json(*map);
    scratch.reset();
    const std::string_view other = scratch.copy(std::string(4000, '#'));
    CHECK(other.front() == '#');
  }
  CHECK(json(*copy) == expected);
  REQUIRE(copy->find("key17") != nullptr);
  CHECK(copy->find("key17")->text == "17");
  CHECK(copy->find("list")->items()[0]->text == "item");
  CHECK(copy->find("missing") == nullptr);
}

TEST_CASE("typed access says what and where") {
  Yaml yaml;
  const Node& map =
      *yaml("a: text\nb: [1, {x: y}]\nc: {}\nint: 1_000\nbig: 99999999999999999999\nbool: yes\n");
  CHECK(*get_string(map, "a") == "text");
  CHECK(*get_int(map, "int") == 1000);
  CHECK_FALSE(get_int(map, "big"));
  CHECK(get_list(map, "a").error().str() ==
        "test.yml [line 1 column 3]: Value of 'a' is not of the expected type 'list'");
  CHECK(get_map(map, "zz").error().str() ==
        "test.yml [line 1 column 0]: Dictionary did not contain expected key 'zz'");
  CHECK(get_strings(map, "b").error().str() ==
        "test.yml [line 2 column 7]: List item is not of the expected type 'scalar'");
  CHECK(get_bool(map, "bool").error().message ==
        "Value of 'bool' is not of the expected type 'boolean'");
  CHECK(validate_keys(map, {"a", "b"}).error().str() ==
        "test.yml [line 3 column 3]: Unexpected key: c");
}

TEST_CASE("composition") {
  Yaml yaml;
  const auto composed = [&](std::string_view below, std::string_view above) {
    Node* target = yaml(below);
    const auto status = compose(yaml.arena, *yaml(above), *target);
    return status ? json(*target) : status.error().reason;
  };
  SECTION("scalars, lists and maps") {
    CHECK(composed("a: 1\nb: 2", "b: 3\nc: 4") == R"j({"a":"1","b":"3","c":"4"})j");
    CHECK(composed("a: {b: 1, c: 2}", "a: {c: 3}") == R"j({"a":{"b":"1","c":"3"}})j");
    CHECK(composed("a: [1]", "a: [2]") == R"j({"a":["2"]})j");
    CHECK(composed("a: [1]", "a: 1") == "illegal-composite");
    CHECK(composed("a: 1", "a: [1]") == "illegal-composite");
    CHECK(composed("a: 1", "a: {b: c}") == "illegal-composite");
  }
  SECTION("list directives") {
    CHECK(composed("a: [1]", "a: {(>): [2], (<): [0]}") == R"j({"a":["0","1","2"]})j");
    CHECK(composed("a: [1]", "a: {(=): [2], (>): [3], (<): [0]}") == R"j({"a":["0","2","3"]})j");
    CHECK(composed("a: {(>): [1]}", "a: {(>): [2], (<): [0]}") ==
          R"j({"a":{"(<)":["0"],"(>)":["1","2"]}})j");
    CHECK(composed("a: {(>): [1], (<): [0]}", "a: {(=): [2]}") ==
          R"j({"a":{"(<)":[],"(=)":["2"],"(>)":[]}})j");
    CHECK(composed("a: {(>): [1]}", "a: [2]") == R"j({"a":["2"]})j");
    CHECK(composed("b: 1", "a: {(>): [2]}") == R"j({"a":{"(>)":["2"]},"b":"1"})j");
    CHECK(composed("a: {b: c}", "a: {(>): [2]}") == "illegal-composite");
    CHECK(composed("a: []", "a: {(>): [2], b: c}") == "invalid-data");
    CHECK(composed("a: []", "a: {(>): x}") == "invalid-data");
  }
  SECTION("conditionals pile up") {
    CHECK(composed("(?): [{a: {}}]", "(?): [{b: {}}]") == R"j({"(?)":[{"a":{}},{"b":{}}]})j");
  }
  SECTION("what is below an include loses") {
    Node* target = yaml("b: 2\na: {x: 1}");
    REQUIRE(compose_under(yaml.arena, *yaml("c: 9\nb: 8\na: {x: 7, y: 6}"), *target));
    CHECK(json(*target) == R"j({"a":{"x":"1","y":"6"},"b":"2","c":"9"})j");
    CHECK(target->entries().front().key == "b");
  }
  SECTION("directives that found nothing") {
    CHECK(assert_composited(*yaml("a: [{b: {(>): [1]}}]")).error().reason ==
          "trailing-list-directive");
    CHECK(assert_composited(*yaml("a: [{b: [1]}]")));
  }
}

TEST_CASE("JSON as ujson writes it") {
  std::string text;
  json_string(text, "\x7f\xe2\x82\xac\xf0\x9f\x98\x80<>&/\"\\\n\x01\b\f\r\t");
  CHECK(text == "\"\x7f\\u20ac\\ud83d\\ude00<>&/\\\"\\\\\\n\\u0001\\b\\f\\r\\t\"");
  Yaml yaml;
  CHECK(json(*yaml("b: []\na: {}\nZ: [{d: 1, c: 2}]\n\xc3\xa9: 1\n")) ==
        R"j({"Z":[{"c":"2","d":"1"}],"a":{},"b":[],"\u00e9":"1"})j");
}

}  // namespace
}  // namespace sluice::yaml
