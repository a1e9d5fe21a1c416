// What `sluice query` is asked: expressions over sets of elements.
//
//   expression = term *( ( "+" / "-" / "^" ) term )          ; from left to right
//   term       = WORD / FUNCTION "(" [ argument *( "," argument ) ] ")" / "(" expression ")"
//   argument   = expression                  ; what a function takes for words are WORDs
//
// A WORD is the full name of an element, or a wildcard (base/glob.h) over those of the universe. It
// ends at white space, a comma or a parenthesis; in quotation marks, "..." or '...', it may have
// these too. An operator stands alone: "a-b.bst" is a WORD. "union", "except" and "intersect" are
// operators too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/graph.h"

namespace sluice::cli {

// A parsed expression in the order of evaluation: each step takes its operands from a stack and
// leaves one set there.
struct Query {
  struct Step {
    enum class Kind { kWord, kFunction, kOperator };
    Kind kind = Kind::kWord;
    std::string text;                // the word; the function; "+", "-" or "^"
    std::vector<std::string> words;  // a function's arguments that are no expressions
    unsigned operands = 0;           // that it takes from the stack
    std::size_t column = 0;          // in the text, from 1
  };
  std::vector<Step> steps;

  // Names of elements without wildcards, each once.
  std::vector<std::string> names() const;
  // Whether the answer depends on what else is loaded: wildcards, all(), rdeps().
  bool asks_universe() const;
};

// Error: domain "app", reason "invalid-query", with the column.
Result<Query> parse_query(std::string_view text);

// For each element whether it is in the answer. Error: "invalid-query" for a name that isn't in the
// snapshot.
Result<std::vector<bool>> answer_query(const Query& query, const Graph& graph);

// A table of the functions, for --help.
std::string_view query_functions();

}  // namespace sluice::cli
