// Jinja2's filters, `|`.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "base/try.h"
#include "loader/python/expression_callables.h"
#include "loader/python/expression_calls.h"
#include "loader/python/expression_strings.h"
#include "loader/python/expression_values.h"

namespace sluice::loader {

using namespace callables;  // NOLINT(google-build-using-namespace)

namespace {

// The value that sort, unique, min and max compare by: strings without their case, unless they are
// told otherwise.
Result<Value> sort_key(const Value& value, bool case_sensitive) {
  CHECK(defined(value));
  const auto* text = std::get_if<std::string>(&value.data);
  if (case_sensitive || text == nullptr) return value;
  return Value{mapped(TRY(ascii(*text)), lower)};
}

Result<ValueList> sorted(ValueList items, bool case_sensitive, bool reversed) {
  // Items are inserted one by one, so that an error among comparisons can end it. The sort is
  // stable, in reverse too, as Python's is.
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

// The number that Python's float() makes of a text in decimal; nullopt when it is none.
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
// Filters that see what is undefined, or take the name of another filter or test.
constexpr std::string_view kOwnFilters[] = {"d", "default", "map", "reject", "select"};

Result<Value> defaulted(const Value& subject, const Arguments& arguments) {
  const Callable shape{
      "default", {"default_value", "boolean"}, 0, [](const Value& s, Given g) -> Result<Value> {
        if (!is_undefined(s) && !(TRY(flag_or(g[1], false)) && !TRY(truth(s)))) return s;
        return g[0] ? *g[0] : Value{std::string()};
      }};
  return apply(shape, subject, arguments);
}

// The filters select, reject and map: another test or filter, by its name, for each item.
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
  if (!TRY(truth(subject))) return Value{Iterator{}};  // also of what has no items
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

Status known_filter(std::string_view name) {
  if (find(filters(), name) != nullptr || is_one_of(name, kOwnFilters) ||
      is_one_of(name, kOtherFilters))
    return {};
  return expression_failure(fmt::format("No filter named '{}'.", name));
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

}  // namespace sluice::loader
