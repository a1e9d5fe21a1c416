// A terminal for tests: takes the bytes that a program writes and shows what a
// person would see. Knows exactly the controls that Sluice's renderer says it
// uses (renderer/screen.h); any other is an error, as is text that is no UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::testing {

class Vt100 {
 public:
  // `reflow`: a change of the width breaks and joins rows, as most terminals do;
  // else rows are cut, as xterm does.
  Vt100(std::size_t columns, std::size_t rows, bool reflow = true);

  void feed(std::string_view bytes);
  void resize(std::size_t columns, std::size_t rows);

  // The rows that are seen, without blanks at their ends; always rows() of them.
  std::vector<std::string> screen() const;
  // What has scrolled away and what is seen, joined to the lines that were
  // written; without empty ones at the end.
  std::vector<std::string> lines() const;
  // The seen rows that aren't empty, for comparing in few words.
  std::string text() const;

  std::size_t columns() const { return columns_; }
  std::size_t rows() const { return rows_; }
  std::size_t cursor_row() const { return cursor_row_ - top_; }  // of the screen
  std::size_t cursor_column() const { return cursor_column_; }
  // The first thing that was not understood; "" while all is well.
  const std::string& error() const { return error_; }
  // Whether a frame is being written (mode 2026), and how many were.
  bool synchronized() const { return synchronized_; }
  std::size_t frames() const { return frames_; }
  // The texts of links (OSC 8) with where they lead to, in their order.
  const std::vector<std::pair<std::string, std::string>>& links() const { return links_; }
  // What OSC 9;4 has said last: "1;50"; "" when it was never said.
  const std::string& progress() const { return progress_; }

 private:
  struct Line {
    std::vector<std::string> cells;  // "" is the second half of a wide character, or nothing yet
    bool continued = false;          // by breaking, the row before goes on here
  };
  void control(char c);
  void escape(std::string_view sequence);
  void command(std::string_view text);
  void set_mode(std::string_view sequence);
  void put(const std::string& character, std::size_t width);
  void line_feed();
  void erase_line(std::size_t from);
  Line& line() { return lines_[cursor_row_]; }
  static std::string text_of(const Line& line);
  void reflow(std::size_t columns);
  void wrong(const std::string& what);

  std::size_t columns_, rows_;
  bool reflows_;
  std::vector<Line> lines_;                         // with those that scrolled away
  std::size_t top_ = 0;                             // index of the first that is seen
  std::size_t cursor_row_ = 0, cursor_column_ = 0;  // row: index into lines_
  bool wrap_pending_ = false;
  std::string partial_;  // an escape or a character that isn't whole yet
  std::string error_;
  bool synchronized_ = false;
  std::size_t frames_ = 0;
  std::string link_, progress_;
  std::vector<std::pair<std::string, std::string>> links_;
};

}  // namespace sluice::testing
