#include <catch2/catch.hpp>

#include "renderer/web/access.h"
#include "renderer/web/event_stream.h"
#include "renderer/web/options.h"
#include "renderer/web/streams.h"

namespace sluice::renderer {
namespace {

TEST_CASE("A secret is the same in all of its characters, and never empty") {
  const std::string secret = *new_secret();
  CHECK(secret.size() == 64);
  CHECK(secret != *new_secret());
  CHECK(same_secret(secret, secret));
  std::string other = secret;
  other.back() = other.back() == '0' ? '1' : '0';
  CHECK_FALSE(same_secret(other, secret));
  CHECK_FALSE(same_secret(secret.substr(1), secret));
  CHECK_FALSE(same_secret("", ""));
}

TEST_CASE("Hosts are loopback by address, or localhost") {
  for (const char* host : {"127.0.0.1", "127.0.0.1:8080", "localhost:1", "[::1]", "[::1]:65535"})
    CHECK(is_loopback_host(host));
  for (const char* host :
       {"", "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.",
        "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:123456", "localhost:80@evil.example", "::1"})
    CHECK_FALSE(is_loopback_host(host));
}

TEST_CASE("What changes anything comes from the page itself") {
  CHECK(is_own_origin("http://127.0.0.1:99", "127.0.0.1:99"));
  for (const char* origin : {"", "null", "http://127.0.0.1:98", "https://127.0.0.1:99",
                             "http://localhost:99", "http://127.0.0.1:99.evil.example"})
    CHECK_FALSE(is_own_origin(origin, "127.0.0.1:99"));
  for (const char* site : {"", "none", "same-origin"}) CHECK(is_own_fetch(site));
  for (const char* site : {"same-site", "cross-site", "x"}) CHECK_FALSE(is_own_fetch(site));
}

TEST_CASE("A cookie among others") {
  CHECK(cookie_value("a=1; sluice-web-80=x=y;b=2", "sluice-web-80") == "x=y");
  CHECK(cookie_value("b=2", "b") == "2");
  CHECK(cookie_value("xb=2; c", "b").empty());
  CHECK(cookie_value("", "b").empty());
}

TEST_CASE("Server-sent events, whatever is in them, are one event each") {
  CHECK(stream_event("", "17", "[1]") == "id: 17\ndata: [1]\n\n");
  CHECK(stream_event("over", "", "") == "event: over\ndata: \n\n");
  CHECK(stream_event("", "", "a\n\nevent: x\r\nb\rc") ==
        "data: a\ndata: \ndata: event: x\ndata: b\ndata: c\n\n");
}

TEST_CASE("Positions are decimal numbers") {
  CHECK(stream_position("18446744073709551615") == 18446744073709551615u);
  for (const char* text : {"", "-1", "1x", " 1", "18446744073709551616"})
    CHECK_FALSE(stream_position(text));
}

TEST_CASE("Pieces of a log end between characters") {
  CHECK(whole_characters("abc") == 3);
  CHECK(whole_characters("a\xc3") == 1);
  CHECK(whole_characters("a\xc3\xa4") == 3);
  CHECK(whole_characters("\xf0\x9f\x98") == 0);
  CHECK(whole_characters("\xf0\x9f\x98\x80") == 4);
  CHECK(whole_characters("\x80\x80\x80\x80") == 4);
  CHECK(whole_characters("") == 0);
}

TEST_CASE("What sluice-web is told") {
  const auto options =
      parse_web_options({"--session", "a", "--port", "8080", "--read-only", "--no-open"});
  CHECK(options->session == "a");
  CHECK(options->port == 8080);
  CHECK(options->read_only);
  CHECK_FALSE(options->open);
  CHECK_FALSE(parse_web_options({"--port", "65536"}));
  CHECK_FALSE(parse_web_options({"--port"}));
  CHECK_FALSE(parse_web_options({"--listen-all"}));
}

}  // namespace
}  // namespace sluice::renderer
