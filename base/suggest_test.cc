#include "base/suggest.h"

#include <catch2/catch.hpp>

using namespace sluice;
using Words = std::vector<std::string>;

TEST_CASE("a letter too many, missing, wrong or swapped is one") {
  CHECK(edit_distance("build", "build", 3) == 0);
  CHECK(edit_distance("BUILD", "build", 3) == 0);
  CHECK(edit_distance("biuld", "build", 3) == 1);
  CHECK(edit_distance("buil", "build", 3) == 1);
  CHECK(edit_distance("bbuild", "build", 3) == 1);
  CHECK(edit_distance("byild", "build", 3) == 1);
  CHECK(edit_distance("show", "build", 3) == 4);
  CHECK(edit_distance("", "ab", 3) == 2);
  CHECK(edit_distance("", "", 0) == 0);
  CHECK(edit_distance("abcdef", "fedcba", 2) == 3);
  CHECK(edit_distance("ca", "abc", 3) == 3);  // nothing is put between two that were swapped
}

TEST_CASE("what was meant") {
  const Words verbs = {"build", "show", "query", "why", "explain", "shell", "source", "session"};
  CHECK(nearest("biuld", verbs) == Words{"build"});
  CHECK(nearest("bild", verbs) == Words{"build"});
  CHECK(nearest("exp", verbs) == Words{"explain"});
  CHECK(nearest("sh", verbs) == Words{"shell", "show"});
  CHECK(nearest("s", verbs).empty());
  CHECK(nearest("hwy", verbs) == Words{"why"});
  CHECK(nearest("sesion", verbs) == Words{"session"});
  CHECK(nearest("nonsense", verbs).empty());
  CHECK(nearest("", verbs).empty());
  CHECK(nearest("ab", {"ac", "ba"}).empty());
  CHECK(nearest("item", {"item1", "item2", "item3", "item4", "item1"}).size() == 3);
  // What is much nearer stands alone.
  CHECK(nearest("artifact-remote", {"artifact-remotes", "artefakt-remate"}) ==
        Words{"artifact-remotes"});
}

TEST_CASE("the question") {
  CHECK(did_you_mean({}).empty());
  CHECK(did_you_mean({"a"}) == "Did you mean 'a'?");
  CHECK(did_you_mean({"a", "b"}) == "Did you mean 'a' or 'b'?");
  CHECK(did_you_mean({"a", "b", "c"}) == "Did you mean 'a', 'b' or 'c'?");
}
