#include "renderer/screen.h"

#include <algorithm>

#include "base/text.h"

namespace sluice::renderer {

namespace {

constexpr std::string_view kEraseLine = "\x1b[K";
constexpr std::string_view kEraseBelow = "\x1b[J";
constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kBegin = "\x1b[?2026h", kEnd = "\x1b[?2026l";

void move(std::string& out, std::size_t from, std::size_t to) {
  if (from == to) return;
  out += "\x1b[" + std::to_string(from > to ? from - to : to - from) + (from > to ? "A" : "B");
}

// The length of the escape that `text` begins with: SGR and OSC 8 are all that lines and rows have.
std::size_t escape_length(std::string_view text) {
  if (text.starts_with("\x1b]")) {
    const auto end = text.find("\x1b\\", 2);
    return end == std::string_view::npos ? text.size() : end + 2;
  }
  const auto end = text.find('m');
  return end == std::string_view::npos ? text.size() : end + 1;
}

// Columns of a line with its escapes, and tabs, which count as the most they can take.
std::size_t line_width(std::string_view line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i += escape_length(line.substr(i)) - 1;
    } else if (line[i] == '\t') {
      text.append(8, ' ');
    } else {
      text += line[i];
    }
  }
  return display_width(text);
}

// A character with its style: the escapes since the last that ended all styles.
struct Cell {
  std::string_view text;  // with what of no width joins it
  std::string_view style;
  std::size_t width = 0;
  bool operator==(const Cell&) const = default;
};

std::vector<Cell> cells_of(std::string_view row) {
  std::vector<Cell> out;
  std::size_t style = 0, style_end = 0;
  for (std::size_t i = 0; i < row.size();) {
    if (row[i] == '\x1b') {
      const std::size_t length = escape_length(row.substr(i));
      // Each style is written anew from none (renderer/style.h), so that its escapes stand
      // together.
      if (style_end != i) style = i;
      style_end = i + length;
      if (row.substr(i, length) == kReset) style = style_end;
      i += length;
      continue;
    }
    std::size_t length = 1;
    while (i + length < row.size() && (static_cast<unsigned char>(row[i + length]) & 0xc0) == 0x80)
      ++length;
    const std::string_view text = row.substr(i, length);
    const std::size_t width = display_width(text);
    i += length;
    if (width == 0 && !out.empty()) {
      out.back().text = {out.back().text.data(), out.back().text.size() + length};
      continue;
    }
    out.push_back({text, row.substr(style, style_end - style), width});
  }
  return out;
}

// What makes the row `before`, with the cursor at its start, look like `now`.
std::string difference(const Row& before, const Row& now) {
  const auto was = cells_of(before.bytes), is = cells_of(now.bytes);
  std::size_t front = 0, column = 0;
  while (front < is.size() && front < was.size() && is[front] == was[front])
    column += is[front++].width;
  std::size_t end = is.size();
  if (before.width == now.width) {
    for (std::size_t old = was.size(); end > front && old > front && is[end - 1] == was[old - 1];)
      --end, --old;
  }
  std::string out;
  if (column > 0) out += "\x1b[" + std::to_string(column) + "C";
  std::string_view style;
  for (std::size_t i = front; i < end; ++i) {
    if (is[i].style != style) {
      if (!style.empty()) out += kReset;
      out += is[i].style;
      style = is[i].style;
    }
    out += is[i].text;
  }
  if (!style.empty()) out += kReset;
  if (now.width < before.width) out += kEraseLine;
  std::string whole = now.bytes;
  if (now.width < before.width) whole += kEraseLine;
  return out.size() < whole.size() ? out : whole;
}

}  // namespace

std::string Screen::frame(std::string_view lines, std::vector<Row> rows) {
  std::string out;
  const bool same = !dirty_ && rows.size() == rows_.size();
  if (lines.empty() && same) {
    out = update(rows, rows.size());
  } else if (sparing_ && same && can_insert(lines, rows.size())) {
    out = insert(lines, rows);
  } else if (!lines.empty() || dirty_ || !rows_.empty() || !rows.empty()) {
    out = rewrite(lines, rows);
  }
  rows_ = std::move(rows);
  above_ = rows_.size();
  dirty_ = false;
  if (sparing_ && !out.empty()) out = std::string(kBegin) + out + std::string(kEnd);
  return out;
}

// Writes only what differs, since no row has moved. The cursor is at the start of the row `at`.
std::string Screen::update(const std::vector<Row>& rows, std::size_t at) const {
  std::string out;
  bool moved = false;  // within its row
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == rows_[i]) continue;
    move(out, at, i);
    if (moved || !sparing_) out += '\r';
    out += sparing_ ? difference(rows_[i], rows[i]) : rows[i].bytes + std::string(kEraseLine);
    at = i;
    moved = true;
  }
  move(out, at, rows.size());
  if (moved) out += '\r';
  return out;
}

// Whether each line takes one row, and all of them have room above the block.
bool Screen::can_insert(std::string_view lines, std::size_t rows) const {
  if (rows == 0) return false;
  std::size_t count = 0;
  for (auto line : split_lines(lines)) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line_width(line) >= columns_) return false;
    ++count;
  }
  return count + rows < height_;
}

// Moves the block down instead of writing it again: what is needed of room is made below it first,
// which scrolls when it stands at the bottom.
std::string Screen::insert(std::string_view lines, const std::vector<Row>& rows) const {
  const auto split = split_lines(lines);
  std::string out(split.size(), '\n');
  move(out, split.size() + rows.size(), 0);
  out += "\x1b[" + std::to_string(split.size()) + "L";
  for (auto line : split) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    out += line;
    out += "\r\n";
  }
  return out + update(rows, 0);
}

// What scrolls goes over the block, the block is written below it: each line clears its own rest,
// so that nothing is blank for a moment that isn't in the end.
std::string Screen::rewrite(std::string_view lines, const std::vector<Row>& rows) const {
  std::string out;
  move(out, above_, 0);
  out += '\r';
  bool clear = above_ == 0 && !dirty_;
  if (dirty_) {
    out += kEraseBelow;
    clear = true;
  }
  for (auto line : split_lines(lines)) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (!clear && line_width(line) >= columns_) {
      // The row takes several rows now, so what was there must go first.
      out += kEraseBelow;
      clear = true;
    }
    out += line;
    if (!clear) out += kEraseLine;
    out += "\r\n";
  }
  for (const auto& row : rows) {
    out += row.bytes;
    if (!clear) out += kEraseLine;
    out += "\r\n";
  }
  if (!clear) out += kEraseBelow;
  return out;
}

void Screen::resize(std::size_t columns, std::size_t rows) {
  columns_ = std::max<std::size_t>(columns, 1);
  height_ = rows;
  above_ = 0;
  for (const auto& row : rows_)
    above_ += std::max<std::size_t>(1, (row.width + columns_ - 1) / columns_);
  dirty_ = true;
}

void Screen::forget() {
  rows_.clear();
  above_ = 0;
  dirty_ = true;
}

}  // namespace sluice::renderer
