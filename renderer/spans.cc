#include "renderer/spans.h"

#include <algorithm>

#include <unistd.h>

#include <fmt/format.h>

#include "base/paths.h"
#include "base/text.h"

namespace sluice::renderer {

namespace {

std::string host_name() {
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0) return {};
  return name;
}

std::string cut(std::string_view text, std::size_t columns, bool unicode) {
  if (unicode || display_width(text) <= columns) return truncate(text, columns);
  return std::string(text.substr(0, columns > 3 ? columns - 3 : 0)) +
         std::string(std::min<std::size_t>(columns, 3), '.');
}

}  // namespace

std::size_t width_of(const Spans& spans) {
  std::size_t width = 0;
  for (const auto& span : spans) width += display_width(span.text);
  return width;
}

Row row_of(const Spans& spans, std::size_t columns, const Pen& pen) {
  Row row;
  for (const auto& span : spans) {
    const std::string whole = pen.unicode ? span.text : ascii(span.text);
    const std::string text = cut(whole, columns - row.width, pen.unicode);
    const bool link = pen.links && !span.link.empty() && !text.empty();
    if (link) row.bytes += "\x1b]8;;" + span.link + "\x1b\\";
    row.bytes += pen.paint(text, span.style);
    if (link) row.bytes += "\x1b]8;;\x1b\\";
    row.width += display_width(text);
    if (text != whole || row.width == columns) break;
  }
  return row;
}

std::string clean_line(std::string_view text) {
  std::string out = clean(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return out;
}

std::string file_url(std::string_view path) {
  static const std::string kHost = host_name();
  return sluice::file_url(kHost, path);
}

}  // namespace sluice::renderer
