// JSON of somebody else's: registries, indexes, caches, files that anybody may have changed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

namespace sluice {

// Values within values, at most. nlohmann's values are copied, compared and written by recursion,
// for which a thread's stack has room some thousand times.
inline constexpr std::size_t kMostJsonNesting = 500;

// How deep lists and maps of a text lie in each other, if it is JSON.
inline std::size_t json_nesting(std::string_view text) {
  std::size_t depth = 0, most = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string) {
      if (c == '\\') ++i;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return most;
}

// A discarded value (is_discarded(), and no map, list or text) for what is no JSON, or is nested
// too deeply.
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text) {
  if (json_nesting(text) > kMostJsonNesting) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

}  // namespace sluice
