// What the methods, tests and filters of expressions have in common: rows of a table, each with its
// parameters and a function, and how arguments become what such a function is given.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "loader/python/expression.h"
#include "loader/python/expression_calls.h"

namespace sluice::loader::callables {

// The end of errors for what there is in Python or Jinja2, and isn't here.
inline constexpr std::string_view kInstead =
    "compare the values of options instead (==, !=, in, not in, and, or, not)";

// The arguments by the callee's parameters; nothing where none was given.
using Given = std::span<const std::optional<Value>>;

struct Callable {
  std::string_view name;
  std::vector<std::string_view> parameters;
  std::size_t required;  // of the parameters, those that have no default
  Result<Value> (*call)(const Value& subject, Given given);
};

// The row of that name, or nullptr.
const Callable* find(const std::vector<Callable>& table, std::string_view name);
inline bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Calls it as Python would: arguments by position, then by name. Too many, unknown, missing and
// repeated ones are errors.
Result<Value> apply(const Callable& callable, const Value& subject, const Arguments& arguments);

// A value as what a callee takes it for; an error names what it is instead.
Result<std::string> wanted_string(const Value& value);
Result<std::int64_t> wanted_integer(const Value& value);
// An argument that may be absent or, of integers, none.
Result<std::int64_t> integer_or(const std::optional<Value>& value, std::int64_t otherwise);
Result<bool> flag_or(const std::optional<Value>& value, bool otherwise);

inline bool is_undefined(const Value& value) {
  return std::holds_alternative<Undefined>(value.data);
}

// The methods of the values of a type; nullptr for types that have none.
const std::vector<Callable>* methods_of(const Value& value);

}  // namespace sluice::loader::callables
