#include "cli/format.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/try.h"

namespace sluice::cli {

namespace {

constexpr std::array<std::string_view, 8> kColors = {"black", "red",     "green", "yellow",
                                                     "blue",  "magenta", "cyan",  "white"};
// More than that is no width of a terminal, only memory.
constexpr std::size_t kMaxWidth = 1'000'000;

tl::unexpected<Error> invalid(std::string message) {
  return fail("app", "invalid-format", std::move(message));
}

// Bytes of the code point at the front; what isn't UTF-8 counts as one byte.
std::size_t code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80         ? 1
                           : (lead >> 5) == 6  ? 2
                           : (lead >> 4) == 14 ? 3
                           : (lead >> 3) == 30 ? 4
                                               : 1;
  if (size > text.size()) return 1;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 1;
  }
  return size;
}

std::size_t length(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(code_point(text));
  return count;
}

bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

bool take_number(std::string_view& text, std::size_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end == text.data()) return true;  // none
  if (error != std::errc() || out > kMaxWidth) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

// Python's repr() of a string; `ascii`: of ascii(). Code points beyond ASCII count as printable,
// but for those of the control blocks and the separators that Python escapes.
std::string representation(std::string_view text, bool ascii) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"'
                                                                                            : '\'';
  std::string out(1, quote);
  while (!text.empty()) {
    const std::size_t size = code_point(text);
    const std::string_view bytes = text.substr(0, size);
    text.remove_prefix(size);
    const auto first = static_cast<unsigned char>(bytes[0]);
    if (size == 1) {
      if (bytes[0] == quote || bytes[0] == '\\')
        out += fmt::format("\\{}", bytes[0]);
      else if (bytes[0] == '\n')
        out += "\\n";
      else if (bytes[0] == '\r')
        out += "\\r";
      else if (bytes[0] == '\t')
        out += "\\t";
      else if (first < 0x20 || first >= 0x7f)
        out += fmt::format("\\x{:02x}", first);
      else
        out += bytes[0];
      continue;
    }
    std::uint32_t code = first & (0x7fu >> size);
    for (std::size_t i = 1; i < size; ++i)
      code = (code << 6) | (static_cast<unsigned char>(bytes[i]) & 0x3f);
    const bool separator = code == 0xa0 || code == 0xad || (code >= 0x2000 && code <= 0x200f) ||
                           (code >= 0x2028 && code <= 0x202f) || code == 0x3000 || code == 0xfeff;
    if (!ascii && code >= 0xa0 && !separator)
      out += bytes;
    else if (code < 0x100)
      out += fmt::format("\\x{:02x}", code);
    else if (code < 0x10000)
      out += fmt::format("\\u{:04x}", code);
    else
      out += fmt::format("\\U{:08x}", code);
  }
  return out + quote;
}

// What stands between the braces after the symbol's name: "", ":SPEC", "!s:SPEC".
Result<std::string> format_field(std::string_view symbol, std::string_view value,
                                 std::string_view rest) {
  std::string converted(value);
  if (!rest.empty() && rest[0] == '!') {
    if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':'))
      return invalid(fmt::format("'%{{{}{}}}': expected ':' after the conversion", symbol, rest));
    if (rest[1] == 'r' || rest[1] == 'a') {
      converted = representation(value, rest[1] == 'a');
    } else if (rest[1] != 's') {
      return invalid(fmt::format("Unknown conversion specifier '{}'", rest[1]));
    }
    rest.remove_prefix(2);
  }
  if (rest.empty()) return converted;
  if (rest[0] != ':')
    return invalid(fmt::format("'%{{{}{}}}' is no symbol that can be shown", symbol, rest));
  return format_value(converted, rest.substr(1));
}

}  // namespace

std::string styled(std::string_view text, const Style& style) {
  std::string out;
  std::string_view name = style.color;
  const bool bright = name.starts_with("bright_");
  if (bright) name.remove_prefix(7);
  for (std::size_t i = 0; i < kColors.size(); ++i) {
    if (kColors[i] == name) out += fmt::format("\033[{}m", (bright ? 90 : 30) + i);
  }
  if (style.bold >= 0) out += style.bold > 0 ? "\033[1m" : "\033[22m";
  if (style.dim >= 0) out += style.dim > 0 ? "\033[2m" : "\033[22m";
  out += text;
  out += "\033[0m";
  return out;
}

Result<std::string> format_value(std::string_view text, std::string_view specification) {
  std::string_view rest = specification;
  std::string fill = " ";
  char align = '<';
  bool filled = false;
  if (!rest.empty()) {
    const std::size_t first = code_point(rest);
    if (rest.size() > first && is_align(rest[first])) {
      fill = rest.substr(0, first);
      align = rest[first];
      filled = true;
      rest.remove_prefix(first + 1);
    } else if (is_align(rest[0])) {
      align = rest[0];
      rest.remove_prefix(1);
    }
  }
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-'))
    return invalid("Sign not allowed in string format specifier");
  if (!rest.empty() && rest[0] == ' ')
    return invalid("Space not allowed in string format specifier");
  if (!rest.empty() && rest[0] == '#')
    return invalid("Alternate form (#) not allowed in string format specifier");
  if (!rest.empty() && rest[0] == '0') {
    // A zero before the width fills with zeros, and leaves the alignment of strings.
    if (!filled) fill = "0";
    rest.remove_prefix(1);
  }
  std::size_t width = 0;
  if (!take_number(rest, width))
    return invalid(fmt::format("the width in '{}' is too large", specification));
  if (!rest.empty() && (rest[0] == ',' || rest[0] == '_'))
    return invalid(fmt::format("Cannot specify '{}' with 's'.", rest[0]));
  std::size_t precision = std::string_view::npos;
  if (!rest.empty() && rest[0] == '.') {
    rest.remove_prefix(1);
    const std::size_t before = rest.size();
    if (!take_number(rest, precision) || rest.size() == before)
      return invalid("Format specifier missing precision");
  }
  if (!rest.empty() && rest[0] == 's') rest.remove_prefix(1);
  if (!rest.empty()) return invalid(fmt::format("Invalid format specifier '{}'", specification));
  if (align == '=') return invalid("'=' alignment not allowed in string format specifier");

  std::string_view shown = text;
  std::size_t count = 0;
  if (precision != std::string_view::npos) {
    std::size_t bytes = 0;
    for (; count < precision && bytes < text.size(); ++count)
      bytes += code_point(text.substr(bytes));
    shown = text.substr(0, bytes);
  } else {
    count = length(text);
  }
  const std::size_t padding = width > count ? width - count : 0;
  const std::size_t left = align == '>' ? padding : align == '^' ? padding / 2 : 0;
  std::string out;
  for (std::size_t i = 0; i < left; ++i) out += fill;
  out += shown;
  for (std::size_t i = left; i < padding; ++i) out += fill;
  return out;
}

bool mentions(std::string_view format, std::string_view symbol) {
  return format.find("%{" + std::string(symbol)) != std::string_view::npos;
}

Status substitute(std::string& line, std::string_view symbol, std::string_view value,
                  const Style& style) {
  const std::string start = "%{" + std::string(symbol);
  std::string out;
  std::string_view rest = line;
  for (;;) {
    const std::size_t at = rest.find(start);
    if (at == std::string_view::npos) break;
    // The shortest run without '%' up to a brace; anything else stays text.
    const std::size_t from = at + start.size();
    const std::size_t end = rest.find_first_of("%}", from);
    if (end == std::string_view::npos || rest[end] == '%') {
      out += rest.substr(0, from);
      rest.remove_prefix(from);
      continue;
    }
    auto formatted = TRY(format_field(symbol, value, rest.substr(from, end - from)));
    out += rest.substr(0, at);
    out += styled(formatted, style);
    rest.remove_prefix(end + 1);
  }
  out += rest;
  line = std::move(out);
  return {};
}

std::string without_codes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("\033[")) {
      const std::size_t end = text.find_first_not_of(";?0123456789", 2);
      const bool code = end != std::string_view::npos && ((text[end] >= 'a' && text[end] <= 'z') ||
                                                          (text[end] >= 'A' && text[end] <= 'Z'));
      if (code) {
        text.remove_prefix(end + 1);
        continue;
      }
    }
    const std::size_t next = std::min(text.find('\033', 1), text.size());
    out += text.substr(0, next);
    text.remove_prefix(next);
  }
  return out;
}

}  // namespace sluice::cli
