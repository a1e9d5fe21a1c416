#include <catch2/catch.hpp>

#include "loader/expression.h"

namespace sluice::loader {
namespace {

ValueMap options() {
  ValueMap names;
  names["yes"] = Value{true};
  names["no"] = Value{false};
  names["arch"] = Value{std::string("x86-64")};
  names["flags"] = Value{ValueList{Value{std::string("a")}, Value{std::string("b")}}};
  return names;
}

bool holds(std::string_view expression) {
  const auto result = evaluate(expression, options());
  if (!result) FAIL(result.error().str());
  return *result;
}

std::string refused(std::string_view expression) {
  const auto result = evaluate(expression, options());
  REQUIRE_FALSE(result);
  CHECK(result.error().domain == "load");
  CHECK(result.error().reason == "expression-failed");
  return result.error().message;
}

TEST_CASE("expressions") {
  CHECK(holds("yes"));
  CHECK_FALSE(holds("no"));
  CHECK(holds("not no and yes"));
  CHECK(holds("no or not (no and yes)"));
  CHECK(holds("arch == 'x86-64'"));
  CHECK(holds("arch != \"aarch64\""));
  CHECK(holds("arch in ['aarch64', 'x86-64']"));
  CHECK(holds("arch in ('x86-64', 'x')"));
  CHECK(holds("arch not in [\"aarch64\"]"));
  CHECK(holds("'86' in arch"));
  CHECK(holds("'a' in flags and 'c' not in flags"));
  CHECK(holds("flags[0] == 'a'"));
  CHECK(holds("flags[-1] == 'b'"));
  CHECK(holds("1 < 2 <= 2 != 3"));
  CHECK_FALSE(holds("1 < 2 < 2"));
  CHECK(holds("'a' < 'b'"));
  CHECK(holds("yes == true and no == False"));
  CHECK(holds("yes if no else yes"));
  CHECK(holds("'x' ~ 'y' == 'x' + 'y'"));
  CHECK(holds("[1] + [2] == [1, 2]"));
  CHECK(holds("missing is not defined and yes is defined"));
  CHECK_FALSE(holds("''"));
  CHECK_FALSE(holds("[]"));
  CHECK_FALSE(holds("none"));
  CHECK(holds("'it\\'s' == \"it's\""));
}

TEST_CASE("what is not reached is not evaluated") {
  CHECK(holds("yes or missing"));
  CHECK_FALSE(holds("no and missing == 'x'"));
  CHECK(refused("yes and missing").find("'missing' is undefined") != std::string::npos);
  CHECK(refused("missing == 'x'").find("'missing' is undefined") != std::string::npos);
}

TEST_CASE("expressions that are none") {
  for (const char* text : {"", "yes and", "(yes", "yes)", "yes yes", "'open", "== 1", "a b", "not", "[1, 2", "{'a': 1}", "#", "1 < 'a'",
                           "flags[9]", "flags['a']", "yes[0]", "-'a'", "in", "1 +", "yes if", "?"}) {
    INFO(text);
    refused(text);
  }
  CHECK(refused("arch | upper").find("filters") != std::string::npos);
  CHECK(refused("arch.upper()").find("attributes") != std::string::npos);
  CHECK(refused("range(3)").find("calls") != std::string::npos);
  CHECK(refused("2 * 3 == 6").find("arithmetic") != std::string::npos);
  CHECK(refused("arch is string").find("'string' is not supported") != std::string::npos);
  refused(std::string(100'000, '('));
  refused(std::string(100'000, '-') + "1");
  std::string nots;
  for (int i = 0; i < 100'000; ++i) nots += "not ";
  refused(nots + "yes");
}

}  // namespace
}  // namespace sluice::loader
