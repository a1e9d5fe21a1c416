// `show --format`: text with symbols %{name}, each a Python format string without its
// '%' ("%{key: >8}"), as str.format() of a string value reads it.
//
// Symbols are substituted one after the other over the whole line, in a given order,
// as BuildStream does; so a value that holds "%{...}" can be substituted again.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::cli {

// How a value is coloured; the codes and their order are those of click.style().
struct Style {
  std::string_view color;  // "red", "bright_red"; "" for none
  int bold = -1;           // -1: nothing is said; 0 and 1 are codes of their own
  int dim = -1;
};

std::string styled(std::string_view text, const Style& style);

// `text` by a Python format specification for strings: "[[fill]align][0][width][.precision][s]".
// Width counts code points. Error: domain "app", reason "invalid-format".
Result<std::string> format_value(std::string_view text, std::string_view specification);

// Whether `format` has the symbol at all: "%{" and the name, as BuildStream asks before
// it computes something expensive.
bool mentions(std::string_view format, std::string_view symbol);

// Replaces every %{symbol...} in `line`, in its style: every value ends with a code, coloured or
// not.
Status substitute(std::string& line, std::string_view symbol, std::string_view value,
                  const Style& style);

// The text without its codes, as click prints it where colours are off.
std::string without_codes(std::string_view text);

}  // namespace sluice::cli
