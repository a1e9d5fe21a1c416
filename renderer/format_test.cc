#include "renderer/format.h"

#include <unistd.h>

#include "renderer/lines.h"
#include "renderer/test_support.h"

namespace sluice::renderer {

TEST_CASE("format strings") {
  CHECK(parse_message_format("%{elapsed} %{nothing}").error().message.find("'nothing'") !=
        std::string::npos);
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

}  // namespace sluice::renderer
