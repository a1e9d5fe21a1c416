// Text for people: widths, padding and cleaning of UTF-8, times and sizes in the
// forms that BuildStream prints. No state but a locale that is made once; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice {

// Columns on a terminal: 2 for wide characters, 0 for combining ones; a byte that is no UTF-8
// counts 1.
std::size_t display_width(std::string_view text);
// The longest front of at most `columns` columns; what was cut is shown by a last "…".
std::string truncate(std::string_view text, std::size_t columns);
// The longest end of at most `columns` columns; what was cut is shown by a first "…". For names,
// whose end tells more than their front.
std::string truncate_front(std::string_view text, std::size_t columns);
// Padding counts characters, not columns, as BuildStream does.
std::string pad_right(std::string_view text, std::size_t characters);
std::string pad_left(std::string_view text, std::size_t characters);

// Nothing of a message may steer the terminal: escape sequences are removed (a
// build's own colours with them), "\r\n" becomes "\n", other control characters
// but newline and tab become "?", and bytes that are no UTF-8 U+FFFD.
std::string clean(std::string_view text);
// As clean(), but colours and the like stay (SGR: ESC [ digits m).
std::string clean_but_colors(std::string_view text);
// Bytes that are no UTF-8 become U+FFFD, and the rest stays: for JSON.
std::string valid_utf8(std::string_view text);

// In ASCII: "…" becomes "...", dashes "-", and any other character, or byte that is no UTF-8, "?".
std::string ascii(std::string_view text);

// What somebody else says, of which there may be `most` bytes: a longer text is cut, between two
// characters, and ends with "[...]" then.
void limit_text(std::string& text, std::size_t most);

// The words of a line in lines of at most `columns` columns. A word that is wider has a line of its
// own, as wide as it is. At least one line.
std::vector<std::string> wrap(std::string_view text, std::size_t columns);

// Lines with their newline; the last may have none. Empty text has none.
std::vector<std::string_view> split_lines(std::string_view text);
// `prefix` before each line that isn't blank.
std::string indent(std::string_view text, std::string_view prefix);

std::string capitalized(std::string_view word);
std::string upper(std::string_view word);
std::string lower(std::string_view word);

// {"00", "01", "59"}, or three times "--" for no time. Nanoseconds.
struct TimeFields {
  std::string hours, minutes, seconds;
  std::string micros;  // "000123" or "------"
};
TimeFields time_fields(std::optional<std::int64_t> elapsed);
// "00:01:59"
std::string time_code(std::optional<std::int64_t> elapsed);

// A time in few characters: "0.4s", "12s", "3m05s", "2h07m". Nanoseconds.
std::string brief_time(std::int64_t elapsed);
// The same in words: "12 seconds", "3 minutes 5 seconds", "2 hours 7 minutes".
std::string spoken_time(std::int64_t elapsed);

// An error as BuildStream prints the one that ends a command: a blank line, its
// text, its detail indented.
std::string error_text(const Error& error);

// "44.2G": a power of 1024, one decimal.
std::string pretty_size(std::uint64_t bytes);

}  // namespace sluice
