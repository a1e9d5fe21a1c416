#include "cli/place.h"

#include <catch2/catch.hpp>

#include "base/file.h"
#include "tests/support/test_directory.h"

namespace sluice::cli {

TEST_CASE("the line of an error is shown with its mark, and no password") {
  TestDirectory directory;
  directory.write("project.conf", "name: p\n");
  directory.write("a.bst",
                  "kind: biuld\n"
                  "url: https://me:geheim@é.example/x?access_token=verysecret&b=1 here\n"
                  "url: plain\n");
  const auto shown = [&](std::uint32_t line, std::uint32_t column) {
    return place_text({"a.bst", line, column}, directory.str());
  };
  CHECK(shown(1, 6) == "\n    1 | kind: biuld\n      |       ^\n");
  CHECK(shown(3, 5) == "\n    3 | url: plain\n      |      ^\n");
  const std::string line =
      "\n    2 | url: https://***@é.example/x?access_token=***&b=1 here\n      | ";
  // Before what is hidden, in it, and behind it.
  CHECK(shown(2, 0) == line + "^\n");
  CHECK(shown(2, 5) == line + "     ^\n");
  CHECK(shown(2, 18) == line + "             ^\n");
  CHECK(shown(2, 63) == line + std::string(50, ' ') + "^\n");
  CHECK(shown(2, 67) == line + std::string(54, ' ') + "^\n");
  CHECK(place_text({"b.bst", 1, 0}, directory.str()).empty());
}

}  // namespace sluice::cli
