#include "cli/format.h"

#include <catch2/catch.hpp>

using namespace sluice::cli;

namespace {

std::string formatted(std::string_view text, std::string_view specification) {
  auto result = format_value(text, specification);
  return result ? *result : "error: " + result.error().message;
}

std::string line_of(std::string line, std::string_view symbol, std::string_view value) {
  auto done = substitute(line, symbol, value, {});
  return done ? without_codes(line) : "error: " + done.error().message;
}

}  // namespace

// The expectations are what Python's format() gives.
TEST_CASE("format specifications of strings") {
  CHECK(formatted("abc", "") == "abc");
  CHECK(formatted("abc", "6") == "abc   ");
  CHECK(formatted("abc", "<6") == "abc   ");
  CHECK(formatted("abc", ">6") == "   abc");
  CHECK(formatted("abc", " >6") == "   abc");
  CHECK(formatted("abc", " ^8") == "  abc   ");
  CHECK(formatted("abcd", "^9") == "  abcd   ");
  CHECK(formatted("abc", "*^7s") == "**abc**");
  CHECK(formatted("abc", ">>6") == ">>>abc");
  CHECK(formatted("abc", "=>6") == "===abc");
  CHECK(formatted("abc", "06") == "abc000");
  CHECK(formatted("abc", ">06") == "000abc");
  CHECK(formatted("abc", "x>06") == "xxxabc");
  CHECK(formatted("abcdef", ".3") == "abc");
  CHECK(formatted("abcdef", "5.3") == "abc  ");
  CHECK(formatted("abcdef", ">5.3s") == "  abc");
  CHECK(formatted("abc", ".0") == "");
  CHECK(formatted("äöü", ">5") == "  äöü");
  CHECK(formatted("äöü", ".2") == "äö");
  CHECK(formatted("a", "ä^5") == "ääaää");
  CHECK(formatted("too long", "3") == "too long");
}

TEST_CASE("what Python refuses is refused") {
  for (const char* specification :
       {"=6", "+6", "-6", "#6", ",", "_", ".", "d", "6x", "6 ", " 6", "99999999999999999999"}) {
    INFO(specification);
    CHECK(formatted("abc", specification).starts_with("error: "));
  }
}

TEST_CASE("symbols are replaced and nothing else") {
  CHECK(line_of("%{name}", "name", "a.bst") == "a.bst");
  CHECK(line_of("[%{name: >6}] %{name}|", "name", "a") == "[     a] a|");
  CHECK(line_of("%{kind}%{name}", "name", "a") == "%{kind}a");
  CHECK(line_of("%{name", "name", "a") == "%{name");
  CHECK(line_of("%{name%{name}", "name", "a") == "%{namea");
  CHECK(line_of("100% {name}", "name", "a") == "100% {name}");
  CHECK(line_of("%{name!s:>3}", "name", "a") == "  a");
  CHECK(line_of("%{name!r}", "name", "a'\n") == "\"a'\\n\"");
  CHECK(line_of("%{name!a:>8}", "name", "\xc3\xa4") == "  '\\xe4'");
  CHECK(line_of("%{name!x}", "name", "a").starts_with("error: "));
  CHECK(line_of("%{names}", "name", "a").starts_with("error: "));
  CHECK(line_of("%{name:d}", "name", "a").starts_with("error: "));
}

TEST_CASE("styles are click's") {
  CHECK(styled("x", {.color = "red"}) == "\033[31mx\033[0m");
  CHECK(styled("x", {.color = "bright_red"}) == "\033[91mx\033[0m");
  CHECK(styled("x", {.color = "blue", .bold = 1}) == "\033[34m\033[1mx\033[0m");
  CHECK(styled("x", {.color = "yellow", .dim = 0}) == "\033[33m\033[22mx\033[0m");
  CHECK(styled("x", {.color = "yellow", .dim = 1}) == "\033[33m\033[2mx\033[0m");
  std::string line = "%{state: >7}|";
  REQUIRE(substitute(line, "state", "ok", {.color = "green"}));
  CHECK(line == "\033[32m     ok\033[0m|");
}

TEST_CASE("codes are taken out") {
  CHECK(without_codes("\033[31m\033[1mx\033[0m\n") == "x\n");
  CHECK(without_codes("\033[") == "\033[");
  CHECK(without_codes("a\033b\033[1;2mc") == "a\033bc");
  CHECK(without_codes("").empty());
}

TEST_CASE("a symbol that is mentioned is found") {
  CHECK(mentions("a %{vars} b", "vars"));
  CHECK(mentions("%{vars:5}", "vars"));
  CHECK_FALSE(mentions("%{name} vars", "vars"));
}
