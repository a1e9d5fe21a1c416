#include "cli/place.h"

#include <algorithm>

#include "base/credentials.h"
#include "base/excerpt.h"
#include "base/file.h"
#include "base/terminal.h"
#include "base/text.h"

namespace sluice::cli {

namespace {

// The bytes of a line before its character number `column`.
std::size_t bytes_before(std::string_view line, std::uint32_t column) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < column && at < line.size(); ++i) {
    ++at;
    while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80) ++at;
  }
  return at;
}

std::uint32_t characters(std::string_view text) {
  return static_cast<std::uint32_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// The column in `shown`, which is the line without its secrets, of a column in the line: what is
// the same at both ends stays where it is, and what was hidden begins where that begins.
std::uint32_t column_without(std::string_view line, std::string_view shown, std::uint32_t column) {
  const std::size_t at = bytes_before(line, column), both = std::min(line.size(), shown.size());
  std::size_t front = 0, back = 0;
  while (front < both && line[front] == shown[front]) ++front;
  if (at <= front) return column;
  while (back < both - front && line[line.size() - 1 - back] == shown[shown.size() - 1 - back])
    ++back;
  if (at < line.size() - back) return characters(shown.substr(0, front));
  return characters(shown.substr(0, shown.size() - (line.size() - at)));
}

}  // namespace

std::string place_text(const Provenance& place, const std::string& directory) {
  if (!place.known() || place.line == 0) return {};
  const std::string path = project::file_of(place.file, directory);
  if (path.empty()) return {};
  const auto text = read_file(path);
  if (!text) return {};
  const std::string_view line = line_of(*text, place.line);
  const std::string shown = without_credentials(line);
  return "\n" +
         excerpt(shown, place.line, column_without(line, shown, place.column), terminal_columns());
}

}  // namespace sluice::cli
