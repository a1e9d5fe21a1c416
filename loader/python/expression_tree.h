// An expression as a tree, by Jinja2's grammar (its parser.py, from `parse_condexpr` to
// `parse_test`).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loader/python/expression.h"

namespace sluice::loader {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

enum class ExpressionKind {
  kConstant,    // value
  kName,        // text
  kList,        // operands
  kTuple,       // operands
  kDictionary,  // operands: key, value, key, value
  kNot,         // one operand
  kNegative,    // one operand
  kPositive,    // one operand
  kAnd,         // operands
  kOr,          // operands
  // operands: what is taken when the second is true, the condition, what is taken else (or null)
  kConditional,
  kCompare,      // operands with an operator between each two
  kArithmetic,   // the same as of kCompare, of one precedence, from the left
  kConcatenate,  // operands
  kAttribute,    // one operand, text
  kItem,         // operands: of what, which
  kSlice,        // operands: of what, first, end, step (or null)
  kTest,         // operands: of what, then arguments; text
  kFilter,       // the same as of kTest
  kCall,         // the same as of kTest, without text
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int height = 1;  // of the tree from here down; bounded, since evaluation recurses
  Value value;
  std::string text;
  std::vector<ExpressionPtr> operands;
  std::vector<std::string> operators;
  std::vector<std::string> keywords;  // names of the last operands, of calls
};

// Parses an expression. Errors: load/expression-failed with the reason as message. Tests and
// filters that nobody knows are errors here, as they are where Jinja2 compiles, unless they stand
// in a conditional.
Result<ExpressionPtr> parse_expression(std::string_view text);

}  // namespace sluice::loader
