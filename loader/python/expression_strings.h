// What Python's methods of strings do, for expressions; Jinja2's tests and filters of strings do
// the same. Texts are UTF-8. Cases and classes of characters are those of ASCII: ascii() refuses
// others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/try.h"
#include "loader/python/expression_callables.h"
#include "loader/python/expression_values.h"

namespace sluice::loader::callables {

// The text, or an error when it has characters beyond ASCII.
Result<std::string> ascii(std::string text);
bool is_upper(char c);
bool is_lower(char c);
bool is_alpha(char c);
bool is_digit(char c);
bool is_space(char c);
char upper(char c);
char lower(char c);
char swapped(char c);
std::string mapped(std::string text, char (*map)(char));

// The text without the characters of `of`, or without white space when that is absent or none, at
// some `ends`: 1 the front, 2 the back, 3 both.
Result<std::string> stripped(const std::string& text, const std::optional<Value>& of, int ends);
// The first `count` times that `from` comes, all when that is below 0.
Result<std::string> replaced(const std::string& text, const std::string& from,
                             const std::string& to, std::int64_t count);
// A list of parts, split `most` times at most, without limit when that is below 0. Without a
// separator it is runs of white space, as in Python.
Result<Value> split(const std::string& text, const std::optional<Value>& separator,
                    std::int64_t most, bool from_right);
// Whether a text begins (`front`) or ends with a string, or with one of a tuple of strings.
Result<bool> affixed(const std::string& text, const Value& affix, bool front);
std::string capitalized(std::string text);
// The text with a capital after each character for which `starts` is true.
std::string titled(std::string text, bool (*starts)(char));
// What str.title() and the filter `title` begin a word after.
bool no_letter(char c);
bool starts_word(char c);
// Where a part is, in characters; what is nowhere is -1, or an error when it `must` be there.
Result<Value> position(const Value& subject, Given given, bool last, bool must);
Result<std::int64_t> count_of(const std::string& text, const std::string& part);
// Some letters of a text are of one case, and none of the other.
Result<bool> has_case(const Value& subject, bool (*is)(char), bool (*other)(char));
// A callee that maps each character of its subject.
template <char (*Map)(char)>
Result<Value> cased(const Value& subject, Given) {
  return Value{mapped(TRY(ascii(TRY(text_of(subject)))), Map)};
}
Result<Value> partition(const Value& subject, Given given, bool last);
// `any_type`: items that are no strings are printed; else they are errors.
Result<Value> joined(const std::string& separator, const ValueList& items, bool any_type);

}  // namespace sluice::loader::callables
