#include <unistd.h>

#include "renderer/format.h"
#include "renderer/json.h"
#include "renderer/lines.h"
#include "renderer/test_support.h"

namespace sluice::renderer {

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
  for (std::size_t columns = 0; columns < 30; ++columns) CHECK(display_width(truncate(text, columns)) <= columns);
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
  CHECK(clean("back\bspace\x7f\r\xc2\x9b" "31m") == "back?space???31m");
  CHECK(clean("\xff größe") == "\xef\xbf\xbd größe");
  CHECK(clean("\xed\xa0\x80\xc0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate, an overlong NUL
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

TEST_CASE("lines and indentation") {
  CHECK(split_lines("").empty());
  CHECK(split_lines("a\n\nb") == std::vector<std::string_view>{"a\n", "\n", "b"});
  CHECK(indent("a\n  \n\nb\n", "> ") == "> a\n  \n\n> b\n");
}

TEST_CASE("format strings") {
  CHECK(parse_message_format("%{elapsed} %{nothing}").error().message.find("'nothing'") != std::string::npos);
  CHECK(!parse_message_format("%{elapsed"));
  CHECK(!parse_element_format("%{name: >x}"));
  CHECK(!parse_element_format("%{name: >100000000000000000000}"));
  CHECK(!parse_element_format("%{vars}"));
  const auto tokens = parse_element_format("\n%{state: >12} 100%% %{name}\n");
  REQUIRE(tokens);
  REQUIRE(tokens->size() == 3);
  CHECK(aligned((*tokens)[0], "cached") == "      cached");
  CHECK((*tokens)[1].text == " 100% ");
  CHECK((*tokens)[2].variable == "name");
}

TEST_CASE("the end of a log") {
  char name[] = "/tmp/sluice-tail-XXXXXX";
  const int fd = ::mkstemp(name);
  REQUIRE(fd >= 0);
  ::close(fd);
  const auto tail = [&](const std::string& content, std::uint32_t count) {
    REQUIRE(write_file_atomic(name, content));
    return last_lines(name, count).value_or("ERROR");
  };
  CHECK(tail("", 3).empty());
  CHECK(tail("one", 3) == "one");
  CHECK(tail("one\ntwo\n", 1) == "two");
  CHECK(tail("one\ntwo", 1) == "two");
  CHECK(tail("one\ntwo\n", 0).empty());
  CHECK(tail("\ntwo", 1) == "two");
  CHECK(tail("\ntwo", 2) == "\ntwo");
  CHECK(tail("one\ntwo\n\n", 2) == "two");
  CHECK(tail(std::string(1 << 20, 'x'), 2).size() == 256 << 10);
  ::unlink(name);
  CHECK(last_lines_of("one\ntwo\nthree\n", 2) == "two\nthree");
  CHECK(last_lines(name, 1).error().reason == "enoent");
  CHECK(!last_lines("/tmp", 1));
}

TEST_CASE("JSON says everything that MessagePack can") {
  std::string bytes;
  wire::Writer writer(bytes);
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
  CHECK(*line ==
        R"({"bin":"AP8QIA==","one":"Zg==","two":"Zm8=","big":18446744073709551615,"small":-9223372036854775808,)"
        R"("nan":null,"7":null,"bad�":"a\u0001��","ext":null})"
        "\n");
  CHECK(!json_line("\x93"));
  CHECK(!json_line("\x01"));
}

TEST_CASE("an error without a session, as JSON and as text") {
  Error error{"load", "missing-file", "There is no \"x\"", "Look\nelsewhere", {"project.conf", 3, 4}};
  const auto parsed = nlohmann::json::parse(json_error_line(error, "main", 17));
  CHECK(parsed == nlohmann::json({{"v", 1}, {"type", "error"}, {"time", 17}, {"scope", "main"}, {"domain", "load"},
                                  {"reason", "missing-file"}, {"message", "There is no \"x\""}, {"detail", "Look\nelsewhere"},
                                  {"provenance", {{"file", "project.conf"}, {"line", 3}, {"column", 4}}}}));
  error.introduction = "Error loading project";
  CHECK(error_text(error) ==
        "\nError loading project: project.conf [line 3 column 4]: There is no \"x\"\n\n    Look\n    elsewhere\n");
  error.subject = "tar source";
  CHECK(error_text(error).starts_with("\nError loading project: tar source at project.conf [line 3 column 4]: There"));
  CHECK(!nlohmann::json::parse(json_error_line({"a", "b", "c", "", {}}, "task", 0)).contains("provenance"));
}

}  // namespace sluice::renderer
