#include "loader/python/expression_calls.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_values.h"

namespace sluice::loader {

namespace {

constexpr std::string_view kInstead =
    "compare the values of options instead (==, !=, in, not in, and, or, not)";

// The arguments by the callee's parameters; nothing where none was given.
using Given = std::span<const std::optional<Value>>;

struct Callable {
  std::string_view name;
  std::vector<std::string_view> parameters;
  std::size_t required;
  Result<Value> (*call)(const Value& subject, Given given);
};

template <typename Table>
const Callable* find(const Table& table, std::string_view name) {
  for (const Callable& callable : table) {
    if (callable.name == name) return &callable;
  }
  return nullptr;
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<Value> apply(const Callable& callable, const Value& subject, const Arguments& arguments) {
  std::vector<std::optional<Value>> given(callable.parameters.size());
  if (arguments.positional.size() > given.size()) {
    return expression_failure(fmt::format("'{}' takes at most {} arguments, not {}", callable.name,
                                          given.size(), arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), given.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto parameter = std::find(callable.parameters.begin(), callable.parameters.end(), name);
    const auto at = static_cast<std::size_t>(parameter - callable.parameters.begin());
    if (at == given.size())
      return expression_failure(
          fmt::format("'{}' takes no argument '{}' here", callable.name, name));
    if (given[at])
      return expression_failure(
          fmt::format("'{}' got its argument '{}' twice", callable.name, name));
    given[at] = value;
  }
  for (std::size_t i = 0; i < callable.required; ++i) {
    if (!given[i])
      return expression_failure(
          fmt::format("'{}' lacks its argument '{}'", callable.name, callable.parameters[i]));
  }
  return callable.call(subject, given);
}

Result<std::string> ascii(std::string text) {
  for (const char c : text) {
    if ((c & 0x80) != 0)
      return expression_failure(
          "upper and lower case, and classes of characters, are supported in ASCII only");
  }
  return text;
}
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) { return is_upper(c) || is_lower(c); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); }
char upper(char c) { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
char swapped(char c) { return is_upper(c) ? lower(c) : upper(c); }
std::string mapped(std::string text, char (*map)(char)) {
  std::transform(text.begin(), text.end(), text.begin(), map);
  return text;
}

Result<std::string> wanted_string(const Value& value) {
  CHECK(defined(value));
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  return expression_failure(fmt::format("expected a string, not '{}'", type_of(value)));
}
Result<std::int64_t> wanted_integer(const Value& value) {
  CHECK(defined(value));
  if (const auto integer = integer_of(value)) return *integer;
  return expression_failure(fmt::format("expected an integer, not '{}'", type_of(value)));
}
Result<std::int64_t> integer_or(const std::optional<Value>& value, std::int64_t otherwise) {
  if (!value || std::holds_alternative<std::monostate>(value->data)) return otherwise;
  return wanted_integer(*value);
}
Result<bool> flag_or(const std::optional<Value>& value, bool otherwise) {
  if (!value) return otherwise;
  return truth(*value);
}

bool is_undefined(const Value& value) { return std::holds_alternative<Undefined>(value.data); }

// ---- strings

// ends: 1 the front, 2 the back, 3 both.
Result<std::string> stripped(const std::string& text, const std::optional<Value>& of, int ends) {
  std::vector<std::string> all = characters(text), chars;
  const bool spaces = !of || std::holds_alternative<std::monostate>(of->data);
  if (!spaces) chars = characters(TRY(wanted_string(*of)));
  const auto goes = [&](const std::string& c) {
    return spaces ? c.size() == 1 && is_space(c[0])
                  : std::find(chars.begin(), chars.end(), c) != chars.end();
  };
  std::size_t first = 0, end = all.size();
  while ((ends & 1) != 0 && first < end && goes(all[first])) ++first;
  while ((ends & 2) != 0 && end > first && goes(all[end - 1])) --end;
  std::string result;
  for (std::size_t i = first; i < end; ++i) result += all[i];
  return result;
}

Result<std::string> replaced(const std::string& text, const std::string& from,
                             const std::string& to, std::int64_t count) {
  std::string result;
  const auto append = [&](std::string_view more) { result += more; };
  if (from.empty()) {  // before every character, and at the end
    for (const std::string& character : characters(text)) {
      if (count != 0) append(to);
      if (count > 0) --count;
      append(character);
      if (result.size() > kLongestValue) return expression_failure("a value is too long");
    }
    if (count != 0) append(to);
    return result;
  }
  std::size_t at = 0;
  while (count != 0) {
    const std::size_t found = text.find(from, at);
    if (found == std::string::npos) break;
    append(std::string_view(text).substr(at, found - at));
    append(to);
    at = found + from.size();
    if (count > 0) --count;
    if (result.size() > kLongestValue) return expression_failure("a value is too long");
  }
  append(std::string_view(text).substr(at));
  return result;
}

Value list_of(std::vector<std::string> strings) {
  ValueList list;
  for (std::string& string : strings) list.push_back(Value{std::move(string)});
  return Value{std::move(list)};
}

Result<Value> split(const std::string& text, const std::optional<Value>& separator,
                    std::int64_t most, bool from_right) {
  std::vector<std::string> parts;
  std::string_view rest = text;
  const auto more = [&] { return most < 0 || static_cast<std::int64_t>(parts.size()) < most; };
  if (!separator || std::holds_alternative<std::monostate>(separator->data)) {
    if (from_right) {
      const auto trim_right = [&] {
        while (!rest.empty() && is_space(rest.back())) rest.remove_suffix(1);
      };
      trim_right();
      while (!rest.empty() && more()) {
        std::size_t start = rest.size();
        while (start > 0 && !is_space(rest[start - 1])) --start;
        parts.emplace_back(rest.substr(start));
        rest = rest.substr(0, start);
        trim_right();
      }
      while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
      if (!rest.empty()) parts.emplace_back(rest);
      std::reverse(parts.begin(), parts.end());
      return list_of(std::move(parts));
    }
    const auto trim = [&] {
      while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
    };
    trim();
    while (!rest.empty() && more()) {
      std::size_t end = 0;
      while (end < rest.size() && !is_space(rest[end])) ++end;
      parts.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end);
      trim();
    }
    while (!rest.empty() && is_space(rest.back())) rest.remove_suffix(1);
    if (!rest.empty()) parts.emplace_back(rest);
    return list_of(std::move(parts));
  }
  const std::string by = TRY(wanted_string(*separator));
  if (by.empty()) return expression_failure("empty separator");
  while (more()) {
    const std::size_t found = from_right ? rest.rfind(by) : rest.find(by);
    if (found == std::string_view::npos) break;
    if (from_right) {
      parts.emplace_back(rest.substr(found + by.size()));
      rest = rest.substr(0, found);
    } else {
      parts.emplace_back(rest.substr(0, found));
      rest.remove_prefix(found + by.size());
    }
  }
  parts.emplace_back(rest);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return list_of(std::move(parts));
}

Result<bool> affixed(const std::string& text, const Value& affix, bool front) {
  if (const auto* tuple = std::get_if<Tuple>(&affix.data)) {
    for (const Value& one : tuple->items) {
      if (TRY(affixed(text, Value{TRY(wanted_string(one))}, front))) return true;
    }
    return false;
  }
  const std::string part = TRY(wanted_string(affix));
  return front ? text.starts_with(part) : text.ends_with(part);
}

std::string capitalized(std::string text) {
  text = mapped(std::move(text), lower);
  if (!text.empty()) text[0] = upper(text[0]);
  return text;
}

// A capital after whatever `starts` says.
std::string titled(std::string text, bool (*starts)(char)) {
  bool start = true;
  for (char& c : text) {
    const char was = c;
    c = start ? upper(c) : lower(c);
    start = starts(was);
  }
  return text;
}
bool no_letter(char c) { return !is_alpha(c); }
bool starts_word(char c) {
  return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
}

Result<Value> position(const Value& subject, Given given, bool last, bool must) {
  const std::string text = TRY(wanted_string(subject)), part = TRY(wanted_string(*given[0]));
  const std::size_t found = last ? text.rfind(part) : text.find(part);
  if (found == std::string::npos) {
    if (must) return expression_failure("substring not found");
    return Value{std::int64_t{-1}};
  }
  return Value{
      static_cast<std::int64_t>(characters(std::string_view(text).substr(0, found)).size())};
}

Result<std::int64_t> count_of(const std::string& text, const std::string& part) {
  if (part.empty()) return static_cast<std::int64_t>(characters(text).size()) + 1;
  std::int64_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + part.size()))
    ++count;
  return count;
}

template <typename Is>
Result<Value> every(const Value& subject, Is is) {
  const std::string text = TRY(ascii(TRY(wanted_string(subject))));
  return Value{!text.empty() && std::all_of(text.begin(), text.end(), is)};
}

Result<bool> has_case(const Value& subject, bool (*is)(char), bool (*other)(char)) {
  const std::string text = TRY(ascii(TRY(text_of(subject))));
  return std::any_of(text.begin(), text.end(), is) && std::none_of(text.begin(), text.end(), other);
}

Result<Value> partition(const Value& subject, Given given, bool last) {
  const std::string text = TRY(wanted_string(subject)), by = TRY(wanted_string(*given[0]));
  if (by.empty()) return expression_failure("empty separator");
  const std::size_t found = last ? text.rfind(by) : text.find(by);
  if (found == std::string::npos) {
    return last ? Value{Tuple{{Value{std::string()}, Value{std::string()}, Value{text}}}}
                : Value{Tuple{{Value{text}, Value{std::string()}, Value{std::string()}}}};
  }
  return Value{
      Tuple{{Value{text.substr(0, found)}, Value{by}, Value{text.substr(found + by.size())}}}};
}

Result<Value> joined(const std::string& separator, const ValueList& items, bool any_type) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += separator;
    text += any_type ? TRY(text_of(items[i])) : TRY(wanted_string(items[i]));
    if (text.size() > kLongestValue) return expression_failure("a value is too long");
  }
  return Value{std::move(text)};
}

template <char (*Map)(char)>
Result<Value> cased(const Value& subject, Given) {
  return Value{mapped(TRY(ascii(TRY(text_of(subject)))), Map)};
}

const std::vector<Callable>& string_methods() {
  static const std::vector<Callable> kMethods = {
      {"upper", {}, 0, cased<upper>},
      {"lower", {}, 0, cased<lower>},
      {"casefold", {}, 0, cased<lower>},
      {"swapcase", {}, 0, cased<swapped>},
      {"capitalize",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{capitalized(TRY(ascii(TRY(wanted_string(s)))))};
       }},
      {"title",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{titled(TRY(ascii(TRY(wanted_string(s)))), no_letter)};
       }},
      {"startswith",
       {"prefix"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(affixed(TRY(wanted_string(s)), *g[0], true))};
       }},
      {"endswith",
       {"suffix"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(affixed(TRY(wanted_string(s)), *g[0], false))};
       }},
      {"strip",
       {"chars"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(stripped(TRY(wanted_string(s)), g[0], 3))};
       }},
      {"lstrip",
       {"chars"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(stripped(TRY(wanted_string(s)), g[0], 1))};
       }},
      {"rstrip",
       {"chars"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(stripped(TRY(wanted_string(s)), g[0], 2))};
       }},
      {"replace",
       {"old", "new", "count"},
       2,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(replaced(TRY(wanted_string(s)), TRY(wanted_string(*g[0])),
                                   TRY(wanted_string(*g[1])), TRY(integer_or(g[2], -1))))};
       }},
      {"split",
       {"sep", "maxsplit"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return split(TRY(wanted_string(s)), g[0], TRY(integer_or(g[1], -1)), false);
       }},
      {"rsplit",
       {"sep", "maxsplit"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return split(TRY(wanted_string(s)), g[0], TRY(integer_or(g[1], -1)), true);
       }},
      {"join",
       {"items"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         return joined(TRY(wanted_string(s)), TRY(items_of(*g[0])), false);
       }},
      {"find", {"sub"}, 1, [](const Value& s, Given g) { return position(s, g, false, false); }},
      {"rfind", {"sub"}, 1, [](const Value& s, Given g) { return position(s, g, true, false); }},
      {"index", {"sub"}, 1, [](const Value& s, Given g) { return position(s, g, false, true); }},
      {"rindex", {"sub"}, 1, [](const Value& s, Given g) { return position(s, g, true, true); }},
      {"count",
       {"sub"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(count_of(TRY(wanted_string(s)), TRY(wanted_string(*g[0]))))};
       }},
      {"partition", {"sep"}, 1, [](const Value& s, Given g) { return partition(s, g, false); }},
      {"rpartition", {"sep"}, 1, [](const Value& s, Given g) { return partition(s, g, true); }},
      {"removeprefix",
       {"prefix"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         const std::string text = TRY(wanted_string(s)), part = TRY(wanted_string(*g[0]));
         return Value{text.starts_with(part) ? text.substr(part.size()) : text};
       }},
      {"removesuffix",
       {"suffix"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         const std::string text = TRY(wanted_string(s)), part = TRY(wanted_string(*g[0]));
         return Value{text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text};
       }},
      {"isupper",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(has_case(s, is_upper, is_lower))};
       }},
      {"islower",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{TRY(has_case(s, is_lower, is_upper))};
       }},
      {"isalpha", {}, 0, [](const Value& s, Given) { return every(s, is_alpha); }},
      {"isalnum",
       {},
       0,
       [](const Value& s, Given) {
         return every(s, [](char c) { return is_alpha(c) || is_digit(c); });
       }},
      {"isdigit", {}, 0, [](const Value& s, Given) { return every(s, is_digit); }},
      {"isdecimal", {}, 0, [](const Value& s, Given) { return every(s, is_digit); }},
      {"isnumeric", {}, 0, [](const Value& s, Given) { return every(s, is_digit); }},
      {"isspace", {}, 0, [](const Value& s, Given) { return every(s, is_space); }},
      {"isascii",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         const std::string text = TRY(wanted_string(s));
         return Value{
             std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; })};
       }},
  };
  return kMethods;
}
constexpr std::string_view kOtherStringMethods[] = {
    "center",  "encode", "expandtabs", "format", "format_map", "isidentifier", "isprintable",
    "istitle", "ljust",  "maketrans",  "rjust",  "splitlines", "translate",    "zfill"};

// ---- lists and dictionaries

const std::vector<Callable>& sequence_methods() {
  static const std::vector<Callable> kMethods = {
      {"index",
       {"value"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         const ValueList items = TRY(items_of(s));
         for (std::size_t i = 0; i < items.size(); ++i) {
           if (TRY(equal(items[i], *g[0]))) return Value{static_cast<std::int64_t>(i)};
         }
         return expression_failure("the list has no such item");
       }},
      {"count",
       {"value"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         std::int64_t count = 0;
         for (const Value& item : TRY(items_of(s))) count += TRY(equal(item, *g[0])) ? 1 : 0;
         return Value{count};
       }},
  };
  return kMethods;
}
constexpr std::string_view kOtherListMethods[] = {"append", "clear",  "copy",    "extend", "insert",
                                                  "pop",    "remove", "reverse", "sort"};

const std::vector<Callable>& dictionary_methods() {
  static const std::vector<Callable> kMethods = {
      {"get",
       {"key", "default"},
       1,
       [](const Value& s, Given g) -> Result<Value> {
         Value found = TRY(item_of(s, *g[0]));
         if (!is_undefined(found)) return found;
         return g[1] ? *g[1] : Value{std::monostate{}};
       }},
  };
  return kMethods;
}
constexpr std::string_view kOtherDictionaryMethods[] = {"clear",  "copy",  "fromkeys", "items",
                                                        "keys",   "pop",   "popitem",  "setdefault",
                                                        "update", "values"};
constexpr std::string_view kNumberAttributes[] = {
    "as_integer_ratio", "bit_count", "bit_length", "conjugate",  "denominator",
    "from_bytes",       "fromhex",   "hex",        "imag",       "is_integer",
    "numerator",        "real",      "to_bytes",   "from_number"};

const std::vector<Callable>* methods_of(const Value& value) {
  if (std::holds_alternative<std::string>(value.data)) return &string_methods();
  if (std::holds_alternative<ValueList>(value.data) || std::holds_alternative<Tuple>(value.data))
    return &sequence_methods();
  if (std::holds_alternative<Dictionary>(value.data)) return &dictionary_methods();
  return nullptr;
}

std::span<const std::string_view> other_attributes_of(const Value& value) {
  if (std::holds_alternative<std::string>(value.data)) return kOtherStringMethods;
  if (std::holds_alternative<ValueList>(value.data)) return kOtherListMethods;
  if (std::holds_alternative<Dictionary>(value.data)) return kOtherDictionaryMethods;
  if (integer_of(value) || std::holds_alternative<double>(value.data)) return kNumberAttributes;
  return {};
}

// ---- tests

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

// ---- filters

// What sort, unique, min and max compare by: strings without their case, unless they are told
// otherwise.
Result<Value> sort_key(const Value& value, bool case_sensitive) {
  CHECK(defined(value));
  const auto* text = std::get_if<std::string>(&value.data);
  if (case_sensitive || text == nullptr) return value;
  return Value{mapped(TRY(ascii(*text)), lower)};
}

Result<ValueList> sorted(ValueList items, bool case_sensitive, bool reversed) {
  // Insertion, so that an error among comparisons can end it; stable, in reverse too, as Python's
  // is.
  if (items.size() > 10'000) return expression_failure("a list is too long to be sorted");
  ValueList result, keys;
  for (Value& item : items) {
    Value key = TRY(sort_key(item, case_sensitive));
    std::size_t at = keys.size();
    while (at > 0) {
      const bool before =
          reversed ? TRY(order(keys[at - 1], key)) < 0 : TRY(order(key, keys[at - 1])) < 0;
      if (!before) break;
      --at;
    }
    keys.insert(keys.begin() + static_cast<std::ptrdiff_t>(at), std::move(key));
    result.insert(result.begin() + static_cast<std::ptrdiff_t>(at), std::move(item));
  }
  return result;
}

Result<Value> extreme(const Value& subject, Given given, bool largest) {
  const ValueList items = TRY(items_of(subject));
  if (items.empty()) return Value{Undefined{"No aggregated item, sequence was empty."}};
  const bool case_sensitive = TRY(flag_or(given[0], false));
  std::size_t best = 0;
  for (std::size_t i = 1; i < items.size(); ++i) {
    const auto found = TRY(
        order(TRY(sort_key(items[i], case_sensitive)), TRY(sort_key(items[best], case_sensitive))));
    if (largest ? found > 0 : found < 0) best = i;
  }
  return items[best];
}

// float() and int() of Python, of text in decimal.
std::optional<double> parsed_float(const std::string& text) {
  std::string plain = *stripped(text, std::nullopt, 3);
  if (plain.empty() || plain.find_first_not_of("0123456789+-.eE") != std::string::npos)
    return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(plain.c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return value;
}

Result<Value> to_integer(const Value& subject, Given given) {
  CHECK(defined(subject));
  const Value otherwise = given[0] ? *given[0] : Value{std::int64_t{0}};
  if (const auto integer = integer_of(subject)) return Value{*integer};
  std::optional<double> number;
  if (const auto* given_number = std::get_if<double>(&subject.data)) number = *given_number;
  if (const auto* text = std::get_if<std::string>(&subject.data)) {
    const std::string plain = TRY(stripped(*text, std::nullopt, 3));
    if (plain.find('_') != std::string::npos)
      return expression_failure("numbers with '_' in strings are not supported");
    number = parsed_float(plain);
    if (number && plain.find_first_not_of("+-0123456789") == std::string::npos) {
      char* end = nullptr;
      errno = 0;
      const long long value = std::strtoll(plain.c_str(), &end, 10);
      if (errno == ERANGE) return expression_failure("a number is too large");
      return Value{static_cast<std::int64_t>(value)};
    }
  }
  if (!number || !std::isfinite(*number)) return otherwise;
  if (std::abs(*number) > 9e18) return expression_failure("a number is too large");
  return Value{static_cast<std::int64_t>(*number)};
}

Result<Value> to_float(const Value& subject, Given given) {
  CHECK(defined(subject));
  const Value otherwise = given[0] ? *given[0] : Value{0.0};
  if (const auto integer = integer_of(subject)) return Value{static_cast<double>(*integer)};
  if (std::holds_alternative<double>(subject.data)) return subject;
  if (const auto* text = std::get_if<std::string>(&subject.data)) {
    if (const auto number = parsed_float(*text)) return Value{*number};
  }
  return otherwise;
}

const std::vector<Callable>& filters() {
  static const std::vector<Callable> kFilters = {
      {"abs",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         const bool below = TRY(order(s, Value{std::int64_t{0}})) < 0;
         return below ? arithmetic(Value{std::int64_t{0}}, "-", s)
                      : arithmetic(s, "+", Value{std::int64_t{0}});
       }},
      {"capitalize",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{capitalized(TRY(ascii(TRY(text_of(s)))))};
       }},
      {"count",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{TRY(length_of(s))}; }},
      {"length",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{TRY(length_of(s))}; }},
      {"first",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         const ValueList items = TRY(items_of(s));
         return items.empty() ? Value{Undefined{"No first item, sequence was empty."}}
                              : items.front();
       }},
      {"last",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         TRY(length_of(s));  // iterators can't be reversed
         const ValueList items = TRY(items_of(s));
         return items.empty() ? Value{Undefined{"No last item, sequence was empty."}}
                              : items.back();
       }},
      {"float", {"default"}, 0, to_float},
      {"int", {"default"}, 0, to_integer},
      {"join",
       {"d"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return joined(g[0] ? TRY(text_of(*g[0])) : std::string(), TRY(items_of(s)), true);
       }},
      {"list",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{TRY(items_of(s))}; }},
      {"lower", {}, 0, cased<lower>},
      {"upper", {}, 0, cased<upper>},
      {"min", {"case_sensitive"}, 0, [](const Value& s, Given g) { return extreme(s, g, false); }},
      {"max", {"case_sensitive"}, 0, [](const Value& s, Given g) { return extreme(s, g, true); }},
      {"replace",
       {"old", "new", "count"},
       2,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(replaced(TRY(text_of(s)), TRY(text_of(*g[0])), TRY(text_of(*g[1])),
                                   TRY(integer_or(g[2], -1))))};
       }},
      {"reverse",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         ValueList items = TRY(items_of(s));
         std::reverse(items.begin(), items.end());
         if (!std::holds_alternative<std::string>(s.data)) return Value{Iterator{std::move(items)}};
         return joined("", items, true);
       }},
      {"sort",
       {"reverse", "case_sensitive"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{
             TRY(sorted(TRY(items_of(s)), TRY(flag_or(g[1], false)), TRY(flag_or(g[0], false))))};
       }},
      {"string",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> { return Value{TRY(text_of(s))}; }},
      {"sum",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         Value total{std::int64_t{0}};
         for (const Value& item : TRY(items_of(s))) total = TRY(arithmetic(total, "+", item));
         return total;
       }},
      {"title",
       {},
       0,
       [](const Value& s, Given) -> Result<Value> {
         return Value{titled(TRY(ascii(TRY(text_of(s)))), starts_word)};
       }},
      {"trim",
       {"chars"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         return Value{TRY(stripped(TRY(text_of(s)), g[0], 3))};
       }},
      {"unique",
       {"case_sensitive"},
       0,
       [](const Value& s, Given g) -> Result<Value> {
         const bool case_sensitive = TRY(flag_or(g[0], false));
         ValueList keys, items;
         for (const Value& item : TRY(items_of(s))) {
           const Value key = TRY(sort_key(item, case_sensitive));
           if (TRY(compare(key, "in", Value{keys}))) continue;
           keys.push_back(key);
           items.push_back(item);
         }
         return Value{Iterator{std::move(items)}};
       }},
  };
  return kFilters;
}
constexpr std::string_view kOtherFilters[] = {
    "attr",        "batch",  "center",    "dictsort",   "e",       "escape",    "filesizeformat",
    "forceescape", "format", "groupby",   "indent",     "items",   "pprint",    "random",
    "rejectattr",  "round",  "safe",      "selectattr", "slice",   "striptags", "truncate",
    "urlencode",   "urlize", "wordcount", "wordwrap",   "xmlattr", "tojson"};
// These see what is undefined, or name another filter or test.
constexpr std::string_view kOwnFilters[] = {"d", "default", "map", "reject", "select"};

Result<Value> defaulted(const Value& subject, const Arguments& arguments) {
  const Callable shape{
      "default", {"default_value", "boolean"}, 0, [](const Value& s, Given g) -> Result<Value> {
        if (!is_undefined(s) && !(TRY(flag_or(g[1], false)) && !TRY(truth(s)))) return s;
        return g[0] ? *g[0] : Value{std::string()};
      }};
  return apply(shape, subject, arguments);
}

// select, reject and map: another test or filter, by its name, for each item.
Result<Value> through(std::string_view name, const Value& subject, const Arguments& arguments) {
  Arguments rest = arguments;
  std::string other;
  if (!rest.positional.empty()) {
    other = TRY(wanted_string(rest.positional.front()));
    rest.positional.erase(rest.positional.begin());
  } else if (name == "map" || !rest.named.empty()) {
    return expression_failure(fmt::format("'{}' is supported with the name of a {} only", name,
                                          name == "map" ? "filter" : "test"));
  }
  ValueList result;
  if (!TRY(truth(subject))) return Value{Iterator{}};  // whatever it is
  for (const Value& item : TRY(items_of(subject))) {
    if (name == "map") {
      result.push_back(TRY(apply_filter(other, item, rest)));
    } else if ((other.empty() ? TRY(truth(item)) : TRY(apply_test(other, item, rest))) ==
               (name == "select")) {
      result.push_back(item);
    }
  }
  return Value{Iterator{std::move(result)}};
}

}  // namespace

Status known_test(std::string_view name) {
  if (find(tests(), name) != nullptr) return {};
  return expression_failure(fmt::format("No test named '{}'.", name));
}

Status known_filter(std::string_view name) {
  if (find(filters(), name) != nullptr || is_one_of(name, kOwnFilters) ||
      is_one_of(name, kOtherFilters))
    return {};
  return expression_failure(fmt::format("No filter named '{}'.", name));
}

Result<bool> apply_test(std::string_view name, const Value& subject, const Arguments& arguments) {
  CHECK(known_test(name));
  return truth(TRY(apply(*find(tests(), name), subject, arguments)));
}

Result<Value> apply_filter(std::string_view name, const Value& subject,
                           const Arguments& arguments) {
  CHECK(known_filter(name));
  if (name == "d" || name == "default") return defaulted(subject, arguments);
  if (is_one_of(name, kOwnFilters)) return through(name, subject, arguments);
  const Callable* filter = find(filters(), name);
  if (filter == nullptr)
    return expression_failure(fmt::format("the filter '{}' is not supported; {}", name, kInstead));
  return apply(*filter, subject, arguments);
}

Result<Value> attribute_of(const Value& subject, const std::string& name) {
  CHECK(defined(subject));
  const std::vector<Callable>* methods = methods_of(subject);
  if (methods != nullptr && find(*methods, name) != nullptr)
    return Value{Method{std::make_shared<const Value>(subject), name}};
  if (name.starts_with("__") || is_one_of(name, other_attributes_of(subject)) ||
      std::holds_alternative<Iterator>(subject.data) ||
      std::holds_alternative<Method>(subject.data)) {
    return expression_failure(
        fmt::format("'{}' of a {} is not supported; {}", name, type_of(subject), kInstead));
  }
  if (std::holds_alternative<Dictionary>(subject.data)) return item_of(subject, Value{name});
  return Value{Undefined{fmt::format("'{} object' has no attribute '{}'", type_of(subject), name)}};
}

Result<Value> call(const Value& callee, const Arguments& arguments) {
  CHECK(defined(callee));
  const auto* method = std::get_if<Method>(&callee.data);
  if (method == nullptr)
    return expression_failure(fmt::format("'{}' object is not callable", type_of(callee)));
  return apply(*find(*methods_of(*method->of), method->name), *method->of, arguments);
}

}  // namespace sluice::loader
