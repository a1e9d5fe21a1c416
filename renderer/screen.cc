#include "renderer/screen.h"

#include <algorithm>

#include "base/text.h"

namespace sluice::renderer {

namespace {

constexpr std::string_view kEraseLine = "\x1b[K";
constexpr std::string_view kEraseBelow = "\x1b[J";

void move(std::string& out, std::size_t from, std::size_t to) {
  if (from == to) return;
  out += "\x1b[" + std::to_string(from > to ? from - to : to - from) + (from > to ? "A" : "B");
}

// Columns of a line with its colours (SGR is all that Lines adds) and tabs, which count as the most
// they can take.
std::size_t line_width(std::string_view line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      const auto end = line.find('m', i);
      if (end == std::string_view::npos) break;
      i = end;
    } else if (line[i] == '\t') {
      text.append(8, ' ');
    } else {
      text += line[i];
    }
  }
  return display_width(text);
}

}  // namespace

std::string Screen::frame(std::string_view lines, std::vector<Row> rows) {
  std::string out;
  if (lines.empty() && !dirty_ && rows.size() == rows_.size()) {
    out = update(rows);
  } else if (!lines.empty() || dirty_ || !rows_.empty() || !rows.empty()) {
    out = rewrite(lines, rows);
  }
  rows_ = std::move(rows);
  above_ = rows_.size();
  dirty_ = false;
  return out;
}

// Writes only the rows that differ, since none has moved.
std::string Screen::update(const std::vector<Row>& rows) const {
  std::string out;
  std::size_t at = rows.size();  // the cursor's row
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] == rows_[i]) continue;
    move(out, at, i);
    out += '\r';
    out += rows[i].bytes;
    out += kEraseLine;
    at = i;
  }
  if (!out.empty()) {
    move(out, at, rows.size());
    out += '\r';
  }
  return out;
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
