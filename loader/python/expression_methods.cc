// The methods of strings, lists and dictionaries, and what else stands behind a dot.
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

template <typename Is>
Result<Value> every(const Value& subject, Is is) {
  const std::string text = TRY(ascii(TRY(wanted_string(subject))));
  return Value{!text.empty() && std::all_of(text.begin(), text.end(), is)};
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
         std::string text = TRY(wanted_string(s));
         const std::string part = TRY(wanted_string(*g[0]));
         if (TRY(affixed(text, *g[0], false))) text.resize(text.size() - part.size());
         return Value{std::move(text)};
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

std::span<const std::string_view> other_attributes_of(const Value& value) {
  if (std::holds_alternative<std::string>(value.data)) return kOtherStringMethods;
  if (std::holds_alternative<ValueList>(value.data)) return kOtherListMethods;
  if (std::holds_alternative<Dictionary>(value.data)) return kOtherDictionaryMethods;
  if (integer_of(value) || std::holds_alternative<double>(value.data)) return kNumberAttributes;
  return {};
}

}  // namespace

const std::vector<Callable>* callables::methods_of(const Value& value) {
  if (std::holds_alternative<std::string>(value.data)) return &string_methods();
  if (std::holds_alternative<ValueList>(value.data) || std::holds_alternative<Tuple>(value.data))
    return &sequence_methods();
  if (std::holds_alternative<Dictionary>(value.data)) return &dictionary_methods();
  return nullptr;
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
