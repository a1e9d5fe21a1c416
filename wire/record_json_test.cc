#include "wire/record_json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace sluice::wire {

TEST_CASE("JSON says everything that MessagePack can") {
  std::string bytes;
  Writer writer(bytes);
  writer.map(9);
  writer.string("bin");
  writer.binary(std::string_view("\x00\xff\x10\x20", 4));
  writer.string("one");
  writer.binary("f");
  writer.string("two");
  writer.binary("fo");
  writer.string("big");
  writer.unsigned_integer(~0ull);
  writer.string("small");
  writer.integer(INT64_MIN);
  writer.string("nan");
  writer.real(0.0 / 0.0);
  writer.integer(7);
  writer.nil();
  writer.string("bad\xff");
  writer.string("a\x01\xe2\x82");
  writer.string("ext");
  writer.raw(std::string_view("\xd4\x05\x00", 3));
  const auto line = json_line(bytes);
  REQUIRE(line);
  CHECK(
      *line ==
      R"({"bin":"AP8QIA==","one":"Zg==","two":"Zm8=","big":18446744073709551615,"small":-9223372036854775808,)"
      R"("nan":null,"7":null,"bad�":"a\u0001��","ext":null})"
      "\n");
  CHECK(!json_line("\x93"));
  CHECK(!json_line("\x01"));
}

TEST_CASE("an error without a session as JSON") {
  const Error error{
      "load", "missing-file", "There is no \"x\"", "Look\nelsewhere", {"project.conf", 3, 4}};
  const auto parsed = nlohmann::json::parse(json_error_line(error, "main", 17));
  CHECK(parsed ==
        nlohmann::json({{"v", 1},
                        {"type", "error"},
                        {"time", 17},
                        {"scope", "main"},
                        {"domain", "load"},
                        {"reason", "missing-file"},
                        {"message", "There is no \"x\""},
                        {"detail", "Look\nelsewhere"},
                        {"provenance", {{"file", "project.conf"}, {"line", 3}, {"column", 4}}}}));
  CHECK(!nlohmann::json::parse(json_error_line({"a", "b", "c", "", {}}, "task", 0))
             .contains("provenance"));
}

}  // namespace sluice::wire
