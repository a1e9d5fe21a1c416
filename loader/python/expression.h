// The expressions of conditionals, `(?)`: what Jinja2 3.1 evaluates for BuildStream, which takes
// its globals away and gives it StrictUndefined and the options' values.
//
// Taken: literals (strings, integers, floats, lists, tuples, dictionaries, true, false, none),
// names of options, `and`, `or`, `not`, comparisons (chained, as in Python), arithmetic, `~`,
// subscripts and slices, `(x if y else z)` in parentheses, and the tests (`is`), filters and
// methods of expression_calls.h. What Jinja2 has beyond that is refused by name, with what to write
// instead; what Jinja2 refuses is refused.
//
// A name that is no option is an error when its value is used. Where BuildStream itself fails (`1 <
// 'a'`, a division by zero) there is an error here too. Errors: load/expression-failed, without a
// place.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace sluice::loader {

struct Value;
using ValueList = std::vector<Value>;
// The value of what has none, and why: the message of the error when it is used.
struct Undefined {
  std::string why;
  // Jinja2's plain kind, which it makes of a conditional without `else`: false, empty, and no error
  // by itself.
  bool lenient = false;
};
struct Tuple {
  ValueList items;
};
// Entries in the order of their making, key by key; keys are unique.
struct Dictionary {
  ValueList keys;
  ValueList values;
};
// The items that Python would give one by one, once: it is true, and has neither length nor items
// by number.
struct Iterator {
  ValueList items;
};
// A method that was named and not yet called.
struct Method {
  std::shared_ptr<const Value> of;
  std::string name;
};
// A value of an option, or of a part of an expression.
struct Value {
  std::variant<Undefined, std::monostate, bool, std::int64_t, double, std::string, ValueList, Tuple,
               Dictionary, Iterator, Method>
      data;
};

using ValueMap = std::map<std::string, Value, std::less<>>;

Result<bool> evaluate(std::string_view expression, const ValueMap& names);

}  // namespace sluice::loader
