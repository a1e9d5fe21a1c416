#include "cli/cache_key_changes.h"

#include <catch2/catch.hpp>

namespace sluice::cli {
namespace {

// "what where: before -> after", a line for each.
std::string told(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) {
    out += change.what + " " + change.where + ": " + change.before.value_or("(none)") + " -> " +
           change.after.value_or("(none)") + "\n";
  }
  return out;
}

std::string compare(const std::string& before, const std::string& after,
                    const model::ElementBody& now = {}) {
  const auto changes = compare_key_inputs(before, after, now);
  return changes ? told(*changes) : changes.error().message;
}

TEST_CASE("Each part of a key has its name") {
  CHECK(compare(R"({"core-artifact-version":11,"element-plugin-version":1})",
                R"({"core-artifact-version":12,"element-plugin-version":2})") ==
        "plugin-version : 1 -> 2\nformat : 11 -> 12\n");
  CHECK(compare(R"({"element-base-key":{"build-root":"/a"}})",
                R"({"element-base-key":{"build-root":"/b"}})") == "build-root : /a -> /b\n");
  CHECK(compare(R"({"element-plugin-name":"make","environment":{"A":"1","B":"2"}})",
                R"({"element-plugin-name":"manual","environment":{"A":"2","C":"2"}})") ==
        "kind : make -> manual\nenvironment A: 1 -> 2\nenvironment B: 2 -> (none)\nenvironment C: "
        "(none) -> 2\n");
  CHECK(compare(R"({"sandbox":{"build-os":"linux"}})", R"({})") ==
        "sandbox : {\"build-os\":\"linux\"} -> (none)\n");
  CHECK(compare(R"({"public":{"bst":{"x":["a"]}}})", R"({"public":{"bst":{"x":["a","b"]}}})") ==
        "public bst.x[1]: (none) -> b\n");
  CHECK(compare(R"({"fatal-warnings":[]})", R"({"fatal-warnings":["overlaps"]})") ==
        "fatal-warnings [0]: (none) -> overlaps\n");
  CHECK(compare(R"({"a":1})", R"({"a":1})").empty());
  CHECK(compare("[]", "{}") == "What a key was made of can't be read");
  CHECK(compare("{", "{}") == "What a key was made of can't be read");
}

TEST_CASE("Of lists what changed, was put in or taken out") {
  const auto config = [](const std::string& commands) {
    return R"({"element-plugin-key":{"build-commands":)" + commands + "}}";
  };
  CHECK(compare(config(R"(["a","b","c"])"), config(R"(["a","x","c"])")) ==
        "config build-commands[1]: b -> x\n");
  CHECK(compare(config(R"(["a","c"])"), config(R"(["a","b","c"])")) ==
        "config build-commands[1]: (none) -> b\n");
  CHECK(compare(config(R"(["a","b","c"])"), config(R"(["a","c"])")) ==
        "config build-commands[1]: b -> (none)\n");
  CHECK(compare(config(R"("a")"), config(R"(["a"])")) == "config build-commands: a -> [\"a\"]\n");
}

TEST_CASE("Changes of sources are told by the source's fields") {
  model::ElementBody now;
  now.sources.resize(2);
  now.sources[0].kind = "local";
  now.sources[0].path = "/project/files";
  now.sources[0].local_digest = {"bbb", 1};
  now.sources[1].kind = "tar";
  now.sources[1].ref = model::Node::make_scalar("222");
  now.sources[1].original_url = "up:b";
  CHECK(
      compare(
          R"({"sources":[{"key":"aaa","name":"local"},{"key":["up:a","111",""],"name":"tar"}]})",
          R"({"sources":[{"directory":"d","key":"bbb","name":"local"},{"key":["up:b","222",""],"name":"tar"}]})",
          now) ==
      "source 1 (local): directory:  -> d\n"
      "source 1 (local): content of /project/files: aaa -> bbb\n"
      "source 2 (tar): url: up:a -> up:b\n"
      "source 2 (tar): ref: 111 -> 222\n");
  CHECK(compare(R"({"sources":[]})", R"({"sources":[{"key":"bbb","name":"local"}]})", now) ==
        "source 1 (local): (none) -> {\"key\":\"bbb\",\"name\":\"local\"}\n");
}

TEST_CASE("Maps and lines") {
  CHECK(told(compare_maps("variable", {{"a", "1"}, {"b", "2"}}, {{"b", "3"}, {"c", "4"}})) ==
        "variable a: 1 -> (none)\nvariable b: 2 -> 3\nvariable c: (none) -> 4\n");
  using Lines = std::vector<std::string>;
  CHECK(changed_lines({"config", "", "one", "two"}) == Lines{"- one", "+ two"});
  CHECK(changed_lines({"config", "", "a\nb\nc\n", "a\nx\ny\nc\n"}) == Lines{"- b", "+ x", "+ y"});
  CHECK(changed_lines({"config", "", "a\nb\n", "a\nb\nb\n"}) == Lines{"+ b"});
  CHECK(changed_lines({"config", "", std::nullopt, "a"}) == Lines{"+ a"});
  CHECK(changed_lines({"config", "", "a", "a\n"}) == Lines{"- a", "+ a"});
}

TEST_CASE("What is nested deeply is compared as a whole, and what is without end isn't") {
  const auto nested = [](int depth, char value) {
    return "{\"public\":" + std::string(depth, '[') + value + std::string(depth, ']') + "}";
  };
  const auto changes = compare_key_inputs(nested(499, '1'), nested(499, '2'), {});
  REQUIRE(changes);
  CHECK(changes->size() == 1);
  // Deeper than what BuildStream loads of a project.
  for (const int depth : {500, 5'000'000})
    CHECK(compare_key_inputs(nested(depth, '1'), nested(depth, '2'), {}).error().reason ==
          "bad-key-inputs");
}

}  // namespace
}  // namespace sluice::cli
