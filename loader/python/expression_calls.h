// What an expression may call: Jinja2's tests and filters, and Python's methods of strings, lists
// and dictionaries, as far as values of options have a use for them. What is there and isn't listed
// here (groupby, format, encode, ...) is refused by name.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/python/expression.h"

namespace sluice::loader {

struct Arguments {
  ValueList positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Errors for names that there are none of, in Jinja2 or here.
Status known_test(std::string_view name);
Status known_filter(std::string_view name);

Result<bool> apply_test(std::string_view name, const Value& subject, const Arguments& arguments);
Result<Value> apply_filter(std::string_view name, const Value& subject, const Arguments& arguments);
Result<Value> call(const Value& callee, const Arguments& arguments);

// subject.name: a method, an item of a dictionary, or undefined.
Result<Value> attribute_of(const Value& subject, const std::string& name);

}  // namespace sluice::loader
