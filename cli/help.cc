#include "cli/help.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"

namespace sluice::cli {

namespace {

// Longer lines are hard to read.
constexpr std::size_t kWidest = 120;
// Where the second column of a table begins at most.
constexpr std::size_t kWidestTerm = 28;
// With fewer columns the second column comes below the first.
constexpr std::size_t kNarrow = 60;

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string lines_below(std::string_view text, std::size_t indentation, std::size_t columns) {
  std::string out;
  for (const std::string& line : wrap(text, columns - std::min(columns, indentation)))
    out += std::string(indentation, ' ') + line + "\n";
  return out;
}

// A row of a table whose second column begins at `column`.
std::string row_text(std::string_view term, std::string_view what, std::size_t indentation,
                     std::size_t column, std::size_t columns) {
  std::string out = lines_below(term, indentation, columns);
  if (what.empty()) return out;
  const std::string below = lines_below(what, column, columns);
  const std::size_t width = indentation + display_width(term);
  // A term that reaches into the second column has lines of its own.
  if (columns < kNarrow || width + 2 > column || out.find('\n') + 1 != out.size())
    return out + below;
  return out.substr(0, out.size() - 1) + std::string(column - width, ' ') + below.substr(column);
}

std::string table(const Rows& rows, std::size_t columns) {
  constexpr std::size_t kIndentation = 2;
  std::size_t longest = 0;
  for (const auto& row : rows) {
    if (const std::size_t width = display_width(row.first); width <= kWidestTerm)
      longest = std::max(longest, width);
  }
  const std::size_t column = columns < kNarrow ? 6 : kIndentation + longest + 2;
  std::string out;
  for (const auto& [term, what] : rows) out += row_text(term, what, kIndentation, column, columns);
  return out;
}

std::string details_text(std::string_view details, std::size_t columns) {
  constexpr std::size_t kIndentation = 2;
  std::string out;
  for (std::string_view line : split_lines(details)) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    const std::size_t inner = std::min(line.find_first_not_of(' '), line.size());
    const std::size_t indentation = kIndentation + inner;
    line.remove_prefix(inner);
    const std::size_t gap = line.find("  ");
    if (line.empty()) {
      out += "\n";
    } else if (gap == std::string_view::npos) {
      out += lines_below(line, indentation, columns);
    } else {
      const std::size_t second = line.find_first_not_of(' ', gap);
      const std::size_t column = columns < kNarrow ? indentation + 4 : indentation + second;
      out += row_text(line.substr(0, gap), line.substr(second), indentation, column, columns);
    }
  }
  return out;
}

std::string option_text(const OptionShape& option) {
  const std::string names = fmt::format("{}", fmt::join(option.names, ", "));
  return option.type.empty() ? names : names + " " + option.type;
}

// A command that is too wide goes on in the next line, as a shell reads it; one with quotes stays
// in one piece.
std::string example_text(const std::string& command, std::size_t columns) {
  if (command.find_first_of("'\"") != std::string::npos) return "  " + command + "\n";
  std::string out;
  for (const std::string& line : wrap(command, columns - std::min<std::size_t>(columns, 8)))
    out += (out.empty() ? "  " : " \\\n      ") + line;
  return out + "\n";
}

}  // namespace

std::string argument_text(const ArgumentShape& argument) {
  return (argument.required ? argument.name : "[" + argument.name + "]") +
         (argument.many ? "..." : "");
}

std::string usage_text(const CommandShape& command, std::size_t columns) {
  constexpr std::string_view kUsage = "Usage: ";
  std::string text = command.path + " [OPTIONS]";
  for (const ArgumentShape& argument : command.arguments) text += " " + argument_text(argument);
  if (!command.commands.empty()) text += " COMMAND [ARGS]...";
  const std::string below = lines_below(text, kUsage.size(), std::min(columns, kWidest));
  return std::string(kUsage) + below.substr(kUsage.size());
}

std::string help_text(const CommandShape& command, std::size_t wanted) {
  const std::size_t columns = std::min(wanted, kWidest);
  std::string out = usage_text(command, columns);
  out += "\n" + lines_below(command.description, 2, columns);
  Rows options;
  for (const OptionShape& option : command.options)
    options.emplace_back(option_text(option), option.description);
  if (command.has_help) options.emplace_back("-h, --help", "Show this message and exit");
  if (!options.empty()) out += "\nOptions:\n" + table(options, columns);
  if (!command.commands.empty()) {
    Rows commands;
    for (const CommandShape& sub : command.commands)
      commands.emplace_back(sub.name, sub.description);
    out += "\nCommands:\n" + table(commands, columns);
  }
  if (!command.details.empty()) out += "\n" + details_text(command.details, columns);
  if (!command.examples.empty()) {
    out += "\nExamples:\n";
    for (const Example& example : command.examples)
      out += example_text(example.command, columns) + lines_below(example.what, 6, columns);
  }
  return out;
}

}  // namespace sluice::cli
