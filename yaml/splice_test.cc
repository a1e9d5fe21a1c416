#include "yaml/splice.h"

#include <catch2/catch.hpp>

namespace sluice::yaml {
namespace {

std::string spliced(std::string_view text, const TreePath& path, std::string_view value = "abc") {
  auto result = splice(text, path, model::Node::make_scalar(std::string(value)));
  INFO(text);
  if (!result) FAIL(result.error().str());
  return *result;
}

const TreePath kFirst = {"ksources", "i0", "kref"};
const TreePath kSecond = {"ksources", "i1", "kref"};

TEST_CASE("a ref is replaced where it stands, and nothing else") {
  CHECK(spliced("sources:\n- kind: tar\n  ref: 0  # why\n  url: x\n", kFirst) ==
        "sources:\n- kind: tar\n  ref: abc  # why\n  url: x\n");
  CHECK(spliced("sources:\n- ref: 'o''ld'\n", kFirst) == "sources:\n- ref: 'abc'\n");
  CHECK(spliced("sources:\n- ref: \"o\\\"ld\" # c\n", kFirst, "a\"b") ==
        "sources:\n- ref: \"a\\\"b\" # c\n");
  CHECK(spliced("sources:\n- ref:\n  url: x\n", kFirst) == "sources:\n- ref: abc\n  url: x\n");
  CHECK(spliced("sources: [{kind: tar, ref: 12, url: x}]\n", kFirst) ==
        "sources: [{kind: tar, ref: abc, url: x}]\n");
  CHECK(spliced("sources:\n- ref: old", kFirst) == "sources:\n- ref: abc");
  CHECK(spliced("sources:\r\n- ref: old\r\n  url: x\r\n", kFirst) ==
        "sources:\r\n- ref: abc\r\n  url: x\r\n");
  CHECK(spliced("description: \xc3\xa9\nsources:\n- {\xc3\xa9: 1, ref: old}\n", kFirst) ==
        "description: \xc3\xa9\nsources:\n- {\xc3\xa9: 1, ref: abc}\n");
}

TEST_CASE("a ref that is missing comes at the end of its source") {
  CHECK(spliced("sources:\n- kind: tar   # here\n  url: x\ndepends:\n- a\n", kFirst) ==
        "sources:\n- kind: tar   # here\n  url: x\n  ref: abc\ndepends:\n- a\n");
  CHECK(spliced("sources:\n  - kind: tar\n    url: x\n\n  # of the next\n  - kind: local\n",
                kFirst) ==
        "sources:\n  - kind: tar\n    url: x\n    ref: abc\n\n  # of the next\n  - kind: local\n");
  CHECK(spliced("sources:\n- kind: tar\n  url: x\n- kind: zip\n  url: y", kSecond) ==
        "sources:\n- kind: tar\n  url: x\n- kind: zip\n  url: y\n  ref: abc\n");
  CHECK(spliced("sources:\n- kind: tar\n  config:\n    a: |\n      text\n      # no "
                "comment\n\nvariables: {}\n",
                kFirst) ==
        "sources:\n- kind: tar\n  config:\n    a: |\n      text\n      # no comment\n  ref: "
        "abc\n\nvariables: {}\n");
  CHECK(spliced("sources:\n- {kind: tar, url: 'x}y'}\n", kFirst) ==
        "sources:\n- {kind: tar, url: 'x}y', ref: abc}\n");
  CHECK(spliced("sources:\n  (>):\n  - kind: tar\n    url: x\n",
                {"ksources", "k(>)", "i0", "kref"}) ==
        "sources:\n  (>):\n  - kind: tar\n    url: x\n    ref: abc\n");
}

TEST_CASE("project.refs is laid out as BuildStream does") {
  const TreePath path = {"kprojects", "ktest", "kn.bst", "i0", "kref"};
  const std::string first = spliced("", path);
  CHECK(first == "projects:\n  test:\n    n.bst:\n    - ref: abc\n");
  const std::string two = spliced(first, {"kprojects", "ktest", "kr.bst", "i1", "kref"}, "def");
  CHECK(two == first + "    r.bst:\n    - {}\n    - ref: def\n");
  CHECK(spliced(two, {"kprojects", "ksub", "kx/y.bst", "i0", "kref"}) ==
        two + "  sub:\n    x/y.bst:\n    - ref: abc\n");
  CHECK(spliced(two, {"kprojects", "ktest", "kn.bst", "i1", "kref"}) ==
        "projects:\n  test:\n    n.bst:\n    - ref: abc\n    - ref: abc\n    r.bst:\n    - {}\n    "
        "- ref: def\n");
  CHECK(spliced(two, {"kprojects", "ktest", "kr.bst", "i0", "kref"}) ==
        "projects:\n  test:\n    n.bst:\n    - ref: abc\n    r.bst:\n    - {ref: abc}\n    - ref: "
        "def\n");
  for (const char* empty : {"projects: {}\n", "{}\n", "{}", "{ }  \n", "projects:\n  test: {}\n",
                            "projects:\n  test:\n    n.bst: []\n"}) {
    INFO(empty);
    CHECK(spliced(empty, path) == first);
  }
  CHECK(spliced("# mine\n{}\n", path) == "# mine\n" + first);
  CHECK(spliced("# mine\n", path) == "# mine\n" + first);
}

TEST_CASE("what YAML would take for something else is quoted") {
  for (const char* value :
       {"", "12", "1e5", "true", "a: b", "it's", "#x", "- x", "a #b", "*a", "0x10"}) {
    const auto result = splice("sources:\n- kind: tar\n", kFirst, model::Node::make_scalar(value));
    INFO(value);
    REQUIRE(result);
    const auto there = value_at(*result, kFirst);
    REQUIRE(there);
    CHECK(*there == model::Node::make_scalar(value));
    CHECK(result->find('\'') != std::string::npos);
  }
}

TEST_CASE("layouts that aren't understood are left alone") {
  for (const char* text :
       {"sources: x\n", "- a\n", "a: b: c\n", "sources:\n- ref: a long\n    text\n"}) {
    INFO(text);
    CHECK_FALSE(splice(text, kFirst, model::Node::make_scalar("abc")));
  }
  CHECK_FALSE(splice("a: b\n", {}, model::Node::make_scalar("abc")));
  CHECK_FALSE(splice("a: b\n", {"ix"}, model::Node::make_scalar("abc")));
}

const TreePath kTags = {"ksources", "i0", "ktags"};

model::Node scalar(const char* text) { return model::Node::make_scalar(text); }
model::Node tag(const char* name, const char* commit, const char* annotated) {
  return model::Node::make_map(
      {{"tag", scalar(name)}, {"commit", scalar(commit)}, {"annotated", scalar(annotated)}});
}
std::string with(std::string_view text, const TreePath& path, const model::Node& value) {
  auto result = splice(text, path, value);
  INFO(text);
  if (!result) FAIL(result.error().str());
  return *result;
}

TEST_CASE("a list is written as BuildStream lays it out") {
  const model::Node tags =
      model::Node::make_list({tag("v1", "aa", "true"), tag("1.0", "bb", "false")});
  const std::string written =
      "  tags:\n  - tag: v1\n    commit: aa\n    annotated: true\n  - tag: '1.0'\n    commit: bb\n "
      "   annotated: false\n";
  CHECK(with("sources:\n- kind: git\n  ref: x  # why\n\n# end\n", kTags, tags) ==
        "sources:\n- kind: git\n  ref: x  # why\n" + written + "\n# end\n");
  // With another number of items all are written anew, where they stood.
  CHECK(with("sources:\n- kind: git\n  tags:\n  # of old\n  - tag: v0\n    commit: cc\n    "
             "annotated: true\n  ref: x\n",
             kTags, tags) == "sources:\n- kind: git\n" + written + "  ref: x\n");
  CHECK(with("sources:\n- tags: []\n  kind: git\n", kTags, tags) ==
        "sources:\n- " + written.substr(2) + "  kind: git\n");
  CHECK(with("sources:\n- kind: git\n  tags: [{tag: v0, commit: cc, annotated: true}]  # gone\n",
             kTags, tags) == "sources:\n- kind: git\n" + written);
  CHECK(with("sources:\n- {kind: git, ref: x}\n", kTags, tags) ==
        "sources:\n- {kind: git, ref: x, tags: [{tag: v1, commit: aa, annotated: true}, {tag: "
        "'1.0', commit: bb, annotated: false}]}\n");
  CHECK(with("", {"kprojects", "kp", "ke.bst", "i0", "ktags"}, tags) ==
        "projects:\n  p:\n    e.bst:\n    - tags:\n      - tag: v1\n        commit: aa\n        "
        "annotated: true\n"
        "      - tag: '1.0'\n        commit: bb\n        annotated: false\n");
}

TEST_CASE("of the same shape, only the texts that differ are touched") {
  const model::Node tags = model::Node::make_list({tag("v2", "aa", "true")});
  CHECK(with("sources:\n- tags:\n    - commit: aa  # same\n      tag: \"v1\"  # was\n      "
             "annotated: true\n",
             kTags, tags) ==
        "sources:\n- tags:\n    - commit: aa  # same\n      tag: \"v2\"  # was\n      annotated: "
        "true\n");
  const model::Node ref =
      model::Node::make_map({{"go-version", scalar("v1.2")}, {"explicit", scalar("true")}});
  CHECK(with("sources:\n- ref:\n    # of the module\n    go-version: v1.1\n    explicit: true\n",
             kFirst, ref) ==
        "sources:\n- ref:\n    # of the module\n    go-version: v1.2\n    explicit: true\n");
}

TEST_CASE("a text of several lines is written as BuildStream writes it") {
  const model::Node lines = scalar("one==1.10\ntwo==2.0.1");
  CHECK(with("sources:\n- kind: pip\n", kFirst, lines) ==
        "sources:\n- kind: pip\n  ref: \"one==1.10\\ntwo==2.0.1\"\n");
  CHECK(with("sources:\n- ref: 'a b'\n  kind: pip\n", kFirst, lines) ==
        "sources:\n- ref: \"one==1.10\\ntwo==2.0.1\"\n  kind: pip\n");
  CHECK(with("sources:\n- kind: pip\n  ref: |-\n    a\n    b\n  packages: [x]\n", kFirst, lines) ==
        "sources:\n- kind: pip\n  ref: |-\n    one==1.10\n    two==2.0.1\n  packages: [x]\n");
  CHECK(with("sources:\n- ref: |-\n    a\n\n    b\n", kFirst, scalar("c\n\nd: #e")) ==
        "sources:\n- ref: |-\n    c\n\n    d: #e\n");
  CHECK(with("sources:\n- ref: >-\n    a\n    b\n  kind: pip\n", kFirst, scalar("c\td\x01")) ==
        "sources:\n- ref: \"c\\td\\x01\"\n  kind: pip\n");
}

TEST_CASE("a key that has no value any more is taken away") {
  CHECK(with("sources:\n- kind: git\n  tags:\n  - tag: v1\n    commit: aa\n    annotated: true\n  "
             "# of the ref\n  ref: x\n",
             kTags, {}) == "sources:\n- kind: git\n  # of the ref\n  ref: x\n");
  CHECK(with("sources:\n- kind: git\n  ref: x\n", kTags, {}) ==
        "sources:\n- kind: git\n  ref: x\n");
  CHECK_FALSE(splice("sources:\n- {kind: git, tags: [], ref: x}\n", kTags, {}));
}

}  // namespace
}  // namespace sluice::yaml
