// What a line of the log and an element in a heading look like, by the user's format strings
// (model/line_format.h).
#pragma once

#include <string>
#include <string_view>

#include "model/line_format.h"

namespace sluice::renderer {

inline constexpr std::string_view kDefaultMessageFormat =
    "[%{elapsed}][%{key}][%{element}] %{action} %{message}";
inline constexpr std::string_view kDefaultElementFormat =
    "%{state: >12} %{full-key} %{name} %{workspace-dirs}";

using model::FormatToken;
using model::parse_element_format;
using model::parse_message_format;

// `value` filled to the token's width.
std::string aligned(const FormatToken& token, std::string_view value);

}  // namespace sluice::renderer
