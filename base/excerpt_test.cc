#include "base/excerpt.h"

#include <catch2/catch.hpp>

#include "base/text.h"

using namespace sluice;

TEST_CASE("a line and a mark below it") {
  CHECK(excerpt("  type: biuld", 6, 8, 80) == "    6 |   type: biuld\n      |         ^\n");
  CHECK(excerpt("kind: stack\r\n", 12, 0, 80) == "    12 | kind: stack\n       | ^\n");
  CHECK(excerpt("", 1, 0, 80) == "    1 |\n      | ^\n");
  // A file may have become shorter.
  CHECK(excerpt("abc", 1, 99, 80) == "    1 | abc\n      |    ^\n");
}

TEST_CASE("columns are characters, marks are where these are shown") {
  CHECK(excerpt("größe: x", 1, 7, 80) == "    1 | größe: x\n      |        ^\n");
  CHECK(excerpt("日本: x", 1, 4, 80) == "    1 | 日本: x\n      |       ^\n");
  CHECK(excerpt("e\u0301: x", 1, 4, 80) == "    1 | e\u0301: x\n      |    ^\n");
  CHECK(excerpt("\tname: x", 1, 1, 80) == "    1 |     name: x\n      |     ^\n");
  CHECK(excerpt("ab\tname", 1, 3, 80) == "    1 | ab  name\n      |     ^\n");
}

TEST_CASE("nothing in a line steers the terminal") {
  CHECK(excerpt("a\x1b[31mb", 1, 6, 80) == "    1 | a?[31mb\n      |       ^\n");
  CHECK(excerpt("a\x07\x7f\u0085z", 1, 4, 80) == "    1 | a???z\n      |     ^\n");
  CHECK(excerpt("a\xff\xc3z", 1, 3, 80) == "    1 | a\uFFFD\uFFFDz\n      |    ^\n");
}

TEST_CASE("of a long line that which is around the mark") {
  std::string line;
  for (int i = 0; i < 100; ++i) line += std::to_string(i % 10);
  CHECK(excerpt(line, 1, 0, 30) == "    1 | 0123456789012345678…\n      | ^\n");
  for (const std::uint32_t column : {0u, 3u, 10u, 50u, 95u, 99u, 100u, 200u}) {
    for (const std::size_t columns : {5u, 20u, 30u, 40u, 80u, 107u, 108u, 109u, 200u}) {
      for (const std::string& text : {line, line + "日本", "\t\t" + line, std::string(100, '\t')}) {
        const std::string shown = excerpt(text, 1234, column, columns);
        INFO(shown);
        const auto lines = split_lines(shown);
        REQUIRE(lines.size() == 2);
        for (std::string_view each : lines) {
          each.remove_suffix(1);
          CHECK(display_width(each) <= std::max<std::size_t>(columns, 20));
        }
        // The mark is below the character that is meant.
        if (text != line || column >= 100) continue;
        const std::size_t at = display_width(lines[1]) - 2;
        std::size_t width = 0;
        std::string_view rest = lines[0];
        while (width < at) {
          const std::size_t bytes = rest.starts_with("…") ? 3 : 1;
          rest.remove_prefix(bytes);
          ++width;
        }
        CHECK(rest.front() == line[column]);
      }
    }
  }
}

TEST_CASE("lines of a text") {
  CHECK(line_of("a\nb\nc", 1) == "a");
  CHECK(line_of("a\nb\nc", 2) == "b");
  CHECK(line_of("a\nb\nc", 3) == "c");
  CHECK(line_of("a\nb\nc", 4).empty());
  CHECK(line_of("", 1).empty());
}
