#include "base/excerpt.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"

namespace sluice {

namespace {

constexpr std::size_t kTab = 4;

// A character as it is shown.
struct Cell {
  std::string text;
  std::size_t width = 1;
};

// The bytes of the character that a text starts with; 1 where that is no UTF-8.
std::size_t character_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  const std::string_view character = text.substr(0, length);
  return valid_utf8(character) == character ? character.size() : 1;
}

std::vector<Cell> cells_of(std::string_view line) {
  std::vector<Cell> cells;
  std::size_t width = 0;
  while (!line.empty()) {
    const std::string_view character = line.substr(0, character_length(line));
    line.remove_prefix(character.size());
    Cell cell;
    if (character == "\t") {
      cell.width = kTab - width % kTab;
      cell.text.assign(cell.width, ' ');
    } else if (character == "\x1b") {
      // clean() would take what follows for a part of it.
      cell.text = "?";
    } else {
      cell.text = clean(character);
      cell.width = display_width(cell.text);
    }
    width += cell.width;
    cells.push_back(std::move(cell));
  }
  return cells;
}

}  // namespace

std::string excerpt(std::string_view line, std::uint32_t number, std::uint32_t column,
                    std::size_t columns) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  const std::vector<Cell> cells = cells_of(line);
  const std::size_t mark = std::min<std::size_t>(column, cells.size());
  const std::string gutter = fmt::format("    {} | ", number);
  const std::size_t room =
      std::max<std::size_t>(columns, 20) - std::min<std::size_t>(gutter.size(), 16);
  std::size_t total = 0;
  for (const Cell& cell : cells) total += cell.width;

  // What is shown: all, or from both sides of the mark as much as there is room for, two thirds of
  // it before the mark.
  std::size_t begin = 0, end = cells.size();
  // The mark may stand behind the last character.
  if (total + 1 > room) {
    begin = end = mark;
    std::size_t used = 1;
    const auto before = [&](std::size_t most) {
      while (begin > 0 && used + cells[begin - 1].width + 2 <= most) used += cells[--begin].width;
    };
    before(room * 2 / 3);
    while (end < cells.size() && used + cells[end].width + 2 <= room) used += cells[end++].width;
    before(room);
  }
  std::string shown = begin > 0 ? "…" : "";
  std::size_t at = begin > 0 ? 1 : 0;
  for (std::size_t i = begin; i < end; ++i) {
    shown += cells[i].text;
    if (i < mark) at += cells[i].width;
  }
  if (end < cells.size()) shown += "…";
  const std::string below = std::string(gutter.size() - 2, ' ') + "| " + std::string(at, ' ');
  std::string above = gutter + shown;
  while (above.ends_with(' ')) above.pop_back();
  return above + "\n" + below + "^\n";
}

std::string_view line_of(std::string_view text, std::uint32_t number) {
  for (; number > 1; --number) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return {};
    text.remove_prefix(newline + 1);
  }
  return text.substr(0, text.find('\n'));
}

}  // namespace sluice
