#include "base/json.h"

#include <string>

#include <catch2/catch.hpp>

namespace sluice {

TEST_CASE("JSON is read to a depth that the stack has room for") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(json_nesting("") == 0);
  CHECK(json_nesting("[{}, [[]], 1]") == 3);
  CHECK(json_nesting(R"(["[[[[", "\"[", "\\", [], "{")") == 2);
  CHECK(json_nesting("]]][") == 1);
  CHECK(parse_json(nested(kMostJsonNesting)).is_array());
  CHECK(parse_json(nested(kMostJsonNesting + 1)).is_discarded());
  CHECK(parse_json(nested(10'000'000)).is_discarded());
  CHECK(parse_json("{").is_discarded());
  CHECK(parse_json(R"({"a": "[[["})").at("a") == "[[[");
}

}  // namespace sluice
