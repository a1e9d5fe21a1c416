// Toml: read by toml++, written as tomlkit 0.15 writes a plain dictionary; the texts are its own.
#include "sources/toml.h"

#include <catch2/catch.hpp>

namespace sluice::sources {

namespace {

std::string again(std::string_view text) {
  auto table = read_toml(text);
  REQUIRE(table);
  return write_toml(*table);
}

}  // namespace

TEST_CASE("toml: tables keep the order of their keys, behind all other values", "[toml]") {
  CHECK(
      again("z = 1\na = {y = 2}\n[m]\nb = 'C:\\x'\n[[bin]]\n[bin.s]\nx = 1\n[[bin]]\nn = 2\n") ==
      "z = 1\n\n[a]\ny = 2\n\n[m]\nb = \"C:\\\\x\"\n\n[[bin]]\n[bin.s]\nx = 1\n\n[[bin]]\nn = 2\n");
  CHECK(again("[b.c]\nx = 1\n[target.'cfg(unix)'.dependencies]\nnix = '1'\n[b]\ny.z = 2\n") ==
        "[b.c]\nx = 1\n\n[b.y]\nz = 2\n\n[target.\"cfg(unix)\".dependencies]\nnix = \"1\"\n");
  CHECK(again("bin = [{s = {x = 1}, n = 1}]\nname = 1\n[t]\n") ==
        "name = 1\n[[bin]]\nn = 1\n\n[bin.s]\nx = 1\n\n[t]\n");
}

TEST_CASE("toml: values are written in one form", "[toml]") {
  CHECK(again("a = [1, {x = {p = 1, q = 2}, y = 1}, []]") ==
        "a = [1, {y = 1, x = {p = 1,q = 2}}, []]\n");
  CHECK(
      again("a = 0xff\nb = 1e22\nc = 1.50\nd = -inf\ne = 1e-5\nf = 1_000.0\ng = 123456789012.5") ==
      "a = 255\nb = 1e+22\nc = 1.5\nd = -inf\ne = 1e-05\nf = 1000.0\ng = 123456789012.5\n");
  CHECK(again("a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5-01:30\nc = 07:32:00\nd = "
              "1979-05-27") ==
        "a = 1979-05-27T07:32:00Z\nb = 1979-05-27T07:32:00.500000-01:30\nc = 07:32:00\nd = "
        "1979-05-27\n");
  CHECK(again(R"('a b' = "x\u0001\u007f\b\u001b\"")") == R"("a b" = "x\u0001\u007f\b\e\"")"
                                                         "\n");
}

TEST_CASE("toml: what is no TOML is an error with its line", "[toml]") {
  for (const char* text : {"a = ", "[a]\nb = 1\nb = 2\n", "a = 1\n[a]\n", "\x80", "[[a]]\n[a]\n"}) {
    auto table = read_toml(text);
    REQUIRE_FALSE(table);
    CHECK(table.error().reason == "malformed");
    CHECK(table.error().message.starts_with("line "));
  }
  // However deep it goes, it ends.
  CHECK_FALSE(read_toml("a = " + std::string(100'000, '[')));
}

}  // namespace sluice::sources
