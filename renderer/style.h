// Colours as BuildStream's: the same escapes in the same order, so that a coloured log compares
// equal to one of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::renderer {

struct Style {
  std::uint8_t color = 0;  // 31 red, 32 green, 33 yellow, 34 blue, 35 magenta, 36 cyan; 0: none
  bool bold = false;
  std::optional<bool> dim;  // unset: not said

  constexpr Style with_bold() const { return {color, true, dim}; }
  constexpr Style with_dim(bool value) const { return {color, bold, value}; }
  bool operator==(const Style&) const = default;
};

inline constexpr std::uint8_t kRed = 31, kGreen = 32, kYellow = 33, kBlue = 34, kMagenta = 35,
                              kCyan = 36;

inline constexpr Style kPlain{};
inline constexpr Style kContent{kYellow};
inline constexpr Style kFormat{kCyan, false, true};
inline constexpr Style kSuccess{kGreen};
inline constexpr Style kError{kRed, false, true};
inline constexpr Style kDetail{0, false, true};

struct Painter {
  bool colors = false;
  // `text` in the style, and back to none after it.
  std::string operator()(std::string_view text, const Style& style) const {
    if (!colors || style == kPlain) return std::string(text);
    std::string out;
    const auto escape = [&](unsigned number) { out += "\x1b[" + std::to_string(number) + "m"; };
    if (style.color != 0) escape(style.color);
    if (style.bold) escape(1);
    if (style.dim) escape(*style.dim ? 2 : 22);
    out += text;
    out += "\x1b[0m";
    return out;
  }
};

}  // namespace sluice::renderer
