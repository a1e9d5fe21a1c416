#include "loader/python/expression_strings.h"

#include <algorithm>

#include "base/try.h"
#include "loader/python/expression_values.h"

namespace sluice::loader::callables {

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

namespace {

Value list_of(std::vector<std::string> strings) {
  ValueList list;
  for (std::string& string : strings) list.push_back(Value{std::move(string)});
  return Value{std::move(list)};
}

}  // namespace

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

}  // namespace sluice::loader::callables
