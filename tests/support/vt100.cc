#include "tests/support/vt100.h"

#include <algorithm>
#include <charconv>
#include <clocale>
#include <cwchar>

namespace sluice::testing {

Vt100::Vt100(std::size_t columns, std::size_t rows, bool reflow)
    : columns_(columns), rows_(rows), reflows_(reflow), lines_(rows) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
}

void Vt100::wrong(const std::string& what) {
  if (error_.empty()) error_ = what;
}

void Vt100::feed(std::string_view bytes) {
  std::string input = partial_;
  input += bytes;
  partial_.clear();
  std::size_t at = 0;
  while (at < input.size()) {
    const char c = input[at];
    if (c == '\x1b' && at + 1 < input.size() && input[at + 1] == ']') {
      const auto end = input.find("\x1b\\", at);
      if (end == std::string::npos) {
        partial_ = input.substr(at);
        return;
      }
      command(std::string_view(input).substr(at + 2, end - at - 2));
      at = end + 2;
    } else if (c == '\x1b') {
      std::size_t end = at + 1;
      if (end < input.size() && input[end] == '[') {
        ++end;
        while (end < input.size() && (input[end] < 0x40 || input[end] > 0x7e)) ++end;
      }
      if (end >= input.size()) {
        partial_ = input.substr(at);
        return;
      }
      escape(std::string_view(input).substr(at, end + 1 - at));
      at = end + 1;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      control(c);
      ++at;
    } else {
      std::mbstate_t state{};
      wchar_t wide = 0;
      const std::size_t length = std::mbrtowc(&wide, input.data() + at, input.size() - at, &state);
      if (length == static_cast<std::size_t>(-2)) {
        partial_ = input.substr(at);
        return;
      }
      if (length == static_cast<std::size_t>(-1) || length == 0) {
        wrong("text that is no UTF-8");
        ++at;
        continue;
      }
      const int width = ::wcwidth(wide);
      if (width < 0) wrong("a character that can't be shown");
      put(input.substr(at, length), width < 0 ? 1 : static_cast<std::size_t>(width));
      at += length;
    }
  }
}

void Vt100::control(char c) {
  if (c == '\r') {
    cursor_column_ = 0;
    wrap_pending_ = false;
  } else if (c == '\n') {
    line_feed();
    line().continued = false;
  } else if (c == '\t') {
    cursor_column_ = std::min(columns_ - 1, (cursor_column_ / 8 + 1) * 8);
  } else {
    wrong("control character " + std::to_string(c));
  }
}

void Vt100::line_feed() {
  wrap_pending_ = false;
  ++cursor_row_;
  if (cursor_row_ == lines_.size()) lines_.emplace_back();
  if (cursor_row_ >= top_ + rows_) ++top_;
}

void Vt100::put(const std::string& character, std::size_t width) {
  if (!link_.empty()) links_.back().first += character;
  if (width == 0) {
    // A character without width joins the one before it.
    std::size_t column = cursor_column_;
    auto& cells = line().cells;
    while (column > 0 && (column >= cells.size() + 1 || cells[column - 1].empty())) --column;
    if (wrap_pending_ && !cells.empty())
      cells.back() += character;
    else if (column > 0)
      cells[column - 1] += character;
    return;
  }
  if (wrap_pending_ || cursor_column_ + width > columns_) {
    line_feed();
    cursor_column_ = 0;
    line().continued = true;
  }
  auto& cells = line().cells;
  if (cells.size() < cursor_column_) cells.resize(cursor_column_, " ");
  if (cells.size() < cursor_column_ + width) cells.resize(cursor_column_ + width);
  cells[cursor_column_] = character;
  if (width == 2) cells[cursor_column_ + 1].clear();
  cursor_column_ += width;
  if (cursor_column_ == columns_) {
    cursor_column_ = columns_ - 1;
    wrap_pending_ = true;
  }
}

void Vt100::erase_line(std::size_t from) {
  auto& cells = line().cells;
  if (cells.size() > from) cells.resize(from);
}

// OSC: links and progress.
void Vt100::command(std::string_view text) {
  if (text.starts_with("8;;")) {
    const bool open = !link_.empty();
    link_ = text.substr(3);
    if (open == !link_.empty()) wrong("a link within a link, or the end of none");
    if (!open) links_.emplace_back("", link_);
  } else if (text.starts_with("9;4;")) {
    progress_ = text.substr(4);
  } else {
    wrong("OSC " + std::string(text));
  }
}

void Vt100::set_mode(std::string_view sequence) {
  if (sequence != "\x1b[?2026h" && sequence != "\x1b[?2026l")
    return wrong("mode " + std::string(sequence.substr(1)));
  const bool on = sequence.back() == 'h';
  if (on == synchronized_) wrong("a frame within a frame, or the end of none");
  synchronized_ = on;
  if (on) ++frames_;
}

void Vt100::escape(std::string_view sequence) {
  if (sequence.size() < 3 || sequence[1] != '[')
    return wrong("escape " + std::string(sequence.substr(1)));
  const char kind = sequence.back();
  const auto parameters = sequence.substr(2, sequence.size() - 3);
  if (sequence[2] == '?') return set_mode(sequence);
  if (kind == 'm') {
    if (parameters.find_first_not_of("0123456789;") != std::string_view::npos)
      wrong("SGR " + std::string(parameters));
    return;
  }
  std::size_t number = kind == 'A' || kind == 'B' ? 1 : 0;
  if (!parameters.empty()) {
    const auto [end, error] =
        std::from_chars(parameters.data(), parameters.data() + parameters.size(), number);
    if (error != std::errc() || end != parameters.data() + parameters.size())
      return wrong("escape " + std::string(sequence.substr(1)));
  }
  if (kind == 'A' && number > 0) {
    cursor_row_ -= std::min(number, cursor_row_ - top_);
    wrap_pending_ = false;
  } else if (kind == 'B' && number > 0) {
    cursor_row_ = std::min(cursor_row_ + number, top_ + rows_ - 1);
    while (lines_.size() <= cursor_row_) lines_.emplace_back();
    wrap_pending_ = false;
  } else if (kind == 'C' && number > 0) {
    cursor_column_ = std::min(cursor_column_ + number, columns_ - 1);
    wrap_pending_ = false;
  } else if (kind == 'L' && number > 0) {
    if (cursor_column_ != 0) wrong("lines are inserted within a line");
    while (lines_.size() < top_ + rows_) lines_.emplace_back();
    number = std::min(number, top_ + rows_ - cursor_row_);
    const auto here = lines_.begin() + static_cast<std::ptrdiff_t>(cursor_row_);
    lines_.insert(here, number, Line());
    lines_.resize(top_ + rows_);
  } else if (kind == 'K' && number == 0) {
    erase_line(cursor_column_);
  } else if (kind == 'J' && number == 0) {
    erase_line(cursor_column_);
    lines_.resize(cursor_row_ + 1);
    while (lines_.size() < top_ + rows_) lines_.emplace_back();
  } else {
    wrong("escape " + std::string(sequence.substr(1)));
  }
}

void Vt100::reflow(std::size_t columns) {
  std::vector<Line> out;
  std::size_t cursor_row = 0, cursor_column = 0;
  for (std::size_t first = 0; first < lines_.size();) {
    std::size_t last = first + 1;
    std::vector<std::string> cells = lines_[first].cells;
    std::size_t cursor = cursor_row_ == first ? cursor_column_ : std::string::npos;
    for (; last < lines_.size() && lines_[last].continued; ++last) {
      // Joined without a gap: a row that is one short ended before a wide character.
      if (cursor_row_ == last) cursor = cells.size() + cursor_column_;
      cells.insert(cells.end(), lines_[last].cells.begin(), lines_[last].cells.end());
    }
    const std::size_t start = out.size();
    std::size_t at = 0;
    do {
      Line row;
      row.continued = out.size() > start;
      std::size_t take = std::min(columns, cells.size() - at);
      // A wide character is not broken.
      if (at + take < cells.size() && take > 1 && cells[at + take].empty() &&
          !cells[at + take - 1].empty())
        --take;
      row.cells.assign(cells.begin() + static_cast<std::ptrdiff_t>(at),
                       cells.begin() + static_cast<std::ptrdiff_t>(at + take));
      at += take;
      out.push_back(std::move(row));
    } while (at < cells.size());
    if (cursor != std::string::npos) {
      cursor_row = std::min(start + cursor / columns, out.size() - 1);
      cursor_column = cursor % columns;
    }
    first = last;
  }
  lines_ = std::move(out);
  cursor_row_ = cursor_row;
  cursor_column_ = cursor_column;
}

void Vt100::resize(std::size_t columns, std::size_t rows) {
  wrap_pending_ = false;
  // Rows below everything that was written are no lines.
  while (lines_.size() > cursor_row_ + 1 && lines_.back().cells.empty()) lines_.pop_back();
  if (columns != columns_ && reflows_) {
    reflow(columns);
  } else if (columns < columns_) {
    for (std::size_t i = top_; i < lines_.size(); ++i) {
      if (lines_[i].cells.size() > columns) lines_[i].cells.resize(columns);
    }
  }
  columns_ = columns;
  rows_ = rows;
  cursor_column_ = std::min(cursor_column_, columns - 1);
  top_ = lines_.size() > rows ? lines_.size() - rows : 0;
  if (cursor_row_ < top_) top_ = cursor_row_;
  while (lines_.size() < top_ + rows_) lines_.emplace_back();
}

std::string Vt100::text_of(const Line& line) {
  std::string out;
  for (const auto& cell : line.cells) out += cell;
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

std::vector<std::string> Vt100::screen() const {
  std::vector<std::string> out;
  for (std::size_t i = top_; i < top_ + rows_; ++i) out.push_back(text_of(lines_[i]));
  return out;
}

std::vector<std::string> Vt100::lines() const {
  std::vector<std::string> out;
  for (const auto& line : lines_) {
    if (line.continued && !out.empty()) {
      out.back() += text_of(line);
    } else {
      out.push_back(text_of(line));
    }
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

std::string Vt100::text() const {
  std::string out;
  for (const auto& row : screen()) {
    if (!row.empty()) out += row + "\n";
  }
  return out;
}

}  // namespace sluice::testing
