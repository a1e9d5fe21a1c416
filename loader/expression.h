// The expressions of conditionals, `(?)`: what Jinja2 evaluates for BuildStream, as far
// as projects use it.
//
// Literals (strings, integers, floats, lists, tuples, true, false, none), names of
// options, `not`, `and`, `or`, comparisons (chained, as in Python), `in`, `not in`,
// `x if y else z`, `~`, `+`, subscripts of lists, `is [not] defined`, parentheses.
// Filters, calls and other tests are refused by name.
//
// A name that is no option is an error when its value is used, as with Jinja2's
// StrictUndefined. Errors: load/expression-failed, without a place.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace sluice::loader {

// A value of an option.
struct Value;
using ValueList = std::vector<Value>;
struct Undefined {
  std::string name;
};
struct Value {
  std::variant<Undefined, std::monostate, bool, std::int64_t, double, std::string, ValueList> data;
};

using ValueMap = std::map<std::string, Value, std::less<>>;

Result<bool> evaluate(std::string_view expression, const ValueMap& names);

}  // namespace sluice::loader
