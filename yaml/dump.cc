#include "yaml/dump.h"

#include <string_view>

#include <fmt/format.h>

namespace sluice::yaml {

using model::Node;
using model::NodeList;
using model::NodeMap;
using model::StringMap;

namespace {

constexpr std::size_t kWidth = 9999;
constexpr std::size_t kIndent = 2;
// The largest length of a key that is written as "key: value"; longer ones are written in the
// explicit form, "? key". The dumper counts the key's type too, though it isn't written.
constexpr std::size_t kLongestKey = 127 - std::string_view("!!str").size();

std::u32string decode(std::string_view text) {
  std::u32string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    char32_t code = c < 0x80 ? c : c & (0xff >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < text.size(); ++k) {
      code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
    }
    decoded += code;
    i += length;
  }
  return decoded;
}

void encode(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

bool is_break(char32_t c) { return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029; }
bool is_space(char32_t c) { return c == 0 || c == ' ' || c == '\t' || c == '\r' || is_break(c); }
bool is_one_of(char32_t c, std::string_view set) {
  return c < 0x80 && set.find(static_cast<char>(c)) != std::string_view::npos;
}

// Characters that need no escape, line breaks apart.
bool is_printable(char32_t c) {
  return (c >= 0x20 && c <= 0x7e) || c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) ||
         (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || (c >= 0x10000 && c <= 0x10ffff);
}

struct Analysis {
  bool multiline = false;
  bool plain = true;   // may be written without quotes
  bool single = true;  // may be written in single quotes
};

Analysis analyze(const std::u32string& text) {
  Analysis analysis;
  if (text.empty()) return analysis;
  bool indicators = text.starts_with(U"---") || text.starts_with(U"...");
  bool special = false;
  bool space_at_end =
      text.front() == ' ' || text.back() == ' ' || is_break(text.front()) || is_break(text.back());
  bool break_space = false;
  bool space_break = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool space_follows = i + 1 == text.size() || is_space(text[i + 1]);
    if (i == 0) {
      if (is_one_of(c, "#,[]{}&*!|>'\"%@`") || (is_one_of(c, "?:-") && space_follows))
        indicators = true;
    } else if ((c == ':' && space_follows) || (c == '#' && is_space(text[i - 1]))) {
      indicators = true;
    }
    if (is_break(c)) analysis.multiline = true;
    if (c != '\n' && !is_printable(c)) special = true;
    if (i > 0 && c == ' ' && is_break(text[i - 1])) break_space = true;
    if (i > 0 && is_break(c) && text[i - 1] == ' ') space_break = true;
  }
  analysis.plain =
      !(indicators || special || space_at_end || break_space || space_break || analysis.multiline);
  analysis.single = !(special || break_space || space_break);
  return analysis;
}

class Dumper {
 public:
  std::string run(const Node& node) {
    at_start_ = true;
    value(node, 0, Position::kStart);
    out_ += '\n';
    return std::move(out_);
  }

 private:
  // What stands before a value on its line.
  enum class Position { kStart, kKey, kDash, kExplicitValue };

  void put(char32_t c) {
    encode(out_, c);
    ++column_;
  }
  void put(std::string_view ascii) {
    out_ += ascii;
    column_ += ascii.size();
  }
  void put(const std::u32string& text, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) put(text[i]);
  }
  void line_break(char32_t c = '\n') {
    encode(out_, c);
    column_ = 0;
  }
  void new_line(std::size_t indent) {
    if (column_ > 0 || !at_start_) line_break();
    pad(indent);
  }
  void pad(std::size_t indent) {
    at_start_ = false;
    if (column_ < indent) put(std::string(indent - column_, ' '));
  }

  // `indent` is that of the map or list that the value is in. What starts on the same line as a
  // dash lies deeper by kIndent.
  void value(const Node& node, std::size_t indent, Position position) {
    const bool beside = position == Position::kDash || position == Position::kExplicitValue;
    if (node.is_map() && !node.map.empty()) {
      if (beside) put(" ");
      const std::size_t below = position == Position::kStart ? 0 : indent + kIndent;
      bool first = beside;
      for (const auto& [key, item] : node.map) {
        if (!first) new_line(below);
        first = false;
        entry(key, item, below);
      }
    } else if (node.is_list() && !node.list.empty()) {
      if (beside) put(" ");
      // Below a key the dashes stand at the key's own indentation.
      const std::size_t below = beside ? indent + kIndent : indent;
      bool first = beside;
      for (const Node& item : node.list) {
        if (!first) new_line(below);
        first = false;
        put("-");
        value(item, below, Position::kDash);
      }
    } else if (node.is_map() || node.is_list()) {
      put(position == Position::kStart ? "" : " ");
      put(node.is_map() ? "{}" : "[]");
    } else {
      const std::u32string text = decode(node.scalar);
      if (text.empty()) {
        if (position == Position::kDash) put(" ");
        return;
      }
      put(position == Position::kStart ? "" : " ");
      scalar(text, indent + kIndent, true);
    }
  }

  void entry(const std::string& key, const Node& item, std::size_t indent) {
    at_start_ = false;
    const std::u32string text = decode(key);
    if (text.size() <= kLongestKey && !analyze(text).multiline) {
      if (text.empty()) {
        put("''");
      } else {
        scalar(text, indent + kIndent, false);
      }
      put(":");
      value(item, indent, Position::kKey);
      return;
    }
    put("? ");
    scalar(text, indent + kIndent, true);
    line_break();
    pad(indent);
    put(":");
    value(item, indent, Position::kExplicitValue);
  }

  void scalar(const std::u32string& text, std::size_t indent, bool may_fold) {
    const Analysis analysis = analyze(text);
    if (analysis.plain) {
      plain(text, indent, may_fold);
    } else if (text.find(U'\'') != std::u32string::npos ||
               text.find(U'\n') != std::u32string::npos || !analysis.single ||
               (!may_fold && analysis.multiline)) {
      double_quoted(text, indent, may_fold);
    } else {
      single_quoted(text, indent, may_fold);
    }
  }

  // Text without quotes: words, and the runs of spaces between them. A single space beyond the
  // width becomes the end of a line.
  void plain(const std::u32string& text, std::size_t indent, bool may_fold) {
    std::size_t start = 0;
    while (start < text.size()) {
      std::size_t end = start;
      if (text[start] == ' ') {
        while (end < text.size() && text[end] == ' ') ++end;
        if (end == start + 1 && column_ >= kWidth && may_fold) {
          fold(indent);
        } else {
          put(text, start, end);
        }
      } else {
        while (end < text.size() && text[end] != ' ') ++end;
        if (end - start + column_ > kWidth && column_ > indent) fold(indent);
        put(text, start, end);
      }
      start = end;
    }
  }

  void fold(std::size_t indent) {
    line_break();
    pad(indent);
  }

  void single_quoted(const std::u32string& text, std::size_t indent, bool may_fold) {
    put("'");
    std::size_t start = 0;
    while (start < text.size()) {
      std::size_t end = start;
      if (text[start] == ' ') {
        while (end < text.size() && text[end] == ' ') ++end;
        if (end == start + 1 && column_ > kWidth && may_fold && start != 0 && end != text.size()) {
          fold(indent);
        } else {
          put(text, start, end);
        }
      } else if (is_break(text[start])) {
        // Never a newline, for text with one is in double quotes.
        while (end < text.size() && is_break(text[end])) line_break(text[end++]);
        pad(indent);
      } else {
        while (end < text.size() && text[end] != ' ' && !is_break(text[end])) ++end;
        put(text, start, end);
      }
      start = end;
    }
    put("'");
  }

  void escape(char32_t c) {
    static constexpr char32_t kFrom[] = U"\0\a\b\t\n\v\f\r\x1b\"\\\u0085\u00a0\u2028\u2029";
    static constexpr std::string_view kTo = "0abtnvfre\"\\N_LP";
    const std::size_t known = std::u32string_view(kFrom, kTo.size()).find(c);
    if (known != std::u32string_view::npos) {
      put("\\");
      put(static_cast<char32_t>(kTo[known]));
    } else if (c <= 0xff) {
      put(fmt::format("\\x{:02X}", static_cast<std::uint32_t>(c)));
    } else if (c <= 0xffff) {
      put(fmt::format("\\u{:04X}", static_cast<std::uint32_t>(c)));
    } else {
      put(fmt::format("\\U{:08X}", static_cast<std::uint32_t>(c)));
    }
  }

  static bool needs_escape(char32_t c) {
    return c == '"' || c == '\\' || c == 0x85 || c == 0x2028 || c == 0x2029 || !is_printable(c);
  }

  void double_quoted(const std::u32string& text, std::size_t indent, bool may_fold) {
    put("\"");
    std::size_t start = 0;  // where the text begins that isn't written yet
    for (std::size_t end = 0; end <= text.size(); ++end) {
      const bool at_end = end == text.size();
      if (at_end || needs_escape(text[end])) {
        put(text, start, end);
        start = end;
        if (!at_end) {
          escape(text[end]);
          start = end + 1;
        }
      }
      const bool inside = end > 0 && end + 1 < text.size();
      if (!inside || !may_fold || !(text[end] == ' ' || start >= end) ||
          column_ + (end > start ? end - start : 0) - (start > end ? 1 : 0) <= kWidth) {
        continue;
      }
      const bool backslash = fold_needs_backslash(text, start, end);
      if (start < end) {
        put(text, start, end);
        start = end;
      }
      if (backslash) put("\\");
      fold(indent);
      if (text[start] == ' ') {
        if (backslash) {
          put("\\");
        } else {
          ++start;
        }
      }
    }
    put("\"");
  }

  // Whether the end of a line inside double quotes would read as something else.
  static bool fold_needs_backslash(const std::u32string& text, std::size_t start, std::size_t end) {
    std::size_t space = text.find(U' ', end);
    if (space == std::u32string::npos) return true;
    const std::size_t newline = text.find(U'\n', end);
    if (newline < space) space = newline;
    if (space + 1 >= text.size()) return true;
    if (text[space] == '\n' && text[space + 1] != ' ') return true;
    const std::u32string between = text.substr(end, space - end);
    return !(between.find(U'"') == std::u32string::npos &&
             between.find(U'\'') == std::u32string::npos && text[space + 1] != ' ' &&
             text[space + 1] != '\n' && text.substr(end - 1, 2) != U"  " && start != end);
  }

  std::string out_;
  std::size_t column_ = 0;
  bool at_start_ = true;
};

}  // namespace

std::string dump(const Node& node) { return Dumper().run(node); }

std::string dump(const StringMap& map) {
  NodeMap entries;
  entries.reserve(map.size());
  for (const auto& [key, value] : map) entries.emplace_back(key, Node::make_scalar(value));
  return dump(Node::make_map(std::move(entries)));
}

std::string dump(const std::vector<std::string>& list) {
  NodeList items;
  items.reserve(list.size());
  for (const std::string& item : list) items.push_back(Node::make_scalar(item));
  return dump(Node::make_list(std::move(items)));
}

std::string_view strip(std::string_view text) {
  // White space is ASCII, or one of the few characters that UTF-8 writes with two or three bytes.
  const auto space_at_front = [&]() -> std::size_t {
    const auto c = static_cast<unsigned char>(text[0]);
    if (c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f)) return 1;
    if (text.starts_with("\xc2\x85") || text.starts_with("\xc2\xa0")) return 2;
    if (text.starts_with("\xe1\x9a\x80") || text.starts_with("\xe2\x80\xa8") ||
        text.starts_with("\xe2\x80\xa9") || text.starts_with("\xe2\x80\xaf") ||
        text.starts_with("\xe2\x81\x9f") || text.starts_with("\xe3\x80\x80"))
      return 3;
    if (text.size() >= 3 && text.starts_with("\xe2\x80") &&
        static_cast<unsigned char>(text[2]) >= 0x80 && static_cast<unsigned char>(text[2]) <= 0x8a)
      return 3;
    return 0;
  };
  while (!text.empty()) {
    const std::size_t length = space_at_front();
    if (length == 0) break;
    text.remove_prefix(length);
  }
  while (!text.empty()) {
    // The last character is looked at as if it were the first.
    std::size_t start = text.size() - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
    const std::string_view whole = text;
    text = whole.substr(start);
    const std::size_t length = space_at_front();
    text = whole;
    if (length == 0 || length != whole.size() - start) break;
    text.remove_suffix(length);
  }
  return text;
}

Node stripped(Node node) {
  if (node.is_scalar()) node.scalar = std::string(strip(node.scalar));
  for (Node& item : node.list) item = stripped(std::move(item));
  for (auto& [key, value] : node.map) value = stripped(std::move(value));
  return node;
}

StringMap stripped(StringMap map) {
  for (auto& [key, value] : map) value = std::string(strip(value));
  return map;
}

}  // namespace sluice::yaml
