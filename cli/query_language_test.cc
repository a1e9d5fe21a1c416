#include "cli/query_language.h"

#include <catch2/catch.hpp>

namespace sluice::cli {
namespace {

model::Element element(std::string name, std::string kind,
                       std::vector<model::Dependency> dependencies) {
  model::Element element;
  element.name = element.full_name = std::move(name);
  element.kind = std::move(kind);
  element.dependencies = std::move(dependencies);
  return element;
}

// base <- lib (build and run time), tool; app builds with tool and lib, and needs lib at run time;
// all is a stack of app.
model::Snapshot project() {
  model::Snapshot snapshot;
  snapshot.elements = {
      element("base.bst", "import", {}),
      element("core/lib.bst", "autotools", {{0, true, true, false}}),
      element("tool-a.bst", "manual", {{0, true, false, false}}),
      element("app.bst", "manual", {{2, true, false, false}, {1, true, true, false}}),
      element("all.bst", "stack", {{3, true, true, false}})};
  return snapshot;
}

std::string answer(const std::string& text) {
  const auto snapshot = project();
  const Graph graph(snapshot);
  const auto query = parse_query(text);
  if (!query) return query.error().message;
  const auto set = answer_query(*query, graph);
  if (!set) return set.error().message;
  std::string names;
  for (std::size_t i = 0; i < set->size(); ++i) {
    if ((*set)[i]) names += (names.empty() ? "" : " ") + snapshot.elements[i].full_name;
  }
  return names;
}

TEST_CASE("What queries mean") {
  CHECK(answer("app.bst") == "app.bst");
  CHECK(answer("'app.bst'") == "app.bst");
  CHECK(answer("*.bst") == "base.bst tool-a.bst app.bst all.bst");
  CHECK(answer("**") == "base.bst core/lib.bst tool-a.bst app.bst all.bst");
  CHECK(answer("all()") == answer("**"));
  CHECK(answer("deps(app.bst)") == "base.bst core/lib.bst tool-a.bst app.bst");
  CHECK(answer("deps(app.bst, 1)") == "core/lib.bst tool-a.bst app.bst");
  CHECK(answer("deps(app.bst, 0)") == "app.bst");
  CHECK(answer("deps(app.bst, runtime)") == "base.bst core/lib.bst app.bst");
  CHECK(answer("deps(app.bst, 1, build)") == "core/lib.bst tool-a.bst app.bst");
  CHECK(answer("rdeps(base.bst)") == answer("**"));
  CHECK(answer("rdeps(base.bst,1)") == "base.bst core/lib.bst tool-a.bst");
  CHECK(answer("rdeps(base.bst, runtime)") == "base.bst core/lib.bst app.bst all.bst");
  CHECK(answer("scope(build, app.bst)") == "base.bst core/lib.bst tool-a.bst");
  CHECK(answer("scope(build, tool-a.bst)") == "base.bst");
  CHECK(answer("scope(run, tool-a.bst)") == "tool-a.bst");
  CHECK(answer("scope(none, tool-a.bst)") == "tool-a.bst");
  CHECK(answer("kind(m*, all())") == "tool-a.bst app.bst");
  CHECK(answer("path(all.bst, base.bst)") == "base.bst tool-a.bst app.bst all.bst");
  CHECK(answer("paths(app.bst, base.bst)") == "base.bst core/lib.bst tool-a.bst app.bst");
  CHECK(answer("path(base.bst, app.bst)").empty());
  CHECK(answer("roots(deps(app.bst))") == "app.bst");
  CHECK(answer("leaves(core/lib.bst + app.bst)") == "core/lib.bst");
}

TEST_CASE("A function that isn't there is told with what is near") {
  const auto query = parse_query("dep(app.bst)");
  REQUIRE_FALSE(query);
  CHECK(query.error().detail == "Did you mean 'deps'?");
}

TEST_CASE("Operators go from left to right, parentheses first") {
  CHECK(answer("app.bst + base.bst") == "base.bst app.bst");
  CHECK(answer("all() - app.bst - base.bst") == "core/lib.bst tool-a.bst all.bst");
  CHECK(answer("all() except (app.bst union base.bst)") == "core/lib.bst tool-a.bst all.bst");
  CHECK(answer("all() - app.bst + app.bst") == answer("**"));
  CHECK(answer("all() - (app.bst + all.bst)") == "base.bst core/lib.bst tool-a.bst");
  CHECK(answer("deps(app.bst) ^ rdeps(core/lib.bst)") == "core/lib.bst app.bst");
  CHECK(answer("((tool-a.bst))") == "tool-a.bst");
}

TEST_CASE("What is wrong is said with its column") {
  CHECK(answer("") == "Column 1 of the query: an element or a function is missing at the end");
  CHECK(answer("app.bst base.bst") ==
        "Column 9 of the query: an operator was expected, not 'base.bst'");
  CHECK(answer("app.bst +") ==
        "Column 10 of the query: an element or a function is missing at the end");
  CHECK(answer("+ app.bst") ==
        "Column 1 of the query: an element or a function was expected, not '+'");
  CHECK(answer("(app.bst") == "Column 1 of the query: its parenthesis is never closed");
  CHECK(answer("app.bst)") == "Column 8 of the query: nothing is open that could be closed");
  CHECK(answer("app.bst, base.bst") ==
        "Column 8 of the query: a comma stands between the arguments of a function only");
  CHECK(answer("depth(app.bst)") == "Column 1 of the query: there is no function 'depth'");
  CHECK(answer("deps()") ==
        "Column 6 of the query: an element or a function was expected, not ')'");
  CHECK(answer("path(app.bst)") == "Column 13 of the query: 'path' takes more arguments");
  CHECK(answer("roots(app.bst, 1)") == "Column 16 of the query: 'roots' takes fewer arguments");
  CHECK(answer("all(app.bst)") == "Column 5 of the query: 'all' takes fewer arguments");
  CHECK(answer("kind(app.bst)") ==
        "Column 13 of the query: ',' or ')' was expected in the arguments of 'kind'");
  CHECK(answer("kind((x), app.bst)") == "Column 6 of the query: an argument of 'kind' is missing");
  CHECK(answer("deps(app.bst, -1)") ==
        "Column 1 of the query: 'deps' takes a depth, then 'build' or 'runtime'; not '-1'");
  CHECK(answer("deps(app.bst, build, 1)") ==
        "Column 1 of the query: 'deps' takes a depth, then 'build' or 'runtime'; not '1'");
  CHECK(answer("scope(some, app.bst)") ==
        "Column 1 of the query: 'scope' takes none, run, build or all; not 'some'");
  CHECK(answer("app.bst + nothing.bst") ==
        "Column 11 of the query: 'nothing.bst' is not an element of the universe");
  CHECK(answer("'app.bst") == "Column 1 of the query: the quotation mark is never closed");
  CHECK(answer(std::string(100'000, '(')).find("too deeply nested") != std::string::npos);
}

TEST_CASE("What a query names, and whether it asks about others") {
  const auto query = parse_query("deps(a.bst) + b.bst - kind(c.bst, a.bst)");
  REQUIRE(query);
  CHECK(query->names() == std::vector<std::string>{"a.bst", "b.bst"});
  CHECK_FALSE(query->asks_universe());
  for (const char* text : {"all()", "rdeps(a.bst)", "a.bst + c*"}) {
    const auto asks = parse_query(text);
    REQUIRE(asks);
    CHECK(asks->asks_universe());
  }
}

}  // namespace
}  // namespace sluice::cli
