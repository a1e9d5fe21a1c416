#include "loader/python/expression.h"

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_calls.h"
#include "loader/python/expression_tree.h"
#include "loader/python/expression_values.h"

namespace sluice::loader {

namespace {

class Evaluator {
 public:
  explicit Evaluator(const ValueMap& names) : names_(names) {}

  // NOLINTNEXTLINE(misc-no-recursion): the tree's height is bounded
  Result<Value> value_of(const Expression& at) const {
    using Kind = ExpressionKind;
    switch (at.kind) {
      case Kind::kConstant: return at.value;
      case Kind::kName: return name(at.text);
      case Kind::kList: return Value{TRY(values_of(at, 0, at.operands.size()))};
      case Kind::kTuple: return Value{Tuple{TRY(values_of(at, 0, at.operands.size()))}};
      case Kind::kDictionary: return dictionary(at);
      case Kind::kNot: return Value{!TRY(truth(TRY(value_of(*at.operands[0]))))};
      case Kind::kNegative:
        return arithmetic(TRY(value_of(*at.operands[0])), "*", Value{std::int64_t{-1}})
            .and_then(number);
      case Kind::kPositive:
        return arithmetic(TRY(value_of(*at.operands[0])), "*", Value{std::int64_t{1}})
            .and_then(number);
      case Kind::kAnd:
      case Kind::kOr: return junction(at);
      case Kind::kConditional: return conditional(at);
      case Kind::kCompare: return comparison(at);
      case Kind::kArithmetic: {
        Value value = TRY(value_of(*at.operands[0]));
        for (std::size_t i = 1; i < at.operands.size(); ++i)
          value = TRY(arithmetic(value, at.operators[i - 1], TRY(value_of(*at.operands[i]))));
        return value;
      }
      case Kind::kConcatenate: {
        Value value{std::string()};
        for (const ExpressionPtr& operand : at.operands)
          value = TRY(arithmetic(value, "+", Value{TRY(text_of(TRY(value_of(*operand))))}));
        return value;
      }
      case Kind::kAttribute: return attribute_of(TRY(value_of(*at.operands[0])), at.text);
      case Kind::kItem: return item(TRY(value_of(*at.operands[0])), TRY(value_of(*at.operands[1])));
      case Kind::kSlice: {
        ValueList parts;
        for (const ExpressionPtr& operand : at.operands)
          parts.push_back(operand != nullptr ? TRY(value_of(*operand)) : Value{std::monostate{}});
        return slice_of(parts[0], parts[1], parts[2], parts[3]);
      }
      case Kind::kTest:
        return Value{TRY(apply_test(at.text, TRY(value_of(*at.operands[0])), TRY(arguments(at))))};
      case Kind::kFilter:
        return apply_filter(at.text, TRY(value_of(*at.operands[0])), TRY(arguments(at)));
      case Kind::kCall: return call(TRY(value_of(*at.operands[0])), TRY(arguments(at)));
    }
    return expression_failure("an unknown kind of expression");
  }

 private:
  Result<Value> name(const std::string& word) const {
    const auto found = names_.find(word);
    if (found != names_.end()) return found->second;
    if (word == "self")
      return expression_failure("'self' is not supported; only options have names");
    return Value{Undefined{fmt::format("'{}' is undefined", word)}};
  }

  static Result<Value> number(Value value) {
    if (integer_of(value) || std::holds_alternative<double>(value.data)) return value;
    return expression_failure(fmt::format("bad operand type for a sign: '{}'", type_of(value)));
  }

  Result<ValueList> values_of(const Expression& at, std::size_t first, std::size_t end) const {
    ValueList values;
    for (std::size_t i = first; i < end; ++i) values.push_back(TRY(value_of(*at.operands[i])));
    return values;
  }

  Result<Arguments> arguments(const Expression& at) const {
    Arguments arguments;
    const std::size_t named = at.operands.size() - at.keywords.size();
    arguments.positional = TRY(values_of(at, 1, named));
    for (std::size_t i = 0; i < at.keywords.size(); ++i)
      arguments.named.emplace_back(at.keywords[i], TRY(value_of(*at.operands[named + i])));
    return arguments;
  }

  Result<Value> dictionary(const Expression& at) const {
    Dictionary made;
    for (std::size_t i = 0; i < at.operands.size(); i += 2)
      CHECK(insert(made, TRY(value_of(*at.operands[i])), TRY(value_of(*at.operands[i + 1]))));
    return Value{std::move(made)};
  }

  // The value of `and` and `or` is the one that decides, as in Python; operands behind it are not
  // evaluated.
  Result<Value> junction(const Expression& at) const {
    for (std::size_t i = 0; i + 1 < at.operands.size(); ++i) {
      Value value = TRY(value_of(*at.operands[i]));
      if (TRY(truth(value)) == (at.kind == ExpressionKind::kOr)) return value;
    }
    return value_of(*at.operands.back());
  }

  Result<Value> conditional(const Expression& at) const {
    if (TRY(truth(TRY(value_of(*at.operands[1]))))) return value_of(*at.operands[0]);
    if (at.operands[2] != nullptr) return value_of(*at.operands[2]);
    return Value{Undefined{
        "the inline if-expression evaluated to false and no else section was defined.", true}};
  }

  Result<Value> comparison(const Expression& at) const {
    Value left = TRY(value_of(*at.operands[0]));
    for (std::size_t i = 1; i < at.operands.size(); ++i) {
      Value right = TRY(value_of(*at.operands[i]));
      if (!TRY(compare(left, at.operators[i - 1], right))) return Value{false};
      left = std::move(right);
    }
    return Value{true};
  }

  // An item, or else a method of that name.
  static Result<Value> item(const Value& of, const Value& index) {
    Value found = TRY(item_of(of, index));
    const auto* name = std::get_if<std::string>(&index.data);
    if (!std::holds_alternative<Undefined>(found.data) || name == nullptr) return found;
    Value attribute = TRY(attribute_of(of, *name));
    return std::holds_alternative<Undefined>(attribute.data) ? found : attribute;
  }

  const ValueMap& names_;
};

Result<bool> evaluated(std::string_view expression, const ValueMap& names) {
  const ExpressionPtr tree = TRY(parse_expression(expression));
  return truth(TRY(Evaluator(names).value_of(*tree)));
}

}  // namespace

Result<bool> evaluate(std::string_view expression, const ValueMap& names) {
  auto result = evaluated(expression, names);
  if (!result)
    result.error().message =
        fmt::format("Failed to evaluate expression ({}): {}", expression, result.error().message);
  return result;
}

}  // namespace sluice::loader
