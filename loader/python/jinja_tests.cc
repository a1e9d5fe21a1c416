// Jinja2's tests, `is`.
#include <algorithm>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_callables.h"
#include "loader/python/expression_calls.h"
#include "loader/python/expression_strings.h"
#include "loader/python/expression_values.h"

namespace sluice::loader {

using namespace callables;  // NOLINT(google-build-using-namespace)

namespace {

template <typename Type>
Result<Value> is(const Value& subject, Given) {
  return Value{std::holds_alternative<Type>(subject.data)};
}
template <bool Wanted>
Result<Value> is_flag(const Value& subject, Given) {
  const auto* flag = std::get_if<bool>(&subject.data);
  return Value{flag != nullptr && *flag == Wanted};
}

Result<bool> divisible(const Value& subject, const Value& by, std::int64_t rest) {
  return equal(TRY(arithmetic(subject, "%", by)), Value{rest});
}

Result<Value> same(const Value& subject, Given given) {
  const Value& other = *given[0];
  if (is_undefined(subject) || is_undefined(other) || subject.data.index() != other.data.index())
    return Value{false};
  if (std::holds_alternative<std::monostate>(subject.data) ||
      std::holds_alternative<bool>(subject.data))
    return Value{TRY(equal(subject, other))};
  if (!TRY(equal(subject, other))) return Value{false};
  return expression_failure(
      "whether two equal values are the same object is not supported; write '=='");
}

template <Status (*Known)(std::string_view)>
Result<Value> is_known(const Value& subject, Given) {
  CHECK(defined(subject));
  const auto* name = std::get_if<std::string>(&subject.data);
  return Value{name != nullptr && Known(*name).has_value()};
}

#define SLUICE_COMPARISON(name, op)                                                                \
  {                                                                                                \
    name, {"other"}, 1,                                                                            \
        [](const Value& s, Given g) -> Result<Value> { return Value{TRY(compare(s, op, *g[0]))}; } \
  }

const std::vector<Callable>& tests() {
  static const std::vector<Callable> kTests = {
      {"defined",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{!is_undefined(s)}; }},
      {"undefined", {}, 0, is<Undefined>},
      {"none", {}, 0, is<std::monostate>},
      {"boolean", {}, 0, is<bool>},
      {"true", {}, 0, is_flag<true>},
      {"false", {}, 0, is_flag<false>},
      {"integer", {}, 0, is<std::int64_t>},
      {"float", {}, 0, is<double>},
      {"number",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{integer_of(s) || std::holds_alternative<double>(s.data)};
       }},
      {"string", {}, 0, is<std::string>},
      {"mapping", {}, 0, is<Dictionary>},
      {"sequence",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{methods_of(s) != nullptr}; }},
      {"iterable",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         CHECK(defined(s));
         return Value{methods_of(s) != nullptr || std::holds_alternative<Iterator>(s.data)};
       }},
      {"callable",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{is_undefined(s) || std::holds_alternative<Method>(s.data)};
       }},
      {"escaped", {}, 0, [](const Value&, Given) -> Result<Value> { return Value{false}; }},
      {"upper",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(has_case(s, is_upper, is_lower))};
       }},
      {"lower",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(has_case(s, is_lower, is_upper))};
       }},
      {"odd",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(divisible(s, Value{std::int64_t{2}}, 1))};
       }},
      {"even",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(divisible(s, Value{std::int64_t{2}}, 0))};
       }},
      {"divisibleby",
       {"num"},
       1,
       [](const Value& s, Given g) -> Result<Value> { return Value{TRY(divisible(s, *g[0], 0))}; }},
      {"sameas", {"other"}, 1, same},
      {"filter", {}, 0, is_known<known_filter>},
      {"test", {}, 0, is_known<known_test>},
      SLUICE_COMPARISON("in", "in"),
      SLUICE_COMPARISON("==", "=="),
      SLUICE_COMPARISON("eq", "=="),
      SLUICE_COMPARISON("equalto", "=="),
      SLUICE_COMPARISON("!=", "!="),
      SLUICE_COMPARISON("ne", "!="),
      SLUICE_COMPARISON(">", ">"),
      SLUICE_COMPARISON("gt", ">"),
      SLUICE_COMPARISON("greaterthan", ">"),
      SLUICE_COMPARISON(">=", ">="),
      SLUICE_COMPARISON("ge", ">="),
      SLUICE_COMPARISON("<", "<"),
      SLUICE_COMPARISON("lt", "<"),
      SLUICE_COMPARISON("lessthan", "<"),
      SLUICE_COMPARISON("<=", "<="),
      SLUICE_COMPARISON("le", "<="),
  };
  return kTests;
}

}  // namespace

Status known_test(std::string_view name) {
  if (find(tests(), name) != nullptr) return {};
  return expression_failure(fmt::format("No test named '{}'.", name));
}

Result<bool> apply_test(std::string_view name, const Value& subject, const Arguments& arguments) {
  CHECK(known_test(name));
  return truth(TRY(apply(*find(tests(), name), subject, arguments)));
}

}  // namespace sluice::loader
