// A line of a file with a mark below a place in it, for people:
//
//     6 |   type: biuld
//       |         ^
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

// Two lines, with their newlines, of at most `columns` columns (20 and more). `line` is the line's
// text, `number` counts from 1, `column` its characters from 0 (Provenance). Tabs become spaces;
// control characters and bytes that are no UTF-8 are shown as such; of a line that is too long a
// part is shown, with "…" where it goes on. A column behind the line's end has its mark there.
std::string excerpt(std::string_view line, std::uint32_t number, std::uint32_t column,
                    std::size_t columns);

// Line `number` of a text, without its newline; what lies behind the last line is empty.
std::string_view line_of(std::string_view text, std::uint32_t number);

}  // namespace sluice
