#include "base/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <clocale>
#include <cmath>
#include <cwchar>

#include <fmt/format.h>

namespace sluice {

namespace {

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

// Overlong forms, surrogates and what is beyond U+10FFFF are invalid, one byte at a time.
Character next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  std::size_t length = 0;
  char32_t code = 0;
  if ((first & 0xe0) == 0xc0) {
    length = 2;
    code = first & 0x1f;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3;
    code = first & 0x0f;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4;
    code = first & 0x07;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, length, true};
}

// libc's table, whatever the user's locale: what we write is UTF-8.
locale_t utf8_locale() {
  static const locale_t kLocale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kLocale;
}

std::size_t width_of(const Character& character) {
  if (!character.valid) return 1;
  if (character.code < 0x300) return 1;
  const locale_t locale = utf8_locale();
  if (locale == nullptr) return 1;
  const locale_t before = ::uselocale(locale);
  const int width = ::wcwidth(static_cast<wchar_t>(character.code));
  ::uselocale(before);
  return width < 0 ? 1 : static_cast<std::size_t>(width);
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(next_character(text).bytes);
  return count;
}

// The length of the escape sequence that `text` starts with: CSI up to its final
// byte, OSC and the like up to BEL or ST, else ESC and one byte.
std::size_t escape_length(std::string_view text) {
  if (text.size() < 2) return text.size();
  const char kind = text[1];
  if (kind == '[') {
    std::size_t i = 2;
    while (i < text.size() && text[i] >= 0x20 && text[i] < 0x40) ++i;
    return std::min(i + 1, text.size());
  }
  if (kind == ']' || kind == 'P' || kind == '_' || kind == '^' || kind == 'X') {
    for (std::size_t i = 2; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == '\x1b' && i + 1 < text.size() && text[i + 1] == '\\') return i + 2;
      if (text[i] == '\n') return i;  // never ended: the rest is no part of it
    }
    return text.size();
  }
  return kind == '\n' ? 1 : 2;
}

template <typename Convert>
std::string mapped(std::string_view word, Convert convert) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(convert(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = next_character(text);
    width += width_of(character);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string truncate(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  std::size_t width = 0, end = 0;
  while (end < text.size()) {
    const Character character = next_character(text.substr(end));
    const std::size_t wide = width_of(character);
    if (width + wide > columns - 1) break;
    width += wide;
    end += character.bytes;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string truncate_front(std::string_view text, std::size_t columns) {
  std::size_t width = display_width(text);
  if (width <= columns) return std::string(text);
  if (columns == 0) return {};
  // What has no width belongs to the character before it, and goes with it.
  while (!text.empty()) {
    const Character character = next_character(text);
    const std::size_t wide = width_of(character);
    if (width <= columns - 1 && wide > 0) break;
    width -= wide;
    text.remove_prefix(character.bytes);
  }
  return "…" + std::string(text);
}

std::string pad_right(std::string_view text, std::size_t characters) {
  const std::size_t has = count_characters(text);
  return std::string(text) + std::string(has < characters ? characters - has : 0, ' ');
}

std::string pad_left(std::string_view text, std::size_t characters) {
  const std::size_t has = count_characters(text);
  return std::string(has < characters ? characters - has : 0, ' ') + std::string(text);
}

namespace {

bool is_color(std::string_view escape) {
  return escape.size() >= 3 && escape[1] == '[' && escape.back() == 'm' &&
         escape.substr(2, escape.size() - 3).find_first_not_of("0123456789;:") ==
             std::string_view::npos;
}

std::string cleaned(std::string_view text, bool colors) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = next_character(text);
    std::size_t take = character.bytes;
    if (!character.valid) {
      out += "\xef\xbf\xbd";
    } else if (character.code == 0x1b) {
      take = escape_length(text);
      if (colors && is_color(text.substr(0, take))) out += text.substr(0, take);
    } else if (character.code == '\r' && text.size() > 1 && text[1] == '\n') {
      // The newline follows.
    } else if (character.code == '\n' || character.code == '\t') {
      out += text[0];
    } else if (character.code < 0x20 || (character.code >= 0x7f && character.code < 0xa0)) {
      out += '?';
    } else {
      out += text.substr(0, take);
    }
    text.remove_prefix(take);
  }
  return out;
}

}  // namespace

std::string clean(std::string_view text) { return cleaned(text, false); }
std::string clean_but_colors(std::string_view text) { return cleaned(text, true); }

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = next_character(text);
    if (character.valid) {
      out += text.substr(0, character.bytes);
    } else {
      out += "\xef\xbf\xbd";
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

std::string ascii(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character character = next_character(text);
    if (character.valid && character.code < 0x80) {
      out += static_cast<char>(character.code);
    } else if (character.valid && character.code == 0x2026) {
      out += "...";
    } else if (character.valid && (character.code == 0x2013 || character.code == 0x2014)) {
      out += '-';
    } else if (!character.valid || width_of(character) > 0) {
      out += '?';
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

void limit_text(std::string& text, std::size_t most) {
  constexpr std::string_view kCut = "[...]";
  if (text.size() <= most) return;
  std::size_t end = most - std::min(most, kCut.size());
  // The bytes of a character but the first are 10xxxxxx.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  text += kCut.substr(0, most);
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string> wrap(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines(1);
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = std::min(text.find_first_not_of(' ', at), text.size());
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    at = end;
    if (word.empty()) continue;
    const std::size_t width = display_width(word);
    if (used > 0 && used + 1 + width > columns) {
      lines.emplace_back();
      used = 0;
    }
    if (used > 0) lines.back() += ' ';
    lines.back() += word;
    used += width + (used > 0 ? 1 : 0);
  }
  return lines;
}

std::string indent(std::string_view text, std::string_view prefix) {
  std::string out;
  for (const auto line : split_lines(text)) {
    if (line.find_first_not_of(" \t\n\r") != std::string_view::npos) out += prefix;
    out += line;
  }
  return out;
}

std::string capitalized(std::string_view word) {
  std::string out(word);
  if (!out.empty()) out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out;
}

std::string upper(std::string_view word) {
  return mapped(word, [](unsigned char c) { return std::toupper(c); });
}

std::string lower(std::string_view word) {
  return mapped(word, [](unsigned char c) { return std::tolower(c); });
}

TimeFields time_fields(std::optional<std::int64_t> elapsed) {
  if (!elapsed) return {"--", "--", "--", "------"};
  const std::int64_t nanoseconds = std::max<std::int64_t>(*elapsed, 0);
  const std::int64_t seconds = nanoseconds / 1'000'000'000;
  return {fmt::format("{:02}", seconds / 3600), fmt::format("{:02}", seconds / 60 % 60),
          fmt::format("{:02}", seconds % 60), fmt::format("{:06}", nanoseconds / 1000 % 1'000'000)};
}

std::string time_code(std::optional<std::int64_t> elapsed) {
  const TimeFields fields = time_fields(elapsed);
  return fields.hours + ":" + fields.minutes + ":" + fields.seconds;
}

std::string pretty_size(std::uint64_t bytes) {
  double size = static_cast<double>(bytes);
  constexpr const char* kUnits[] = {"B", "K", "M", "G", "T"};
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:g}{}", std::round(size * 10) / 10, kUnits[unit]);
}

std::string brief_time(std::int64_t elapsed) {
  elapsed = std::max<std::int64_t>(elapsed, 0);
  const std::int64_t tenths = elapsed / 100'000'000, seconds = tenths / 10;
  if (seconds < 10) return fmt::format("{}.{}s", seconds, tenths % 10);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

std::string spoken_time(std::int64_t elapsed) {
  const std::int64_t seconds = std::max<std::int64_t>(elapsed, 0) / 1'000'000'000;
  const auto part = [](std::int64_t count, std::string_view unit) {
    return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
  };
  const auto with = [&](std::string out, std::int64_t count, std::string_view unit) {
    return count == 0 ? out : out + " " + part(count, unit);
  };
  if (seconds < 60) return part(seconds, "second");
  if (seconds < 3600) return with(part(seconds / 60, "minute"), seconds % 60, "second");
  return with(part(seconds / 3600, "hour"), seconds / 60 % 60, "minute");
}

std::string error_text(const Error& error) {
  std::string out = "\n";
  for (const std::string& part : {error.introduction, error.place()}) {
    if (!part.empty()) out += part + ": ";
  }
  out += error.message + "\n";
  if (!error.detail.empty()) {
    out += "\n";
    for (const auto line : split_lines(error.detail)) {
      out += "    ";
      out += line;
    }
    if (!out.ends_with('\n')) out += "\n";
  }
  return out;
}

}  // namespace sluice
