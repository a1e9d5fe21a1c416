#include "base/glob.h"

#include <catch2/catch.hpp>

#include "elements/compose.h"
#include "jobs/names.h"
#include "sandbox/shell_script.h"

using namespace sluice;
using namespace sluice::jobs;

// The expectations were made with BuildStream's own utils.glob().
TEST_CASE("Patterns match as BuildStream's do") {
  const auto matches = [](const char* pattern, const char* path) {
    return Glob(pattern).matches(path);
  };
  CHECK(matches("/usr/*", "/usr/bin"));
  CHECK_FALSE(matches("/usr/*", "/usr/bin/a"));
  CHECK(matches("/usr/**", "/usr/bin/a"));
  CHECK(matches("/usr/**", "/usr/"));
  CHECK_FALSE(matches("/usr/**", "/usr"));
  CHECK(matches("/usr/lib/lib*.so*", "/usr/lib/libz.so.1.2"));
  CHECK_FALSE(matches("/usr/lib/lib*.so*", "/usr/lib/x/libz.so"));
  CHECK(matches("**", "/any/thing"));
  CHECK(matches("/**/*.la", "/usr/lib/libz.la"));
  CHECK(matches("/a?c", "/abc"));
  CHECK_FALSE(matches("/a?c", "/a/c"));
  CHECK(matches("/a?c",
                "/a\xc3\xa4"
                "c"));  // one character, two bytes
  CHECK(matches("/[a-c]x", "/bx"));
  CHECK_FALSE(matches("/[!a-c]x", "/bx"));
  CHECK(matches("/[!a-c]x", "/dx"));
  CHECK(matches("/[]]x", "/]x"));
  CHECK(matches("/[x", "/[x"));
  CHECK(matches("/a[.]b", "/a.b"));
  CHECK_FALSE(matches("/a[.]b", "/axb"));
  CHECK(matches("/[^a]x", "/^x"));
  CHECK(matches("/a\n*", "/a\nb"));
  CHECK(matches("", ""));
  CHECK_FALSE(matches("", "/"));
}

TEST_CASE("A pattern that would take a backtracking matcher for ever") {
  std::string path = "/";
  path.append(5000, 'a');
  CHECK_FALSE(Glob("/**a**a**a**a**a**a**a**a**b").matches(path));
  CHECK(Glob("/**a**a**a**a**a**a**a**a").matches(path));
}

TEST_CASE("Split rules choose by domain") {
  model::Node rules = model::Node::make_map();
  rules.set("runtime", model::Node::make_list({model::Node::make_scalar("/usr/lib/*.so"),
                                               model::Node::make_scalar("/usr/bin/**")}));
  rules.set("devel", model::Node::make_list({model::Node::make_scalar("/usr/include/**"),
                                             model::Node::make_scalar("/usr/lib/*.so")}));
  model::Node bst = model::Node::make_map({{"split-rules", rules}});
  const SplitRules split(model::Node::make_map({{"bst", bst}}));
  using Choice = SplitRules::Choice;
  CHECK(split.selects("usr/bin/a", Choice{{"runtime"}, {}, false}));
  CHECK_FALSE(split.selects("usr/include/a", Choice{{"runtime"}, {}, false}));
  CHECK_FALSE(split.selects("etc/x", Choice{{"runtime"}, {}, false}));
  CHECK(split.selects("etc/x", Choice{{"runtime"}, {}, true}));
  CHECK(split.selects("usr/include/a", Choice{{}, {}, false}));
  CHECK_FALSE(split.selects("usr/lib/a.so", Choice{{}, {"devel"}, true}));
  CHECK_FALSE(split.selects("usr/lib/a.so", Choice{{"runtime"}, {"devel"}, true}));
  // Domains that an element doesn't have include nothing of it.
  CHECK_FALSE(split.selects("usr/bin/a", Choice{{"other"}, {}, false}));
  CHECK(split.selects("usr/bin/a", Choice{{"other", "runtime"}, {}, false}));
}

TEST_CASE("Quoting and scripts are those of BuildStream") {
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("a-b_c=/x,y:z@%+.") == "a-b_c=/x,y:z@%+.");
  CHECK(shell_quote("it's") == "'it'\"'\"'s'");
  CHECK(strip("\n a b \t\n") == "a b");

  // S14: the script changes directory and environment, one sandbox does.
  ShellScript script;
  CHECK(script.empty());
  script.add({{"sh", "-c", "-e", "one\n"}, "/build", {{"A", "1"}, {"B", "2"}}, "one"});
  script.add({{"sh", "-c", "-e", "two\n"}, "/build", {{"A", "1"}, {"C", "3 4"}}, ""});
  script.add({{"sh", "-c", "-e", "\n"}, "/other", {{"A", "1"}, {"C", "3 4"}}, "it's"});
  CHECK(script.directory() == "/build");
  CHECK(script.environment() == model::StringMap{{"A", "1"}, {"B", "2"}, {"PWD", "/build"}});
  CHECK(script.labels() == "one\nit's");
  CHECK(script.text() ==
        "(set -ex; sh -c -e 'one\n') || (echo Command ''\"'\"'one'\"'\"'' failed with exitcode $? "
        ">&2 ; exit 1)\n"
        "unset B\nexport C='3 4'\n"
        "(set -ex; sh -c -e 'two\n') || (echo Command ''\"'\"'sh -c -e '\"'\"'two\n'\"'\"''\"'\"'' "
        "failed with exitcode $? >&2 ; exit 1)\n"
        "mkdir -p /other\ncd /other\nexport PWD=/other\n"
        "(set -ex; sh -c -e '\n') || (echo Command ''\"'\"'it'\"'\"'s'\"'\"'' failed with exitcode "
        "$? >&2 ; exit 1)\n");
}
