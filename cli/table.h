// Rows as lines, each column as wide as its widest entry, but the last.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace sluice::cli {

template <std::size_t N>
std::string table(const std::vector<std::array<std::string, N>>& rows) {
  std::array<std::size_t, N> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < N; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < N; ++i) text += fmt::format("{:<{}}  ", row[i], widths[i]);
    text += row[N - 1] + "\n";
  }
  return text;
}

}  // namespace sluice::cli
