// Pieces of text with their styles, put together to rows of a screen and to lines.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "renderer/screen.h"
#include "renderer/style.h"

namespace sluice::renderer {

struct Span {
  std::string text;
  Style style;
  std::string link;  // a URL; "": none
};
using Spans = std::vector<Span>;

// What spans are written with.
struct Pen {
  Painter paint;
  bool unicode = true;  // else what isn't ASCII is replaced
  bool links = false;   // OSC 8
};

std::size_t width_of(const Spans& spans);
// The row of at most `columns` columns; what was cut is shown by a last "…".
Row row_of(const Spans& spans, std::size_t columns, const Pen& pen);

// A text of somebody else's in one line: nothing in it steers a terminal, newlines and tabs are
// blanks.
std::string clean_line(std::string_view text);

// The URL of a file of this machine: file://HOST/PATH.
std::string file_url(std::string_view path);

}  // namespace sluice::renderer
