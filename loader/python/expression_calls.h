// What an expression may call: Jinja2's tests and filters, and Python's methods of strings, lists
// and dictionaries, as far as values of options have a use for them. The tables are in
// jinja_tests.cc, jinja_filters.cc and expression_methods.cc; what there is and they haven't
// (groupby, format, encode, ...) is refused by name.
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

// Errors for names of tests and filters that neither Jinja2 nor Sluice has.
Status known_test(std::string_view name);
Status known_filter(std::string_view name);

Result<bool> apply_test(std::string_view name, const Value& subject, const Arguments& arguments);
Result<Value> apply_filter(std::string_view name, const Value& subject, const Arguments& arguments);
Result<Value> call(const Value& callee, const Arguments& arguments);

// The value of subject.name: a method, an item of a dictionary, or undefined.
Result<Value> attribute_of(const Value& subject, const std::string& name);

}  // namespace sluice::loader
