#include "base/glob.h"

#include <string>

#include <catch2/catch.hpp>

using sluice::glob_matches;

TEST_CASE("wildcards stop at slashes, two asterisks don't") {
  CHECK(glob_matches("core/*.bst", "core/a.bst"));
  CHECK_FALSE(glob_matches("core/*.bst", "core/sub/a.bst"));
  CHECK_FALSE(glob_matches("*.bst", "core/a.bst"));
  CHECK(glob_matches("**.bst", "core/sub/a.bst"));
  CHECK(glob_matches("**.bst", "a.bst"));
  CHECK(glob_matches("proj/**", "proj/element/0123"));
  CHECK(glob_matches("proj/he*/8276*", "proj/hello/82763"));
  CHECK_FALSE(glob_matches("proj/he*/8276*", "proj/hello/92763"));
  CHECK(glob_matches("?.bst", "a.bst"));
  CHECK_FALSE(glob_matches("a?b", "a/b"));
  CHECK(glob_matches("a*b*c*", "a-b-c"));
  CHECK_FALSE(glob_matches("a*b*c", "a-b-c-"));
}

TEST_CASE("sets of characters") {
  CHECK(glob_matches("[abc].bst", "b.bst"));
  CHECK(glob_matches("[a-c]x", "bx"));
  CHECK_FALSE(glob_matches("[a-c]x", "dx"));
  CHECK(glob_matches("[!a-c]x", "dx"));
  CHECK_FALSE(glob_matches("[!a-c]x", "ax"));
  CHECK(glob_matches("[]]x", "]x"));
  CHECK(glob_matches("[a", "[a"));
  CHECK(glob_matches("a.b", "a.b"));
  CHECK_FALSE(glob_matches("a.b", "axb"));
}

TEST_CASE("a leading slash makes no difference") {
  CHECK(glob_matches("/a", "a"));
  CHECK(glob_matches("a", "/a"));
}

TEST_CASE("patterns of many asterisks are no trap") {
  const std::string name(4000, 'a');
  CHECK_FALSE(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}
