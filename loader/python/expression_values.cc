#include "loader/python/expression_values.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::loader {

namespace {

bool is_lenient(const Value& value) {
  const auto* undefined = std::get_if<Undefined>(&value.data);
  return undefined != nullptr && undefined->lenient;
}

std::optional<double> number_of(const Value& value) {
  if (const auto integer = integer_of(value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value.data)) return *number;
  return std::nullopt;
}

const ValueList* sequence_of(const Value& value) {
  if (const auto* list = std::get_if<ValueList>(&value.data)) return list;
  if (const auto* tuple = std::get_if<Tuple>(&value.data)) return &tuple->items;
  return nullptr;
}

const std::string* string_of(const Value& value) { return std::get_if<std::string>(&value.data); }

tl::unexpected<Error> unsupported(std::string_view op, const Value& left, const Value& right) {
  return expression_failure(fmt::format("'{}' is not supported between '{}' and '{}'", op,
                                        type_of(left), type_of(right)));
}

tl::unexpected<Error> too_long() { return expression_failure("a value is too long"); }

Result<bool> equal_items(const ValueList& left, const ValueList& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!TRY(equal(left[i], right[i]))) return false;
  }
  return true;
}

Result<const Value*> find(const Dictionary& dictionary, const Value& key) {
  for (std::size_t i = 0; i < dictionary.keys.size(); ++i) {
    if (TRY(equal(dictionary.keys[i], key))) return &dictionary.values[i];
  }
  return nullptr;
}

Status hashable(const Value& value) {
  CHECK(defined(value));
  if (const auto* tuple = std::get_if<Tuple>(&value.data)) {
    for (const Value& item : tuple->items) CHECK(hashable(item));
  }
  if (std::holds_alternative<ValueList>(value.data) ||
      std::holds_alternative<Dictionary>(value.data)) {
    return expression_failure(fmt::format("unhashable type: '{}'", type_of(value)));
  }
  return {};
}

Result<Value> power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return expression_failure("zero can't be raised to a negative power");
    return Value{std::pow(static_cast<double>(base), static_cast<double>(exponent))};
  }
  std::int64_t result = 1;
  // A result that fits takes few steps, but with these bases.
  if (base == 0 || base == 1) return Value{exponent == 0 ? std::int64_t{1} : base};
  if (base == -1) return Value{std::int64_t{exponent % 2 == 0 ? 1 : -1}};
  for (std::int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result))
      return expression_failure("a number is too large");
  }
  return Value{result};
}

Result<Value> integer_arithmetic(std::int64_t left, std::string_view op, std::int64_t right) {
  std::int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else if (op == "**") {
    return power(left, right);
  } else {
    if (right == 0) return expression_failure("division by zero");
    if (op == "/") return Value{static_cast<double>(left) / static_cast<double>(right)};
    if (right == -1) {  // the one division that may not fit
      if (op == "%") return Value{std::int64_t{0}};
      overflow = __builtin_sub_overflow(std::int64_t{0}, left, &result);
    } else {
      const bool below = left % right != 0 && (left < 0) != (right < 0);  // Python rounds down
      result = op == "//" ? left / right - (below ? 1 : 0) : left % right + (below ? right : 0);
    }
  }
  if (overflow) return expression_failure("a number is too large");
  return Value{result};
}

Result<Value> float_arithmetic(double left, std::string_view op, double right) {
  if (op == "+") return Value{left + right};
  if (op == "-") return Value{left - right};
  if (op == "*") return Value{left * right};
  if (op == "**") {
    if (left == 0 && right < 0)
      return expression_failure("zero can't be raised to a negative power");
    if (left < 0 && right != std::floor(right))
      return expression_failure("complex numbers are not supported");
    return Value{std::pow(left, right)};
  }
  if (right == 0) return expression_failure("division by zero");
  if (op == "/") return Value{left / right};
  double rest = std::fmod(left, right);
  if (rest != 0 && (rest < 0) != (right < 0)) rest += right;
  if (op == "%") return Value{rest};
  return Value{std::round((left - rest) / right)};
}

Result<Value> repeated(const Value& of, std::int64_t times) {
  const std::size_t count = times > 0 ? static_cast<std::size_t>(times) : 0;
  if (const std::string* text = string_of(of)) {
    if (!text->empty() && count > kLongestValue / text->size()) return too_long();
    std::string result;
    if (!text->empty()) {
      for (std::size_t i = 0; i < count; ++i) result += *text;
    }
    return Value{std::move(result)};
  }
  const ValueList& items = *sequence_of(of);
  ValueList result;
  if (!items.empty()) {
    if (count > kLongestValue / 64 / items.size()) return too_long();
    for (std::size_t i = 0; i < count; ++i) result.insert(result.end(), items.begin(), items.end());
  }
  if (std::holds_alternative<Tuple>(of.data)) return Value{Tuple{std::move(result)}};
  return Value{std::move(result)};
}

Result<std::string> joined_items(const ValueList& items) {
  std::string text;
  for (const Value& item : items) {
    if (!text.empty()) text += ", ";
    text += TRY(representation(item));
    if (text.size() > kLongestValue) return too_long();
  }
  return text;
}

std::string quoted(const std::string& text) {
  const char quote =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      result += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + quote;
}

// The values of first, end and step that Python's slice.indices() gives for a length.
struct Range {
  std::int64_t first = 0, end = 0, step = 1;
};
Result<Range> range_of(const Value& first, const Value& end, const Value& step,
                       std::int64_t length) {
  Range range;
  for (const Value* part : {&first, &end, &step}) {
    CHECK(defined(*part));
    if (!std::holds_alternative<std::monostate>(part->data) && !integer_of(*part))
      return expression_failure("slices take integers or none");
  }
  if (const auto given = integer_of(step)) range.step = *given;
  if (range.step == 0) return expression_failure("the step of a slice is zero");
  const std::int64_t lowest = range.step < 0 ? -1 : 0,
                     highest = range.step < 0 ? length - 1 : length;
  const auto within = [&](const Value& value, std::int64_t otherwise) {
    const auto given = integer_of(value);
    if (!given) return otherwise;
    const std::int64_t at = *given < 0 ? *given + length : *given;
    return std::clamp(at, lowest, highest);
  };
  range.first = within(first, range.step < 0 ? highest : lowest);
  range.end = within(end, range.step < 0 ? lowest : highest);
  return range;
}

template <typename List>
List sliced(const List& items, const Range& range) {
  List result;
  std::int64_t at = range.first;
  while (range.step > 0 ? at < range.end : at > range.end) {
    result.push_back(items[static_cast<std::size_t>(at)]);
    if (__builtin_add_overflow(at, range.step, &at)) break;
  }
  return result;
}

}  // namespace

tl::unexpected<Error> expression_failure(std::string why) {
  return fail("load", "expression-failed", std::move(why));
}

Status defined(const Value& value) {
  if (const auto* undefined = std::get_if<Undefined>(&value.data))
    return expression_failure(undefined->why);
  return {};
}

std::string_view type_of(const Value& value) {
  static constexpr std::string_view kNames[] = {"undefined", "NoneType", "bool",  "int",
                                                "float",     "str",      "list",  "tuple",
                                                "dict",      "iterator", "method"};
  return kNames[value.data.index()];
}

std::optional<std::int64_t> integer_of(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag ? 1 : 0;
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return *integer;
  return std::nullopt;
}

Result<bool> truth(const Value& value) {
  if (is_lenient(value)) return false;
  CHECK(defined(value));
  if (const auto number = number_of(value)) return *number != 0;
  if (const std::string* text = string_of(value)) return !text->empty();
  if (const ValueList* items = sequence_of(value)) return !items->empty();
  if (const auto* dictionary = std::get_if<Dictionary>(&value.data))
    return !dictionary->keys.empty();
  return !std::holds_alternative<std::monostate>(value.data);
}

Result<bool> equal(const Value& left, const Value& right) {
  if (is_lenient(left) || is_lenient(right)) {
    for (const Value* side : {&left, &right}) {
      if (!is_lenient(*side)) CHECK(defined(*side));
    }
    return is_lenient(left) && is_lenient(right);
  }
  CHECK(defined(left));
  CHECK(defined(right));
  const auto left_number = number_of(left), right_number = number_of(right);
  if (left_number && right_number) {
    const auto left_integer = integer_of(left), right_integer = integer_of(right);
    return left_integer && right_integer ? *left_integer == *right_integer
                                         : *left_number == *right_number;
  }
  if (left.data.index() != right.data.index()) return false;
  if (const std::string* text = string_of(left)) return *text == *string_of(right);
  if (const ValueList* items = sequence_of(left)) return equal_items(*items, *sequence_of(right));
  if (const auto* dictionary = std::get_if<Dictionary>(&left.data)) {
    const auto& other = std::get<Dictionary>(right.data);
    if (dictionary->keys.size() != other.keys.size()) return false;
    for (std::size_t i = 0; i < dictionary->keys.size(); ++i) {
      const Value* value = TRY(find(other, dictionary->keys[i]));
      if (value == nullptr || !TRY(equal(dictionary->values[i], *value))) return false;
    }
    return true;
  }
  if (std::holds_alternative<Method>(left.data))
    return expression_failure("methods can't be compared; call them with '()'");
  return std::holds_alternative<std::monostate>(left.data);
}

Result<std::partial_ordering> order(const Value& left, const Value& right) {
  CHECK(defined(left));
  CHECK(defined(right));
  const auto left_number = number_of(left), right_number = number_of(right);
  if (left_number && right_number) {
    const auto left_integer = integer_of(left), right_integer = integer_of(right);
    if (left_integer && right_integer)
      return std::partial_ordering(*left_integer <=> *right_integer);
    return *left_number <=> *right_number;
  }
  // Texts in UTF-8 sort as their code points do.
  if (string_of(left) != nullptr && string_of(right) != nullptr)
    return std::partial_ordering(*string_of(left) <=> *string_of(right));
  if (sequence_of(left) != nullptr && left.data.index() == right.data.index()) {
    const ValueList &ours = *sequence_of(left), &theirs = *sequence_of(right);
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
      if (!TRY(equal(ours[i], theirs[i]))) return order(ours[i], theirs[i]);
    }
    return std::partial_ordering(ours.size() <=> theirs.size());
  }
  return unsupported("<", left, right);
}

Result<bool> compare(const Value& left, std::string_view op, const Value& right) {
  if (op == "==") return equal(left, right);
  if (op == "!=") return !TRY(equal(left, right));
  if (op != "in" && op != "not in") CHECK(defined(left));
  if (!is_lenient(right)) CHECK(defined(right));
  if (op == "in" || op == "not in") {
    bool contained = false;
    if (string_of(right) != nullptr) {
      if (string_of(left) == nullptr) return unsupported(op, left, right);
      contained = string_of(right)->find(*string_of(left)) != std::string::npos;
    } else {
      if (std::holds_alternative<Dictionary>(right.data)) CHECK(hashable(left));
      for (const Value& item : TRY(items_of(right))) {
        if (TRY(equal(left, item))) {
          contained = true;
          break;
        }
      }
    }
    return contained == (op == "in");
  }
  const std::partial_ordering found = TRY(order(left, right));
  if (op == "<") return found < 0;
  if (op == "<=") return found <= 0;
  if (op == ">") return found > 0;
  return found >= 0;
}

Result<Value> arithmetic(const Value& left, std::string_view op, const Value& right) {
  CHECK(defined(left));
  CHECK(defined(right));
  const auto left_integer = integer_of(left), right_integer = integer_of(right);
  if (left_integer && right_integer) return integer_arithmetic(*left_integer, op, *right_integer);
  const auto left_number = number_of(left), right_number = number_of(right);
  if (left_number && right_number) return float_arithmetic(*left_number, op, *right_number);
  if (op == "+" && left.data.index() == right.data.index()) {
    if (const std::string* text = string_of(left)) {
      if (text->size() + string_of(right)->size() > kLongestValue) return too_long();
      return Value{*text + *string_of(right)};
    }
    if (const ValueList* items = sequence_of(left)) {
      ValueList joined = *items;
      if (joined.size() + sequence_of(right)->size() > kLongestValue / 64) return too_long();
      joined.insert(joined.end(), sequence_of(right)->begin(), sequence_of(right)->end());
      if (std::holds_alternative<Tuple>(left.data)) return Value{Tuple{std::move(joined)}};
      return Value{std::move(joined)};
    }
  }
  const auto repeats = [](const Value& value) {
    return string_of(value) != nullptr || sequence_of(value) != nullptr;
  };
  if (op == "*" && repeats(left) && right_integer) return repeated(left, *right_integer);
  if (op == "*" && repeats(right) && left_integer) return repeated(right, *left_integer);
  if (op == "%" && string_of(left) != nullptr)
    return expression_failure("formatting with '%' is not supported; join with '~'");
  return unsupported(op, left, right);
}

Result<std::string> representation(const Value& value) {
  CHECK(defined(value));
  if (const std::string* text = string_of(value)) return quoted(*text);
  return text_of(value);
}

Result<std::string> text_of(const Value& value) {
  if (is_lenient(value)) return std::string();
  CHECK(defined(value));
  if (const std::string* text = string_of(value)) return *text;
  if (const auto* flag = std::get_if<bool>(&value.data))
    return std::string(*flag ? "True" : "False");
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value.data)) {
    std::string text = fmt::format("{}", *number);
    if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
    return text;
  }
  if (std::holds_alternative<std::monostate>(value.data)) return std::string("None");
  if (const auto* list = std::get_if<ValueList>(&value.data))
    return "[" + TRY(joined_items(*list)) + "]";
  if (const auto* tuple = std::get_if<Tuple>(&value.data)) {
    return "(" + TRY(joined_items(tuple->items)) + (tuple->items.size() == 1 ? ",)" : ")");
  }
  if (const auto* dictionary = std::get_if<Dictionary>(&value.data)) {
    std::string text;
    for (std::size_t i = 0; i < dictionary->keys.size(); ++i) {
      text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", TRY(representation(dictionary->keys[i])),
                          TRY(representation(dictionary->values[i])));
    }
    return "{" + text + "}";
  }
  return expression_failure(fmt::format("a {} has no text; {}", type_of(value),
                                        std::holds_alternative<Method>(value.data)
                                            ? "call it with '()'"
                                            : "make it a list with '| list'"));
}

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> found;
  for (const char c : text) {
    if ((c & 0xc0) == 0x80 && !found.empty()) {
      found.back() += c;
    } else {
      found.emplace_back(1, c);
    }
  }
  return found;
}

Result<ValueList> items_of(const Value& value) {
  if (is_lenient(value)) return ValueList();
  CHECK(defined(value));
  if (const ValueList* items = sequence_of(value)) return *items;
  if (const auto* dictionary = std::get_if<Dictionary>(&value.data)) return dictionary->keys;
  if (const auto* iterator = std::get_if<Iterator>(&value.data)) return iterator->items;
  if (const std::string* text = string_of(value)) {
    ValueList items;
    for (std::string& character : characters(*text)) items.push_back(Value{std::move(character)});
    return items;
  }
  return expression_failure(fmt::format("'{}' object is not iterable", type_of(value)));
}

Result<std::int64_t> length_of(const Value& value) {
  if (is_lenient(value)) return 0;
  CHECK(defined(value));
  if (std::holds_alternative<Iterator>(value.data))
    return expression_failure("an iterator has no length; make it a list with '| list'");
  if (integer_of(value) || std::holds_alternative<double>(value.data) ||
      std::holds_alternative<std::monostate>(value.data) ||
      std::holds_alternative<Method>(value.data)) {
    return expression_failure(fmt::format("object of type '{}' has no len()", type_of(value)));
  }
  return static_cast<std::int64_t>(TRY(items_of(value)).size());
}

Result<Value> item_of(const Value& value, const Value& index) {
  CHECK(defined(value));
  if (std::holds_alternative<Undefined>(index.data)) CHECK(defined(index));
  if (const auto* dictionary = std::get_if<Dictionary>(&value.data)) {
    CHECK(hashable(index));
    if (const Value* found = TRY(find(*dictionary, index))) return *found;
  } else if (sequence_of(value) != nullptr || string_of(value) != nullptr) {
    const ValueList items = TRY(items_of(value));
    if (const auto position = integer_of(index)) {
      const auto size = static_cast<std::int64_t>(items.size());
      const std::int64_t at = *position < 0 ? *position + size : *position;
      if (at >= 0 && at < size) return items[static_cast<std::size_t>(at)];
    }
  }
  return Value{Undefined{
      fmt::format("'{} object' has no item {}", type_of(value), TRY(representation(index)))}};
}

Result<Value> slice_of(const Value& value, const Value& first, const Value& end,
                       const Value& step) {
  CHECK(defined(value));
  if (const std::string* text = string_of(value)) {
    const auto all = characters(*text);
    std::string result;
    for (const std::string& character :
         sliced(all, TRY(range_of(first, end, step, static_cast<std::int64_t>(all.size())))))
      result += character;
    return Value{std::move(result)};
  }
  if (const ValueList* items = sequence_of(value)) {
    ValueList result =
        sliced(*items, TRY(range_of(first, end, step, static_cast<std::int64_t>(items->size()))));
    if (std::holds_alternative<Tuple>(value.data)) return Value{Tuple{std::move(result)}};
    return Value{std::move(result)};
  }
  return expression_failure(fmt::format("'{}' object has no slices", type_of(value)));
}

Status insert(Dictionary& dictionary, Value key, Value value) {
  CHECK(hashable(key));
  for (std::size_t i = 0; i < dictionary.keys.size(); ++i) {
    if (!TRY(equal(dictionary.keys[i], key))) continue;
    dictionary.values[i] = std::move(value);
    return {};
  }
  if (dictionary.keys.size() >= 1000) return too_long();
  dictionary.keys.push_back(std::move(key));
  dictionary.values.push_back(std::move(value));
  return {};
}

}  // namespace sluice::loader
