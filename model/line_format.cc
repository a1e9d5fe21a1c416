#include "model/line_format.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace sluice::model {

namespace {

constexpr std::size_t kMaxWidth = 1000;

std::string_view stripped(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_align(char c) { return c == '<' || c == '>' || c == '^'; }

// "[[fill]align][width]", what of Python's format specifications makes sense for text.
bool parse_spec(std::string_view spec, FormatToken& token) {
  if (spec.size() >= 2 && is_align(spec[1])) {
    token.fill = spec[0];
    token.align = spec[1];
    spec.remove_prefix(2);
  } else if (!spec.empty() && is_align(spec[0])) {
    token.align = spec[0];
    spec.remove_prefix(1);
  }
  if (spec.empty()) return true;
  const auto [end, error] = std::from_chars(spec.data(), spec.data() + spec.size(), token.width);
  return error == std::errc() && end == spec.data() + spec.size() && token.width <= kMaxWidth;
}

Result<std::vector<FormatToken>> parse(std::string_view format, std::string_view what,
                                       const std::vector<std::string_view>& known) {
  std::vector<FormatToken> tokens;
  const auto fixed = [&](std::string_view text) {
    if (tokens.empty() || !tokens.back().variable.empty()) tokens.emplace_back();
    tokens.back().text += text;
  };
  format = stripped(format);
  while (!format.empty()) {
    if (format.starts_with("%%")) {
      fixed("%");
      format.remove_prefix(2);
    } else if (format.starts_with("%{")) {
      const auto end = format.find('}');
      if (end == std::string_view::npos) {
        return fail("load", "invalid-data",
                    fmt::format("{}: '{}' has no closing brace", what, format));
      }
      const auto inside = format.substr(2, end - 2);
      const auto colon = inside.find(':');
      FormatToken token;
      token.variable = inside.substr(0, colon);
      if (std::find(known.begin(), known.end(), token.variable) == known.end()) {
        return fail(
            "load", "invalid-data",
            fmt::format("{}: '{}' is not a variable that can be shown here", what, token.variable));
      }
      if (colon != std::string_view::npos && !parse_spec(inside.substr(colon + 1), token)) {
        return fail(
            "load", "invalid-data",
            fmt::format("{}: '{}' is not an alignment and width", what, inside.substr(colon + 1)));
      }
      tokens.push_back(std::move(token));
      format.remove_prefix(end + 1);
    } else {
      const auto end = std::min(format.find('%', 1), format.size());
      fixed(format.substr(0, end));
      format.remove_prefix(end);
    }
  }
  return tokens;
}

}  // namespace

Result<std::vector<FormatToken>> parse_message_format(std::string_view format) {
  return parse(format, "message-format",
               {"elapsed", "elapsed-us", "wallclock", "wallclock-us", "key", "element", "action",
                "message"});
}

Result<std::vector<FormatToken>> parse_element_format(std::string_view format) {
  return parse(format, "element-format",
               {"name", "kind", "key", "full-key", "state", "workspaced", "workspace-dirs"});
}

}  // namespace sluice::model
