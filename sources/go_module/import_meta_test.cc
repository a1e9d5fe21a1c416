// Pages that say which repository a module of Go is of.
#include "sources/go_module/import_meta.h"

#include <catch2/catch.hpp>

namespace sluice::sources::go_module {
namespace {

std::string said(std::string_view page, std::string_view module) {
  const auto meta = import_meta(page, module);
  return meta ? meta->prefix + " " + meta->subdirectory : "none";
}

TEST_CASE("the prefix of a module is found in a page") {
  const std::string_view tag = R"(<meta name="go-import" content="example.org/a git https://x/a">)";
  CHECK(said(tag, "example.org/a") == "example.org/a ");
  CHECK(said(tag, "example.org/a/v2") == "example.org/a ");
  CHECK(said(tag, "example.org/ab") == "none");
  CHECK(said(tag, "example.org") == "none");
  CHECK(said(R"(<!DOCTYPE html><HTML><META Content='a.b/c git u' NAME=go-import /></HTML>)",
             "a.b/c") == "a.b/c ");
  CHECK(said("<meta name=go-import\n content=\"a.b/c\n git  u  sub/d\">", "a.b/c/e") ==
        "a.b/c sub/d");
}

TEST_CASE("the last that is for the module counts, and comments don't") {
  const std::string_view page =
      R"(<meta name="go-import" content="a.b git u"><meta name="go-import" content="a.b/c git u">)"
      R"(<meta name="go-source" content="a.b/c/d _ _ _"><meta name="go-import" content="x.y git u">)"
      R"(<!-- <meta name="go-import" content="a.b/c/d git u"> -->)";
  CHECK(said(page, "a.b/c/d") == "a.b/c ");
  CHECK(said(page, "a.b/z") == "a.b ");
}

TEST_CASE("a page that is broken says nothing, and does no harm") {
  for (const std::string_view page :
       {"", "<", "<meta", "<meta ", "<meta name", "<meta name=", "<meta name=\"go-import", "<!--",
        "<meta name=go-import content=>", "<meta name=go-import content='a.b git'>",
        "<meta name=go-import content='a b c d e'>", "<metaname=go-import content='a.b git u'>",
        "<meta =x ==y>"}) {
    INFO(page);
    CHECK(said(page, "a.b") == "none");
  }
}

}  // namespace
}  // namespace sluice::sources::go_module
