// The format strings of BuildStream's user configuration: `logging.message-format` and
// `logging.element-format` ("%{state: >12} %{full-key} %{name}"). The loader refuses what the
// renderer couldn't draw.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::model {

struct FormatToken {
  std::string text;      // fixed text, when `variable` is empty
  std::string variable;  // "full-key"
  char fill = ' ';
  char align = '<';
  std::size_t width = 0;  // 0: as long as it is
};

// Blanks and newlines around the format are no part of it. Errors: domain "load", reason
// "invalid-data", naming the variable that isn't known here.
Result<std::vector<FormatToken>> parse_message_format(std::string_view format);
// Variables: those that an element in a run's heading has (name, kind, key, full-key, state,
// workspaced, workspace-dirs).
Result<std::vector<FormatToken>> parse_element_format(std::string_view format);

}  // namespace sluice::model
