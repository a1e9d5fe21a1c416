// What Python does with the values of expressions. Every function fails with load/expression-failed
// for a value that is undefined, and where Python raises.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/python/expression.h"

namespace sluice::loader {

// What a string may grow to, in bytes: an expression says yes or no about a few options.
inline constexpr std::size_t kLongestValue = 1 << 20;

tl::unexpected<Error> expression_failure(std::string why);

// Fails when the value is undefined.
Status defined(const Value& value);

// The name of the value's type as Python has it: "str", "list", ...
std::string_view type_of(const Value& value);

// The integer that Python takes a value for; booleans are some. nullopt for others.
std::optional<std::int64_t> integer_of(const Value& value);

Result<bool> truth(const Value& value);
Result<bool> equal(const Value& left, const Value& right);
Result<std::partial_ordering> order(const Value& left, const Value& right);
// Python's comparisons; `op` is one of == != < <= > >= in, not in.
Result<bool> compare(const Value& left, std::string_view op, const Value& right);
// Python's arithmetic; `op` is one of + - * / // % **.
Result<Value> arithmetic(const Value& left, std::string_view op, const Value& right);

// What Python's str() and repr() make of a value.
Result<std::string> text_of(const Value& value);
Result<std::string> representation(const Value& value);

// The characters of a text in UTF-8.
std::vector<std::string> characters(std::string_view text);

// What a loop over a value goes through: items, keys, characters.
Result<ValueList> items_of(const Value& value);
Result<std::int64_t> length_of(const Value& value);

// The value of value[index]; an undefined one where there is none.
Result<Value> item_of(const Value& value, const Value& index);
// The value of value[first:end:step], each none or an integer.
Result<Value> slice_of(const Value& value, const Value& first, const Value& end, const Value& step);

// Adds or replaces an entry. Keys that Python can't hash are errors.
Status insert(Dictionary& dictionary, Value key, Value value);

}  // namespace sluice::loader
