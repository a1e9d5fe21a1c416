#include "base/credentials.h"

#include <catch2/catch.hpp>

using sluice::percent_decoded;
using sluice::without_credentials;

TEST_CASE("parts of URLs are decoded, and what isn't encoded stays") {
  CHECK(percent_decoded("a%20b%2Fc%41%7a") == "a b/cAz");
  CHECK(percent_decoded("100%, %4, %zz, %") == "100%, %4, %zz, %");
  CHECK(percent_decoded("%4") == "%4");
  CHECK(percent_decoded("%00") == std::string(1, '\0'));
}

TEST_CASE("what stands before the host of a URL is hidden, wherever the URL stands (R62)") {
  CHECK(without_credentials("https://user:pass@host/x") == "https://***@host/x");
  CHECK(without_credentials("https://token@host") == "https://***@host");
  CHECK(without_credentials("https://us%40er:p@ss@host:8080/a@b") == "https://***@host:8080/a@b");
  CHECK(without_credentials("from 'https://u:p@h/x', then http://u:p@g: refused") ==
        "from 'https://***@h/x', then http://***@g: refused");
  CHECK(without_credentials("url=https://u:p@h:1,push=true") == "url=https://***@h:1,push=true");
  CHECK(without_credentials("https://u:p@h,https://v:q@g/z") == "https://***@h,https://***@g/z");
  CHECK(without_credentials("git+ssh://git:x@h") == "git+ssh://***@h");
  CHECK(without_credentials("https://git@h, ssh://git@h/x") == "https://***@h, ssh://git@h/x");
}

TEST_CASE("secrets in queries go by their names") {
  CHECK(without_credentials("https://h/x?private_token=abc&v=1#f") ==
        "https://h/x?private_token=***&v=1#f");
  CHECK(without_credentials("https://h/x?v=1&X-Amz-Signature=abc;KEY=k") ==
        "https://h/x?v=1&X-Amz-Signature=***;KEY=***");
  CHECK(without_credentials("https://h/x?next=https://u:p@g/&token=t") ==
        "https://h/x?next=https://***@g/&token=t");
  CHECK(without_credentials("https://h/x?token=t&next=https://u:p@g/") ==
        "https://h/x?token=***&next=https://***@g/");
  CHECK(without_credentials("https://h/x?monkey=1&keyboard=2") ==
        "https://h/x?monkey=1&keyboard=2");
}

TEST_CASE("all else stays as it is") {
  for (const char* text :
       {"", "://", "plain", "mail me@host", "https://host/a@b", "http://h: me@host said no",
        "file:///a/b", "a://b://c", "x?token=t", "\xff://\xfe@"}) {
    const std::string before = text;
    if (before == "\xff://\xfe@") {
      CHECK(without_credentials(before) == "\xff://***@");
    } else {
      CHECK(without_credentials(before) == before);
    }
  }
}
