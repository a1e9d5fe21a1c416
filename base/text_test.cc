#include "base/text.h"

#include <catch2/catch.hpp>

namespace sluice {

TEST_CASE("widths are columns") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("größe") == 5);
  CHECK(display_width("日本語") == 6);
  CHECK(display_width("e\u0301") == 1);  // combining accent
  CHECK(display_width("\xff\xfe") == 2);
  CHECK(display_width("→…") == 2);
}

TEST_CASE("what is cut fits and says so") {
  CHECK(truncate("abc", 3) == "abc");
  CHECK(truncate("abcd", 3) == "ab…");
  CHECK(truncate("日本語", 4) == "日…");
  CHECK(truncate("日本語", 5) == "日本…");
  CHECK(truncate("abc", 1) == "…");
  CHECK(truncate("abc", 0).empty());
  const std::string text = "größe 日本語 e\u0301\u0301 → \xff";
  for (std::size_t columns = 0; columns < 30; ++columns)
    CHECK(display_width(truncate(text, columns)) <= columns);
}

TEST_CASE("texts can't steer a terminal") {
  CHECK(clean("a\x1b[31mred\x1b[0mb") == "aredb");
  CHECK(clean_but_colors("a\x1b[1;31mred\x1b[0mb\x1b[m") == "a\x1b[1;31mred\x1b[0mb\x1b[m");
  CHECK(clean_but_colors("\x1b]0;title\a\x1b[2J\x1b[>4;1m\x1b[1") == "");
  CHECK(clean("\x1b]0;title\a.") == ".");
  CHECK(clean("\x1b]0;title\x1b\\.") == ".");
  CHECK(clean("\x1b]0;never ended\nnext") == "\nnext");
  CHECK(clean("\x1b[12") == "");
  CHECK(clean("\x1b") == "");
  CHECK(clean("\x1b\nx") == "\nx");
  CHECK(clean("one\r\ntwo\ttabs\n") == "one\ntwo\ttabs\n");
  CHECK(clean("back\bspace\x7f\r\xc2\x9b"
              "31m") == "back?space???31m");
  CHECK(clean("\xff größe") == "\xef\xbf\xbd größe");
  // a surrogate, an overlong NUL
  CHECK(clean("\xed\xa0\x80\xc0\x80") ==
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("times and sizes") {
  CHECK(time_code(std::nullopt) == "--:--:--");
  CHECK(time_code(0) == "00:00:00");
  CHECK(time_code(3'723'999'999'999) == "01:02:03");
  CHECK(time_code(360'000'000'000'000) == "100:00:00");
  CHECK(time_code(-5) == "00:00:00");
  CHECK(pretty_size(0) == "0B");
  CHECK(pretty_size(1023) == "1023B");
  CHECK(pretty_size(1024) == "1K");
  CHECK(pretty_size(47'459'000'000) == "44.2G");
  CHECK(pretty_size(~0ull) == "1.67772e+07T");
}

TEST_CASE("times in few characters, and in words") {
  constexpr std::int64_t kSecond = 1'000'000'000;
  CHECK(brief_time(-1) == "0.0s");
  CHECK(brief_time(449'000'000) == "0.4s");
  CHECK(brief_time(9'990'000'000) == "9.9s");
  CHECK(brief_time(10 * kSecond) == "10s");
  CHECK(brief_time(185 * kSecond) == "3m05s");
  CHECK(brief_time(7'625 * kSecond) == "2h07m");
  CHECK(spoken_time(1 * kSecond) == "1 second");
  CHECK(spoken_time(185 * kSecond) == "3 minutes 5 seconds");
  CHECK(spoken_time(3'600 * kSecond) == "1 hour");
  CHECK(spoken_time(7'625 * kSecond) == "2 hours 7 minutes");
}

TEST_CASE("the front of a name is cut, and what isn't ASCII replaced") {
  CHECK(truncate_front("components/gcc.bst", 18) == "components/gcc.bst");
  CHECK(truncate_front("components/gcc.bst", 8) == "…gcc.bst");
  CHECK(truncate_front("日本語.bst", 7) == "…語.bst");
  CHECK(truncate_front("日本語.bst", 6) == "….bst");
  CHECK(truncate_front("xxe\xcc\x81.bst", 6) == "…e\xcc\x81.bst");
  CHECK(truncate_front("abc", 0) == "");
  CHECK(ascii("größe… a–b 日 e\xcc\x81\xff") == "gr??e... a-b ? e?");
}

TEST_CASE("lines and indentation") {
  CHECK(split_lines("").empty());
  CHECK(split_lines("a\n\nb") == std::vector<std::string_view>{"a\n", "\n", "b"});
  CHECK(indent("a\n  \n\nb\n", "> ") == "> a\n  \n\n> b\n");
}

TEST_CASE("words in lines") {
  using Lines = std::vector<std::string>;
  CHECK(wrap("", 10) == Lines{""});
  CHECK(wrap("one two three", 7) == Lines{"one two", "three"});
  CHECK(wrap("  one   two  ", 7) == Lines{"one two"});
  CHECK(wrap("a unbreakable b", 5) == Lines{"a", "unbreakable", "b"});
  CHECK(wrap("größe größe", 11) == Lines{"größe größe"});
  CHECK(wrap("日本 日本", 8) == Lines{"日本", "日本"});
}

TEST_CASE("an error without a session as text") {
  Error error{
      "load", "missing-file", "There is no \"x\"", "Look\nelsewhere", {"project.conf", 3, 4}};
  error.introduction = "Error loading project";
  CHECK(error_text(error) ==
        "\nError loading project: project.conf [line 3 column 4]: There is no \"x\"\n\n    Look\n  "
        "  elsewhere\n");
  error.subject = "tar source";
  CHECK(error_text(error).starts_with(
      "\nError loading project: tar source at project.conf [line 3 column 4]: There"));
}

}  // namespace sluice
