#include "loader/python/expression.h"

#include <utility>

#include <catch2/catch.hpp>

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
  CHECK(holds("(yes if no else yes)"));
  CHECK(holds("'x' ~ 'y' == 'x' + 'y'"));
  CHECK(holds("[1] + [2] == [1, 2]"));
  CHECK(holds("missing is not defined and yes is defined"));
  CHECK_FALSE(holds("''"));
  CHECK_FALSE(holds("[]"));
  CHECK_FALSE(holds("{}"));
  CHECK_FALSE(holds("[1] == (1,)"));
  CHECK_FALSE(holds("none"));
  CHECK(holds("'it\\'s' == \"it's\""));
}

// The expected values are what Jinja2 3.1.6 says in an environment like BuildStream's.
TEST_CASE("expressions as Jinja2 evaluates them") {
  static constexpr std::pair<std::string_view, bool> kExpressions[] = {
      {R"(arch is in ["aarch64", "x86-64"])", true},
      {R"(arch is not in ["aarch64", "x86-64"])", false},
      {R"(arch is in(["x86-64"]))", true},
      {R"(arch is eq "x86-64")", true},
      {R"(arch is equalto("x86-64"))", true},
      {R"(arch is ne "x86-64")", false},
      {R"(2 is lt 3)", true},
      {R"(2 is ge 3)", false},
      {R"(arch is string)", true},
      {R"(flags is string)", false},
      {R"(arch is lower)", true},
      {R"(arch is upper)", false},
      {R"("A1" is upper)", true},
      {R"(yes is sameas true)", true},
      {R"(arch is sameas true)", false},
      {R"(none is sameas none)", true},
      {R"(flags is sequence)", true},
      {R"(yes is sequence)", false},
      {R"(flags is iterable)", true},
      {R"({"a": 1} is mapping)", true},
      {R"(flags is mapping)", false},
      {R"(none is none)", true},
      {R"(missing is none)", false},
      {R"(yes is number)", true},
      {R"(yes is integer)", false},
      {R"(1.5 is float)", true},
      {R"(no is boolean)", true},
      {R"(yes is true)", true},
      {R"(yes is false)", false},
      {R"(3 is odd)", true},
      {R"(6 is divisibleby 3)", true},
      {R"("upper" is filter)", true},
      {R"("nosuch" is filter)", false},
      {R"(arch.upper is callable)", true},
      {R"(missing is undefined)", true},
      {R"(not arch is string)", false},
      {R"(arch | upper == "X86-64")", true},
      {R"(arch | length == 6)", true},
      {R"(flags | length > 1)", true},
      {R"(flags | first == "a")", true},
      {R"(flags | last == "a")", false},
      {R"(flags | join("-") == "a-b")", true},
      {R"(flags | map("upper") | join == "AB")", true},
      {R"(flags | select("equalto", "a") | list == ["a"])", true},
      {R"(flags | reject("in", ["a", "b"]) | list)", false},
      {R"(flags | sort(reverse=true) | first == "b")", true},
      {R"(missing | default("z") == "z")", true},
      {R"(missing | d)", false},
      {R"("" | default("z", true) == "z")", true},
      {R"("12" | int + 1 == 13)", true},
      {R"("x" | int(7) == 7)", true},
      {R"(arch | replace("-", "_") == "x86_64")", true},
      {R"(" a " | trim == "a")", true},
      {R"(["b", "A"] | sort == ["A", "b"])", true},
      {R"(["a", "A"] | unique | list | length == 1)", true},
      {R"([1, 2] | sum == 3)", true},
      {R"([3, 1] | min == 1)", true},
      {R"(-3 | abs == 3)", true},
      {R"(arch.startswith("x86"))", true},
      {R"(arch.endswith(("32", "64")))", true},
      {R"(arch.split("-") == ["x86", "64"])", true},
      {R"(arch.split("-")[1] | int == 64)", true},
      {R"(arch.replace("-", "") == "x8664")", true},
      {R"("aab".replace("a", "b", -9223372036854775807 - 1) == "bbb")", true},
      {R"("ab".replace("", "-", -9223372036854775807 - 1) == "-a-b-")", true},
      {R"(arch.upper() == "X86-64")", true},
      {R"(arch.nosuch is defined)", false},
      {R"(arch["upper"]() == "X86-64")", true},
      {R"(arch[0] == "x")", true},
      {R"(arch[-2:] == "64")", true},
      {R"(arch[::-1] == "46-68x")", true},
      {R"(flags.index("b") == 1)", true},
      {R"(flags.0 == "a")", true},
      {R"({"x86-64": "big"}[arch] == "big")", true},
      {R"({"x86-64": "big"}.get("other", "small") == "small")", true},
      {R"({"a": 1}.a == 1)", true},
      {R"(7 // 2 == 3)", true},
      {R"(-7 // 2 == -4)", true},
      {R"(-7 % 3 == 2)", true},
      {R"(7 / 2 == 3.5)", true},
      {R"(2 ** 3 ** 2 == 64)", true},
      {R"(0x10 + 0b1 + 0o7 + 1_000 == 1024)", true},
      {R"(1e2 == 100)", true},
      {R"("a" ~ 1 ~ true ~ none == "a1TrueNone")", true},
      {R"("a" ~ flags == "a['a', 'b']")", true},
      {R"(2 * "ab" == "abab")", true},
      {R"(1 - 1 or "b" in flags)", true},
      {R"(not "c" in flags)", true},
      {R"(yes, no)", true},
      {R"((yes, no)[1])", false},
      {R"((arch if no))", false},
      {R"((arch if no) == "")", false},
      {R"(("big" if "64" in arch else "small") == "big")", true},
      {R"((yes or missing | nosuch if yes else no))", true},
      {R"("\x41\u00e9" == "Aé")", true},
      {R"("é" | length == 1)", true},
      {R"(1 < 2 > missing | default(0))", true},
      {R"(arch not in flags not in [true])", true},
  };
  for (const auto& [text, expected] : kExpressions) {
    INFO(text);
    CHECK(holds(text) == expected);
  }
}

TEST_CASE("what Jinja2 has and values of options have no use for is refused by name") {
  static constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
      {"flags | groupby('x')", "the filter 'groupby' is not supported; compare"},
      {"arch.format(1)", "'format' of a str is not supported; compare"},
      {"flags.append('x')", "'append' of a list is not supported; compare"},
      {"arch.__class__", "'__class__' of a str is not supported"},
      {"'%s' % arch == 'x'", "formatting with '%' is not supported; join with '~'"},
      {"arch is sameas 'x86-64'", "write '=='"},
      {"arch.join(*flags)", "write them one by one"},
      {"yes if no else yes", "must stand in parentheses"},
      {"arch = 'x'", "write '=='"},
      {"yes && no", "write 'and'"},
      {"!yes", "write 'not'"},
      {"%{arch} == 'x'", "only options"},
  };
  for (const auto& [text, expected] : kRefused) {
    INFO(text);
    CHECK_THAT(refused(text), Catch::Contains(std::string(expected)));
  }
}

TEST_CASE("what is not reached is not evaluated") {
  CHECK(holds("yes or missing"));
  CHECK_FALSE(holds("no and missing == 'x'"));
  CHECK(refused("yes and missing").find("'missing' is undefined") != std::string::npos);
  CHECK(refused("missing == 'x'").find("'missing' is undefined") != std::string::npos);
}

TEST_CASE("expressions that are none") {
  for (const char* text : {"",
                           "yes and",
                           "(yes",
                           "yes)",
                           "yes yes",
                           "'open",
                           "== 1",
                           "a b",
                           "not",
                           "[1, 2",
                           "{'a': 1",
                           "#",
                           "1 < 'a'",
                           "flags[9]",
                           "flags['a']",
                           "yes[0]",
                           "-'a'",
                           "in",
                           "1 +",
                           "yes if",
                           "?",
                           "yes if no else yes",
                           "arch = 'a'",
                           "yes && no",
                           "1 / 0",
                           "9 ** 99",
                           "'a' * 99999999",
                           "012",
                           "arch is string is defined",
                           "%{arch} == 'a'",
                           "arch == 'a' %}"}) {
    INFO(text);
    refused(text);
  }
  CHECK(refused("range(3)").find("'range' is undefined") != std::string::npos);
  CHECK(refused("arch | nosuch").find("No filter named 'nosuch'") != std::string::npos);
  CHECK(refused("yes or arch is nosuch").find("No test named 'nosuch'") != std::string::npos);
  refused(std::string(100'000, '('));
  refused(std::string(100'000, '-') + "1");
  std::string nots;
  for (int i = 0; i < 100'000; ++i) nots += "not ";
  refused(nots + "yes");
}

}  // namespace
}  // namespace sluice::loader
