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

// An error when it is undefined.
Status defined(const Value& value);

// "str", "list", ...
std::string_view type_of(const Value& value);

// An integer, where Python takes one for it: booleans are some.
std::optional<std::int64_t> integer_of(const Value& value);

Result<bool> truth(const Value& value);
Result<bool> equal(const Value& left, const Value& right);
Result<std::partial_ordering> order(const Value& left, const Value& right);
// op: == != < <= > >= in, not in
Result<bool> compare(const Value& left, std::string_view op, const Value& right);
// op: + - * / // % **
Result<Value> arithmetic(const Value& left, std::string_view op, const Value& right);

// str() and repr().
Result<std::string> text_of(const Value& value);
Result<std::string> representation(const Value& value);

// UTF-8 by characters.
std::vector<std::string> characters(std::string_view text);

// What a loop goes through: items, keys, characters.
Result<ValueList> items_of(const Value& value);
Result<std::int64_t> length_of(const Value& value);

// value[index]; an undefined value where there is none.
Result<Value> item_of(const Value& value, const Value& index);
// value[first:end:step], each none or an integer.
Result<Value> slice_of(const Value& value, const Value& first, const Value& end, const Value& step);

// Adds or replaces; an error for keys that Python can't hash.
Status insert(Dictionary& dictionary, Value key, Value value);

}  // namespace sluice::loader
