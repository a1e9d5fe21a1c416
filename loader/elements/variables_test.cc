#include "loader/elements/variables.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "loader/yaml.h"
#include "yaml/json.h"

namespace sluice::loader {
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

TEST_CASE("variables") {
  Yaml yaml;
  Node* map = yaml("a: '%{b}-%{c}'\nb: 'x%{c}'\nc: y\nnot: '%{1} %{} %{ a} %{a b} %a{c}'\n");
  auto variables = Variables::create(yaml.arena, *map);
  REQUIRE(variables);
  REQUIRE(variables->check());
  CHECK(**variables->get("a") == "xy-y");
  CHECK(**variables->get("not") == "%{1} %{} %{ a} %{a b} %a{c}");
  CHECK_FALSE(variables->get("none")->has_value());
  Node* tree = yaml("k: ['%{a}', {m: 'a%{c}a'}]\n");
  REQUIRE(variables->expand(*tree));
  CHECK(json(*tree) == R"j({"k":["xy-y",{"m":"aya"}]})j");
  CHECK(variables->expand(*yaml("k:\n- '%{zz}'\n")).error().str() ==
        "test.yml [line 2 column 2]: Reference to undefined variable 'zz'");
}

TEST_CASE("variables: chains and growth have no way to hurt") {
  Yaml yaml;
  Node* chain = make_map(yaml.arena);
  constexpr int kLength = 100'000;
  for (int i = 0; i < kLength; ++i) {
    chain->set(
        yaml.arena, yaml.arena.copy(fmt::format("v{}", i)),
        make_scalar(yaml.arena,
                    yaml.arena.copy(i + 1 == kLength ? "end" : fmt::format("%{{v{}}}", i + 1))));
  }
  auto variables = Variables::create(yaml.arena, *chain);
  REQUIRE(variables->check());
  CHECK(**variables->get("v0") == "end");
  chain->set(yaml.arena, fmt::format("v{}", kLength - 1), make_scalar(yaml.arena, "%{v0}"));
  variables = Variables::create(yaml.arena, *chain);
  CHECK(variables->check().error().reason == "circular-reference-variable");

  Node* doubling = make_map(yaml.arena);
  for (int i = 0; i < 60; ++i) {
    doubling->set(
        yaml.arena, yaml.arena.copy(fmt::format("v{}", i)),
        make_scalar(yaml.arena, yaml.arena.copy(fmt::format("%{{v{}}}%{{v{}}}", i + 1, i + 1))));
  }
  doubling->set(yaml.arena, "v60", make_scalar(yaml.arena, "xxxxxxxxxx"));
  variables = Variables::create(yaml.arena, *doubling);
  CHECK(variables->check().error().reason == "unresolved-variable");
}

}  // namespace
}  // namespace sluice::loader
